//! Standbys.

use test_servers::{PostgresOptions, PostgresServer, Replication};

#[test]
fn a_synchronous_standby_has_every_commit_and_takes_over() {
    let mut primary = PostgresServer::start(PostgresOptions::durable()).unwrap();
    primary.query("CREATE TABLE kept (x int)").unwrap();
    let mut standby = primary.standby(Replication::Synchronous).unwrap();
    primary.query("INSERT INTO kept VALUES (1)").unwrap();
    let error = standby.query("INSERT INTO kept VALUES (2)").unwrap_err();
    assert!(error.to_string().contains("read-only"), "{error}");
    primary.kill_hard().unwrap();
    standby.promote().unwrap();
    assert_eq!(standby.query("SELECT count(*) FROM kept").unwrap(), "1");
    standby.query("INSERT INTO kept VALUES (2)").unwrap();
}

#[test]
fn an_asynchronous_standby_can_be_killed_and_comes_back() {
    let primary = PostgresServer::start(PostgresOptions::quick()).unwrap();
    let mut standby = primary.standby(Replication::Asynchronous).unwrap();
    standby.kill_hard().unwrap();
    primary.query("CREATE TABLE kept (x int)").unwrap();
    standby.start_again().unwrap();
    assert_eq!(standby.query("SELECT pg_is_in_recovery()").unwrap(), "t");
}
