//! The database is killed, or says nothing.

use std::sync::Arc;
use std::time::Instant;

use test_servers::{PostgresOptions, PostgresServer};

use super::clients::Balance;
use super::controls::{command, send};
use super::foreign_sessions::{LOCK_LOG_END, waiting};
use super::history::{Action, Outcome};
use super::scenario::{COMMANDS_ARE_ANSWERED_WITHIN, INSTANCES, instances, run, serving};
use super::sql::Session;
use crate::http::Client;
use crate::logs::{TIES, TRACE_ID};
use crate::server::wait_until;

const KILLS: usize = 3;

fn status(port: u16, path: &str) -> u16 {
    Client::connect(port).and_then(|mut client| client.get(path)).unwrap().status
}

#[test]
fn a_killed_database_loses_nothing_and_is_found_again() {
    let mut database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let url = database.create_database().unwrap();
    run("killed database", instances(&url), Balance::Anywhere, |progress, servers| {
        for _ in 0..KILLS {
            progress.wait_for_more(&[0, 1, 2], 100);
            database.kill_immediately().unwrap();
            database.start_again().unwrap();
        }
        progress.wait_for_more(&[0, 1, 2], 20);
        assert!(servers.iter().all(|server| status(server.port(), "/ready") == 200));
    });
}

#[test]
fn while_the_database_says_nothing_commands_are_turned_away_in_time_and_all_goes_on_by_itself() {
    let mut database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let url = database.create_database().unwrap();
    let history = run("frozen database", instances(&url), Balance::AtHome, |progress, servers| {
        progress.wait_for_more(&[0, 1, 2], 100);
        database.freeze().unwrap();
        let before = progress.turned_away();
        std::thread::scope(|scope| {
            for server in servers {
                let port = server.port();
                scope.spawn(move || {
                    assert_eq!(status(port, "/ready"), 503);
                    assert_eq!(status(port, "/health"), 200);
                });
            }
        });
        // Twice for each client, which takes about 10 s.
        wait_until("commands are turned away", || (progress.turned_away() >= before + 18).then_some(()));
        database.thaw().unwrap();
        progress.wait_for_more(&[0, 1, 2], 50);
        wait_until("all are ready again", || {
            servers.iter().all(|server| status(server.port(), "/ready") == 200).then_some(())
        });
        assert_eq!(servers.len(), INSTANCES);
    });
    assert!(history.slowest() < COMMANDS_ARE_ANSWERED_WITHIN, "{:?}", history.slowest());
}

#[test]
fn an_outage_is_told_once_with_the_server_and_leaves_no_view_behind_as_failed() {
    let mut database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let server = serving(&database.create_database().unwrap()).start();
    database.kill_immediately().unwrap();
    // Each is tried for five seconds, as long as the pause between two looks at the views.
    for ties in [TIES, "x: 1", "x: 2"] {
        let mut client = server.connect();
        client.send(format!("GET /orders/o HTTP/1.1\r\nhost: e2e\r\n{ties}\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(client.answer().unwrap().status, 503);
    }
    database.start_again().unwrap();
    wait_until("it is ready again", || {
        (status(server.port(), "/ready") == 200 && server.log().contains("the database is back"))
            .then_some(())
    });
    let ready = server.get("/ready");
    assert!(!ready.text().contains("failed"), "{}", ready.text());
    let log = server.log();
    assert_eq!(log.matches("the database is away").count(), 1, "{log}");
    assert!(log.contains(&format!("127.0.0.1:{} (database ", database.port())), "{log}");
    let failed = log.lines().find(|line| line.contains("request failed")).unwrap();
    let failed: serde_json::Value = serde_json::from_str(failed).unwrap();
    assert_eq!(
        (&failed["correlation_id"], &failed["trace_id"]),
        (&"tied".into(), &TRACE_ID.into()),
        "{failed}"
    );
    for of_the_driver in ["recycled", "Connection error", "terminating", "views could not be repaired"] {
        assert!(!log.contains(of_the_driver), "{log}");
    }
    server.stop();
}

#[test]
fn an_instance_that_is_told_to_stop_while_the_database_says_nothing_answers_and_ends() {
    let mut database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let url = database.create_database().unwrap();
    let server = serving(&url).start();
    let session = Session::open(&url);
    // The append is on its way when the database stops.
    let holder = Session::open(&url);
    holder.run("BEGIN");
    holder.run(LOCK_LOG_END);
    let port = server.port();
    let request = std::thread::spawn(move || send(port, 0, Arc::new(command("o", Action::Place, "c"))));
    wait_until("the append waits for the lock", || (waiting(&session) == 1).then_some(()));
    database.freeze().unwrap();
    // Must end with exit status 0, long before the grace time is over.
    let told = Instant::now();
    server.stop();
    assert!(told.elapsed() < COMMANDS_ARE_ANSWERED_WITHIN, "{:?}", told.elapsed());
    assert_eq!(request.join().unwrap().outcome, Outcome::Unknown);
    database.thaw().unwrap();
}
