//! A database that goes back to an earlier state under running instances, so quickly that no lease runs out: nothing is decided
//! on what only the lost history had, and nothing is published behind it.

use test_servers::{PostgresOptions, PostgresServer, Replication};

use super::scenario::serving;
use crate::http::Answer;
use crate::lost_files::place;
use crate::relays::broker::shared_channel;
use crate::relays::channel::{Channel, Kind};
use crate::relays::ready::wait_for_state;
use crate::relays::verdict::wait_until_published;
use crate::server::{Program, Server, wait_until};

/// What an instance says, when it is connected again and knows what to say.
fn answered(ask: impl Fn() -> Answer) -> Answer {
    wait_until("the instance is back", || Some(ask()).filter(|answer| answer.status != 503))
}

fn placed(server: &Server, order: &str) {
    wait_until("the order is placed", || (place(server, order) == 201).then_some(()));
}

/// The relay says that the channel has events which the log does not have, and publishes none of those that the log has instead.
#[track_caller]
fn assert_left_alone(server: &Server, channel: &Channel, had: usize) {
    let told = wait_for_state(server, &channel.relay(), "misconfigured");
    assert!(told.detail.contains("Nothing is published"), "{told:?}");
    for n in 0..5 {
        placed(server, &format!("after-{}-{n}", channel.name));
    }
    let messages = channel.messages().unwrap();
    let positions: Vec<_> = messages.iter().map(|message| message.event.position()).collect();
    assert_eq!(positions.len(), had, "{positions:?}");
}

#[test]
fn an_older_copy_of_the_database_under_the_same_name_is_never_poured_into_the_stream_of_the_newer() {
    let database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let url = database.create_database().unwrap();
    let (_, name) = url.rsplit_once('/').unwrap();
    let channels = [shared_channel(Kind::Nats), shared_channel(Kind::Kafka)];
    let relaying = || {
        let with = |program: Program, channel: &Channel| program.argument("--bus", channel.url());
        channels.iter().fold(serving(&url), with).start()
    };
    let server = relaying();
    placed(&server, "in-both");
    channels.iter().for_each(|channel| wait_until_published(&server, channel, 1));
    server.stop();
    database.query(&format!("CREATE DATABASE older TEMPLATE {name}")).unwrap();

    let server = relaying();
    for n in 0..5 {
        placed(&server, &format!("later-{n}"));
    }
    channels.iter().for_each(|channel| wait_until_published(&server, channel, 6));
    for statement in [
        format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
        format!(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = '{name}'"
        ),
        format!("ALTER DATABASE {name} RENAME TO newer"),
        format!("ALTER DATABASE older RENAME TO {name}"),
    ] {
        database.query(&statement).unwrap();
    }
    // More than the stream has, so that the next one would follow without a gap.
    for n in 0..8 {
        placed(&server, &format!("instead-{n}"));
    }
    channels.iter().for_each(|channel| assert_left_alone(&server, channel, 6));
    assert_eq!(server.get("/orders/later-0").status, 404);
    assert_eq!(server.get("/ready").status, 200, "orders are served");
    let told = server.log();
    assert_eq!(told.matches("the log has gone back:").count(), 1, "{told}");
    server.stop();
}

#[test]
fn nobody_decides_on_what_a_standby_that_was_behind_has_lost() {
    let mut primary = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let mut standby = primary.standby(Replication::Asynchronous).unwrap();
    let url = primary.create_database().unwrap();
    let both = format!("127.0.0.1:{},127.0.0.1:{}/", primary.port(), standby.port());
    let name = url.rsplit_once('/').unwrap().1.to_owned();
    let url = url.replace(&format!("127.0.0.1:{}/", primary.port()), &both);
    let channel = shared_channel(Kind::Nats);
    let remembering = serving(&url).argument("--bus", channel.url()).start();
    let other = serving(&url).start();
    placed(&remembering, "o");
    wait_until("the standby has the order", || {
        let count = ["-Atc", "SELECT count(*) FROM order_service.events", &standby.url_of(&name)];
        (standby.run("psql", &count).ok()?.trim() == "1").then_some(())
    });

    standby.set("primary_conninfo", "").unwrap();
    wait_until("the standby hears no more", || {
        (standby.query("SELECT count(*) FROM pg_stat_wal_receiver").ok()? == "0").then_some(())
    });
    let paid = remembering.post("/orders/o/payment", r#"{"payment_id": "lost"}"#);
    assert_eq!(paid.status, 202, "{paid:?}");
    wait_until_published(&remembering, &channel, 2);
    primary.kill_hard().unwrap();
    standby.promote().unwrap();

    let cancelled = answered(|| other.post("/orders/o/cancel", r#"{"reason": "changed_mind"}"#));
    assert_eq!(cancelled.status, 202, "{cancelled:?}");
    // It was paid, as this one remembers it, and the version is the same.
    let reserved = answered(|| remembering.post("/orders/o/reserve", r#"{"reservation_id": "r"}"#));
    assert_eq!(reserved.status, 409, "{reserved:?}");
    for server in [&remembering, &other] {
        let order = answered(|| server.get("/orders/o"));
        assert_eq!((order.version(), &order.json()["Status"]), (Some(2), &"cancelled".into()), "{order:?}");
    }
    assert_left_alone(&remembering, &channel, 2);
    // The other had seen nothing of it, so to it nothing is lost.
    let told = remembering.log();
    assert_eq!(told.matches("the log has gone back:").count(), 1, "{told}");
    remembering.stop();
    other.stop();
    let verified = Program::new(["verify", "--store", &standby.url_of(&name)]).run();
    assert_eq!(verified.status, Some(0), "{verified:?}");
}

/// As after a fail-over to a server with a configuration of its own.
#[test]
fn a_server_that_loses_what_it_acknowledges_gets_no_commands_until_it_is_set_right() {
    let database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let url = database.create_database().unwrap();
    let (_, name) = url.rsplit_once('/').unwrap();
    let server = serving(&url).start();
    placed(&server, "before");
    let set = |setting: &str| {
        for statement in [
            format!("ALTER DATABASE {name} {setting}"),
            format!(
                "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = '{name}'"
            ),
        ] {
            database.query(&statement).unwrap();
        }
    };
    set("SET synchronous_commit = off");
    let ready =
        wait_until("it is not ready", || Some(server.get("/ready")).filter(|answer| answer.status == 503));
    assert_eq!(place(&server, "meanwhile"), 503, "{ready:?}");
    assert_eq!(server.log().matches("the database is not used as it is").count(), 1, "{}", server.log());
    set("RESET synchronous_commit");
    wait_until("it is ready", || (server.get("/ready").status == 200).then_some(()));
    placed(&server, "after");
    server.stop();
}
