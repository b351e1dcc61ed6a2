//! The primary dies, and its synchronous standby takes over.

use test_servers::{PostgresOptions, PostgresServer, Replication};

use super::clients::Balance;
use super::scenario::{instances, run};

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
