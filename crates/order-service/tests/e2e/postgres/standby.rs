//! A synchronous standby: it takes over, or keeps commits waiting.

use std::sync::Arc;

use test_servers::{PostgresOptions, PostgresServer, Replication};

use super::clients::Balance;
use super::controls::{command, send};
use super::history::{Action, Outcome};
use super::scenario::{COMMANDS_ARE_ANSWERED_WITHIN, instances, run, serving};
use super::sql::Session;
use crate::server::wait_until;

/// The process of a session whose commit waits for the standby, or 0.
pub(crate) const WAITING: &str =
    "SELECT coalesce(min(pid), 0) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

#[test]
fn a_promoted_synchronous_standby_is_found_and_has_all_that_was_acknowledged() {
    let mut primary = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let mut standby = primary.standby(Replication::Synchronous).unwrap();
    let url = primary.create_database().unwrap();
    let both = format!("127.0.0.1:{},127.0.0.1:{}/", primary.port(), standby.port());
    let url = url.replace(&format!("127.0.0.1:{}/", primary.port()), &both);
    run("promotion", instances(&url), Balance::Anywhere, |progress, _| {
        progress.wait_for_more(&[0, 1, 2], 150);
        primary.kill_hard().unwrap();
        standby.promote().unwrap();
        progress.wait_for_more(&[0, 1, 2], 100);
    });
}

#[test]
fn while_the_standby_says_nothing_commands_are_turned_away_and_then_all_goes_on() {
    let primary = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let mut standby = primary.standby(Replication::Synchronous).unwrap();
    let url = primary.create_database().unwrap();
    let history = run("frozen standby", instances(&url), Balance::Anywhere, |progress, _| {
        progress.wait_for_more(&[0, 1, 2], 50);
        standby.freeze().unwrap();
        let before = progress.turned_away();
        wait_until("commands are turned away", || (progress.turned_away() >= before + 9).then_some(()));
        standby.thaw().unwrap();
        progress.wait_for_more(&[0, 1, 2], 50);
    });
    assert!(history.slowest() < COMMANDS_ARE_ANSWERED_WITHIN, "{:?}", history.slowest());
}

/// A commit that waits for the standby and is cut off stays, on the primary alone. Whoever asks again must wait as well.
#[test]
fn what_a_cut_off_commit_left_behind_is_acknowledged_only_when_the_standby_has_it() {
    let primary = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let mut standby = primary.standby(Replication::Synchronous).unwrap();
    let url = primary.create_database().unwrap();
    let server = serving(&url).start();
    let session = Session::open(&url);
    let waiting = || Some(session.value::<i32>(WAITING)).filter(|&process| process > 0);

    standby.freeze().unwrap();
    let port = server.port();
    let request = std::thread::spawn(move || send(port, 0, Arc::new(command("o", Action::Place, "c"))));
    let first = wait_until("the commit waits for the standby", waiting);
    session.run(&format!("SELECT pg_terminate_backend({first})"));
    wait_until("another waits in its place, or there is an answer", || {
        (request.is_finished() || waiting().is_some_and(|process| process != first)).then_some(())
    });
    assert!(!request.is_finished(), "{:?}", request.join());
    standby.thaw().unwrap();
    assert_eq!(request.join().unwrap().outcome, Outcome::Accepted { version: 1 });
    server.stop();
}
