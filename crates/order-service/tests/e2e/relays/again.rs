//! `republish --from-position`: events come again, and the usual relay goes on.

use std::path::Path;

use test_servers::{PostgresOptions, PostgresServer};

use super::broker::shared_channel;
use super::channel::{Channel, Kind};
use super::load::{under_steady_load, wait_for_more};
use super::ready::{status, wait_for_state};
use super::verdict::{assert_relayed, wait_until_published};
use crate::checker;
use crate::export::fill;
use crate::server::{Ended, Program, Server};

const FROM: u64 = 101;

fn relay(store: (&str, &str), channels: &[Channel]) -> Ended {
    let program =
        Program::new(["republish", "--from-position", &FROM.to_string()]).argument(store.0, store.1);
    channels.iter().fold(program, |program, channel| program.argument("--bus", channel.url())).run()
}

fn with_channels(program: Program, channels: &[Channel]) -> Program {
    channels.iter().fold(program, |program, channel| program.argument("--bus", channel.url()))
}

/// How often each event from `FROM` to `to` has come, at least.
fn least_often(channel: &Channel, to: u64) -> usize {
    let messages = channel.messages().unwrap();
    let often = |position| messages.iter().filter(|message| message.event.position() == position).count();
    (FROM..=to).map(often).min().unwrap()
}

#[test]
fn on_sqlite_events_are_published_again_while_no_server_runs() {
    let channels = [Kind::Nats, Kind::Kafka].map(shared_channel);
    let directory = tempfile::tempdir().unwrap();
    let store = ("--data-dir", directory.path().to_str().unwrap());
    let start = || with_channels(Program::serving(directory.path()), &channels).start();
    let server = start();
    let mut claims = under_steady_load(server.port(), "again", |progress| wait_for_more(progress, 300));
    let head = checker::check(&server, 0, &claims).unwrap();
    channels.iter().for_each(|channel| wait_until_published(&server, channel, head));

    let refused = relay(store, &channels);
    assert_eq!((refused.status, refused.stderr.len()), (Some(1), 1), "{refused:?}");
    server.stop();
    let done = relay(store, &channels);
    assert_eq!(done.status, Some(0), "{done:?}");
    channels.iter().for_each(|channel| assert!(least_often(channel, head) >= 2));

    let server = start();
    claims.extend(under_steady_load(server.port(), "later", |progress| wait_for_more(progress, 50)));
    assert_relayed(&server, &claims, &channels);
    server.stop();
}

#[test]
fn on_postgresql_events_are_published_again_beside_instances_at_work() {
    let database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let url = database.create_database().unwrap();
    let channels = [Kind::Nats, Kind::Kafka].map(shared_channel);
    let servers =
        [0, 1].map(|_| with_channels(Program::serve().argument("--store", &url), &channels).start());
    let claims = under_steady_load(servers[0].port(), "again", |progress| {
        wait_for_more(progress, 300);
        let published = |channel: &Channel| wait_until_published(at_work(&servers, channel), channel, 300);
        channels.iter().for_each(published);
        let done = relay(("--store", &url), &channels);
        assert_eq!(done.status, Some(0), "{done:?}");
        channels.iter().for_each(|channel| assert!(least_often(channel, 300) >= 2));
        wait_for_more(progress, 50);
    });
    for channel in &channels {
        let server = at_work(&servers, channel);
        wait_for_state(server, &channel.relay(), "following");
        assert_relayed(server, &claims, std::slice::from_ref(channel));
    }
    servers.into_iter().for_each(Server::stop);
}

/// The instance whose relay publishes, or soon will.
fn at_work<'a>(servers: &'a [Server; 2], channel: &Channel) -> &'a Server {
    super::ready::patiently("one of them publishes", || {
        servers.iter().find(|server| status(server, &channel.relay()).state == "following")
    })
}

/// Nobody is at port 1, and nobody is asked.
fn republish_to_nobody(directory: &Path, from: &str) -> Ended {
    let asked = ["republish", "--bus", "nats://127.0.0.1:1", "--from-position", from];
    Program::new(asked).argument("--data-dir", directory).run()
}

#[test]
fn a_directory_that_was_mistyped_is_told_and_no_store_is_made_there() {
    let directory = tempfile::tempdir().unwrap();
    let mistyped = directory.path().join("dtaa");
    let ended = republish_to_nobody(&mistyped, "1");
    assert_eq!((ended.status, ended.stderr.len()), (Some(1), 1), "{ended:?}");
    assert!(ended.stderr[0].contains(&*mistyped.to_string_lossy()), "{ended:?}");
    assert!(!mistyped.exists(), "something was made");
    let memory = ["republish", "--store", "memory:", "--bus", "nats://127.0.0.1:1", "--from-position", "1"];
    let ended = Program::new(memory).run();
    assert_eq!(ended.stderr, ["error: memory: is gone at exit, so there is nothing to publish"]);
}

#[test]
fn a_position_beyond_the_logs_end_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).start();
    fill(&server, 0..2);
    server.stop();
    let ended = republish_to_nobody(directory.path(), "100");
    assert_eq!(ended.status, Some(1), "{ended:?}");
    let says = "there is no position 100: the log ends at 3";
    assert!(ended.stderr.last().is_some_and(|line| line.contains(says)), "{ended:?}");
}
