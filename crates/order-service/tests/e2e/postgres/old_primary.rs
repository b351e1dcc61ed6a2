//! A primary that comes back after another server was promoted in its place, or that never went away: it takes connections and
//! writes as before, and is the first in the URL. Nobody is served from it any more.

use test_servers::{PostgresOptions, PostgresServer, Replication};

use super::scenario::serving;
use crate::lost_files::place;
use crate::server::{Program, Server, wait_until};

const TOLD: &str = "an old primary is not used";
const EVENTS: &str = "SELECT count(*) FROM order_service.events";

/// A primary, its standby, and both in the URL of one database.
struct Pair {
    primary: PostgresServer,
    standby: PostgresServer,
    name: String,
    url: String,
}

impl Pair {
    fn start() -> Self {
        let primary = PostgresServer::start(PostgresOptions::durable()).unwrap();
        let standby = primary.standby(Replication::Synchronous).unwrap();
        let url = primary.create_database().unwrap();
        let both = format!("127.0.0.1:{},127.0.0.1:{}/", primary.port(), standby.port());
        let name = url.rsplit_once('/').unwrap().1.to_owned();
        let url = url.replace(&format!("127.0.0.1:{}/", primary.port()), &both);
        Self { primary, standby, name, url }
    }

    fn fail_over(&mut self) {
        self.primary.kill_hard().unwrap();
        self.standby.promote().unwrap();
    }

    /// As it was, but for the standby, which it does not wait for any more.
    fn come_back(&mut self) {
        self.primary.start_again().unwrap();
        self.primary.set("synchronous_standby_names", "").unwrap();
    }

    fn events(&self, server: &PostgresServer) -> String {
        server.run("psql", &["-Atc", EVENTS, &server.url_of(&self.name)]).unwrap().trim().to_owned()
    }

    /// Ends all sessions, so that new connections are made.
    fn end_sessions(&self, server: &PostgresServer) {
        let name = &self.name;
        let end = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity";
        server.query(&format!("{end} WHERE datname = '{name}'")).unwrap();
    }
}

fn placed(server: &Server, order: &str) {
    wait_until("the order is placed", || (place(server, order) == 201).then_some(()));
}

#[track_caller]
fn assert_found(server: &Server, orders: &[String]) {
    for order in orders {
        let answer = wait_until("there is an answer", || {
            Some(server.get(&format!("/orders/{order}"))).filter(|answer| answer.status != 503)
        });
        assert_eq!(answer.status, 200, "{order}: {answer:?}");
    }
}

#[test]
fn a_primary_that_comes_back_after_a_failover_gets_no_reads_and_no_writes() {
    let mut pair = Pair::start();
    let server = serving(&pair.url).start();
    let mut orders = Vec::new();
    let mut place_some = |server: &Server, what: &str| {
        for n in 0..5 {
            let order = format!("{what}-{n}");
            placed(server, &order);
            orders.push(order);
        }
        orders.clone()
    };
    place_some(&server, "before");
    pair.fail_over();
    place_some(&server, "after");
    pair.come_back();

    for round in ["back", "again", "and-again"] {
        pair.end_sessions(&pair.standby);
        // Readers at once, so that each of them takes a connection of its own.
        std::thread::scope(|scope| {
            for _ in 0..8 {
                let mut connection = server.connect();
                scope.spawn(move || connection.get("/orders?limit=200").unwrap());
            }
        });
        let all = place_some(&server, round);
        assert_found(&server, &all);
    }
    assert_eq!(pair.events(&pair.primary), "5");
    assert_eq!(pair.events(&pair.standby), "25");
    assert_eq!(server.get("/ready").status, 200);
    let told = server.log();
    assert_eq!(told.matches(TOLD).count(), 1, "{told}");
    assert!(told.contains(&format!("127.0.0.1:{}", pair.primary.port())), "{told}");
    assert!(!told.contains("the log has gone back"), "{told}");

    // Where it is the only one that answers, nobody is served.
    pair.standby.kill_hard().unwrap();
    wait_until("the instance has noticed", || (server.get("/ready").status == 503).then_some(()));
    assert_eq!(place(&server, "nowhere"), 503);
    pair.standby.start_again().unwrap();
    wait_until("it is ready", || (server.get("/ready").status == 200).then_some(()));
    server.stop();

    // An instance that starts asks both.
    let server = serving(&pair.url).start();
    let all = place_some(&server, "restarted");
    assert_found(&server, &all);
    assert_eq!(server.log().matches(TOLD).count(), 1, "{}", server.log());
    server.stop();
    let verified = Program::new(["verify", "--store", &pair.url]).run();
    assert!(verified.stdout.concat().contains("30 events"), "{verified:?}");
    assert_eq!(pair.events(&pair.primary), "5");
}

/// As where the network comes between servers, and not between them and the instance.
#[test]
fn an_instance_that_stays_connected_to_the_old_primary_goes_to_the_new_one() {
    let mut pair = Pair::start();
    let server = serving(&pair.url).start();
    placed(&server, "before");
    pair.primary.set("synchronous_standby_names", "").unwrap();
    pair.standby.promote().unwrap();
    wait_until("it is told", || server.log().contains("another server has taken over").then_some(()));
    placed(&server, "after");
    assert_found(&server, &["before".to_owned(), "after".to_owned()]);
    assert_eq!((pair.events(&pair.primary), pair.events(&pair.standby)), ("1".into(), "2".into()));
    let told = server.log();
    assert!(!told.contains("the log has gone back"), "nothing is lost: {told}");
    server.stop();
}
