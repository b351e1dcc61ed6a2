//! PostgreSQL.

use test_servers::{PostgresOptions, PostgresServer};

#[test]
fn a_server_has_databases_and_keeps_them_when_it_is_killed() {
    let mut server = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let (one, other) = (server.create_database().unwrap(), server.create_database().unwrap());
    assert_ne!(one, other);
    server.query("CREATE TABLE kept (x int)").unwrap();
    for kill in [PostgresServer::kill_immediately, PostgresServer::kill_hard, PostgresServer::stop] {
        server.query("INSERT INTO kept VALUES (1)").unwrap();
        kill(&mut server).unwrap();
        assert!(!server.is_running());
        assert!(server.query("SELECT 1").is_err());
        server.start_again().unwrap();
        assert!(server.is_running());
    }
    assert_eq!(server.query("SELECT count(*) FROM kept").unwrap(), "3");
}

#[test]
fn the_shared_server_is_one() {
    let server = PostgresServer::shared().unwrap();
    assert_eq!(server.url(), PostgresServer::shared().unwrap().url());
    assert_eq!(server.query("SHOW fsync").unwrap(), "off");
}
