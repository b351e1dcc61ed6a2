//! A database that cannot be used, or should not be, is refused at the start: one clear line, and never a password.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::OnceLock;

use test_servers::{PostgresOptions, PostgresServer};

use super::scenario::serving;
use super::sql::Session;
use crate::server::{Ended, Server};
use crate::start_up::{FAILURE, USAGE, assert_refused};
use crate::workflow::run_through;

/// What must be seen nowhere.
const PASSWORD: &str = "canary-55d1";

/// A durable server for all tests of this file, with users that need the password: `app` may do nothing, `owner` has
/// the database `owned`.
fn server() -> &'static PostgresServer {
    static SERVER: OnceLock<PostgresServer> = OnceLock::new();
    SERVER.get_or_init(|| {
        let login = "host all all 127.0.0.1/32 scram-sha-256";
        let server = PostgresServer::start(PostgresOptions::durable().authentication(login)).unwrap();
        for user in ["app", "owner"] {
            server.query(&format!("CREATE ROLE {user} LOGIN PASSWORD '{PASSWORD}'")).unwrap();
        }
        server.query("CREATE DATABASE owned OWNER owner").unwrap();
        server
    })
}

/// The way to a database as another user.
fn as_user(url: &str, user: &str, password: &str) -> String {
    url.replace("postgres://postgres@", &format!("postgres://{user}:{password}@"))
}

#[track_caller]
fn assert_store_refused(url: &str, fault: &str) {
    let ended = serving(url).run();
    assert_refused(&ended, FAILURE, &[fault]);
    assert_no_password(&ended);
}

#[track_caller]
fn assert_no_password(ended: &Ended) {
    assert!(!format!("{ended:?}").contains(PASSWORD), "{ended:?}");
}

#[test]
fn a_wrong_password() {
    let url = as_user(&server().create_database().unwrap(), "app", &format!("not-{PASSWORD}"));
    assert_store_refused(&url, "password authentication failed for user \"app\"");
}

#[test]
fn a_database_that_there_is_not() {
    assert_store_refused(&server().url_of("elsewhere"), "database \"elsewhere\" does not exist");
}

#[test]
fn a_server_that_there_is_not() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    assert_store_refused(
        &format!("postgres://app:{PASSWORD}@127.0.0.1:{port}/x"),
        "cannot connect to PostgreSQL: ",
    );
}

#[test]
fn a_server_that_says_nothing() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    assert_store_refused(
        &format!("postgres://app:{PASSWORD}@127.0.0.1:{port}/x"),
        "cannot connect to PostgreSQL: ",
    );
}

#[test]
fn a_user_without_rights() {
    let url = as_user(&server().create_database().unwrap(), "app", PASSWORD);
    assert_store_refused(&url, "permission denied for database");
}

#[test]
fn a_user_who_may_see_the_schema_and_not_use_it() {
    let url = server().create_database().unwrap();
    serving(&url).start().stop();
    assert_store_refused(&as_user(&url, "app", PASSWORD), "permission denied");
}

#[test]
fn a_schema_from_the_future() {
    let url = server().create_database().unwrap();
    serving(&url).start().stop();
    Session::open(&url).run("INSERT INTO order_service.migrations VALUES (999, 998)");
    assert_store_refused(
        &url,
        "the store has schema version 999, which only releases can use that know version 998",
    );
}

#[test]
fn a_database_that_acknowledges_before_it_has_synced() {
    let quick = PostgresServer::shared().unwrap().create_database().unwrap();
    assert_store_refused(&quick, "the server is set to fsync=off, and so loses acknowledged orders");
    let database = server().create_database().unwrap();
    let name = database.rsplit('/').next().unwrap();
    server().query(&format!("ALTER DATABASE {name} SET synchronous_commit = off")).unwrap();
    assert_store_refused(&database, "the server is set to synchronous_commit=off, and so loses");
    for url in [quick, database] {
        let server = serving(&url).argument("--allow-unsafe-durability", "true").start();
        run_through(&server);
        assert!(server.log().contains("loses acknowledged orders"), "{}", server.log());
        server.stop();
    }
}

#[test]
fn a_database_whose_transactions_would_look_at_old_snapshots() {
    let url = server().create_database().unwrap();
    let name = url.rsplit('/').next().unwrap();
    server()
        .query(&format!("ALTER DATABASE {name} SET default_transaction_isolation = serializable"))
        .unwrap();
    assert_store_refused(&url, "default_transaction_isolation is \"serializable\"");
}

#[test]
fn a_url_that_is_none() {
    for (url, fault) in [
        (format!("postgres://app:{PASSWORD}@/orders"), "it names no host"),
        (format!("postgres://app:{PASSWORD}@127.0.0.1:port/orders"), "not a PostgreSQL URL"),
        (format!("postgres://app:{PASSWORD}@127.0.0.1/orders?sslmode=sometimes"), "sslmode=sometimes"),
    ] {
        let ended = serving(&url).run();
        assert_refused(&ended, USAGE, &[fault]);
        assert_no_password(&ended);
    }
}

#[test]
fn ten_instances_that_start_at_once_on_an_empty_database_all_come_up() {
    let url = server().create_database().unwrap();
    let starts: Vec<_> = (0..10)
        .map(|_| {
            let program = serving(&url);
            std::thread::spawn(|| program.start())
        })
        .collect();
    let servers: Vec<Server> = starts.into_iter().map(|start| start.join().unwrap()).collect();
    let migrated = servers.iter().filter(|server| server.log().contains("migrated the database")).count();
    assert_eq!(migrated, 1, "one of them migrates, and says so");
    for server in servers {
        assert_eq!(server.get("/ready").status, 200);
        server.stop();
    }
}

#[test]
fn the_password_is_never_logged() {
    let url = as_user(&server().url_of("owned"), "owner", PASSWORD);
    let server = serving(&url).argument("--log", "trace").start();
    run_through(&server);
    let end_sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'owner'";
    self::server().query(end_sessions).unwrap();
    assert_eq!(server.get("/ready").status, 200);
    let log = server.log();
    assert!(log.contains("postgres://owner@127.0.0.1:"), "{log}");
    assert!(!log.contains(PASSWORD), "{log}");
    server.stop();
}
