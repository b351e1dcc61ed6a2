//! A database that cannot be used, or should not be, is refused at the start: one clear line, and never a password.

use std::sync::OnceLock;

use test_servers::{PostgresOptions, PostgresServer};

use super::scenario::serving;
use super::sql::Session;
use crate::lost_files::place;
use crate::server::{Ended, Program, Server};
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
pub(super) fn as_user(url: &str, user: &str, password: &str) -> String {
    url.replace("postgres://postgres@", &format!("postgres://{user}:{password}@"))
}

/// One line that names the server, the database and the user, and says all of this.
#[track_caller]
fn assert_store_refused(url: &str, said: &[&str]) {
    let ended = serving(url).run();
    assert_refused(&ended, FAILURE, &[&format!("PostgreSQL at {}: ", address(url))]);
    for said in said {
        assert!(ended.stderr[0].contains(said), "{:?} does not say {said:?}", ended.stderr[0]);
    }
    assert_no_password(&ended);
}

/// `postgres://USER[:PASSWORD]@SERVER/DATABASE` as it is told.
fn address(url: &str) -> String {
    let (user, rest) = url.trim_start_matches("postgres://").split_once('@').unwrap();
    let (server, database) = rest.split_once('/').unwrap();
    format!("{server} (database {database}, user {})", user.split(':').next().unwrap())
}

#[track_caller]
fn assert_no_password(ended: &Ended) {
    assert!(!format!("{ended:?}").contains(PASSWORD), "{ended:?}");
}

#[test]
fn a_wrong_password_is_told_with_what_to_look_at() {
    let url = as_user(&server().create_database().unwrap(), "app", &format!("not-{PASSWORD}"));
    let said = "password authentication failed for user \"app\"; check the user and the password (of";
    assert_store_refused(&url, &[said, "@ is written %40"]);
    let url = url.replace(&format!(":not-{PASSWORD}"), "");
    assert_store_refused(
        &url,
        &["password missing; give it in the URL, in PGPASSWORD, or in a password file"],
    );
}

#[test]
fn a_database_that_there_is_not_is_told_with_the_command_that_makes_it() {
    let make = format!("make it with `createdb -h 127.0.0.1 -p {} -U postgres elsewhere`", server().port());
    let said = ["database \"elsewhere\" does not exist", &make];
    assert_store_refused(&server().url_of("elsewhere"), &said);
}

#[test]
fn a_user_who_may_not_connect_is_told_with_the_grant_that_lets_it() {
    let url = server().create_database().unwrap();
    let name = url.rsplit('/').next().unwrap();
    server().query(&format!("REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")).unwrap();
    let grant = format!("`GRANT CONNECT ON DATABASE {name} TO app`");
    assert_store_refused(&as_user(&url, "app", PASSWORD), &["permission denied for database", &grant]);
}

#[test]
fn a_user_who_may_not_log_in_is_told_with_the_statement_that_lets_it() {
    server().query(&format!("CREATE ROLE group_of_users PASSWORD '{PASSWORD}'")).unwrap();
    let url = as_user(&server().create_database().unwrap(), "group_of_users", PASSWORD);
    let said = ["is not permitted to log in; let it log in with `ALTER ROLE group_of_users LOGIN`"];
    assert_store_refused(&url, &said);
}

#[test]
fn a_user_who_may_not_empty_tables_is_told_who_can_copy_before_anything_is_copied() {
    let url = server().create_database().unwrap();
    serving(&url).start().stop();
    let directory = tempfile::tempdir().unwrap();
    let source = format!("sqlite:{}", directory.path().join("orders.db").display());
    let shop = serving(&source).start();
    run_through(&shop);
    shop.stop();
    server().query(&format!("CREATE ROLE clerk LOGIN PASSWORD '{PASSWORD}'")).unwrap();
    let owner = Session::open(&url);
    owner.run("GRANT USAGE ON SCHEMA order_service TO clerk");
    owner.run("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA order_service TO clerk");
    owner.run("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA order_service TO clerk");
    let ended = Program::new(["copy", "--from", &source, "--to", &as_user(&url, "clerk", PASSWORD)]).run();
    let told = "clerk may not empty the tables that a copy fills; run `copy` as postgres, who owns them";
    assert_refused(&ended, FAILURE, &[told]);
    assert_eq!(owner.value::<i64>("SELECT count(*) FROM order_service.events"), 0);
}

#[test]
fn a_user_without_rights_is_told_who_has_to_migrate() {
    let url = as_user(&server().create_database().unwrap(), "app", PASSWORD);
    let said = [
        "it cannot migrate the schema: ",
        "permission denied for database",
        "run `order-service migrate` as",
    ];
    assert_store_refused(&url, &said);
}

#[test]
fn a_user_who_may_see_the_schema_and_not_use_it_is_told_what_to_grant() {
    let url = server().create_database().unwrap();
    serving(&url).start().stop();
    let said = ["permission denied", "grant app the rights that docs/operations/postgresql.md lists"];
    assert_store_refused(&as_user(&url, "app", PASSWORD), &said);
    Session::open(&url).run("GRANT USAGE ON SCHEMA order_service TO app");
    Session::open(&url).run("GRANT SELECT ON order_service.migrations, order_service.log TO app");
    Session::open(&url).run("UPDATE order_service.log SET projection = 1000");
    let said = ["the service's user lacks rights", "`GRANT SELECT, INSERT ON order_service.events TO app`"];
    assert_store_refused(&as_user(&url, "app", PASSWORD), &said);
}

#[test]
fn a_new_store_is_told_and_is_not_made_where_one_has_to_be_there() {
    let url = server().create_database().unwrap();
    let ended = serving(&url).argument("--existing-store", "true").run();
    assert_refused(&ended, FAILURE, &["the database has no order store; "]);
    let shop = serving(&url).start();
    let told =
        |shop: &Server| shop.log().lines().filter(|line| line.contains("made a new, empty store")).count();
    assert_eq!(told(&shop), 1, "{}", shop.log());
    shop.stop();
    let shop = serving(&url).argument("--existing-store", "true").start();
    assert_eq!(told(&shop), 0, "{}", shop.log());
    shop.stop();
}

/// A supervisor has started it, and somebody restores into its database.
#[test]
fn a_database_that_an_instance_serves_is_not_restored_into() {
    let url = server().create_database().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let source = format!("sqlite:{}", directory.path().join("orders.db").display());
    let shop = serving(&source).start();
    run_through(&shop);
    shop.stop();
    let backup = directory.path().join("backup");
    let made = Program::new(["backup"]).argument("--store", &source).operand(&backup).run();
    assert_eq!(made.status, Some(0), "{made:?}");
    let shop = serving(&url).start();
    let restore = || Program::new(["restore"]).argument("--store", &url).operand(&backup).run();
    let ended = restore();
    assert_refused(&ended, FAILURE, &["somebody serves from it: the lease "]);
    assert!(ended.stderr[0].contains("connected are postgres from 127.0.0.1 (order-service)"), "{ended:?}");
    assert_eq!(shop.get("/ready").status, 200);
    shop.stop();
    assert_eq!(restore().status, Some(0));
    let shop = serving(&url).argument("--existing-store", "true").start();
    assert_eq!(shop.get("/orders").json().as_array().map(Vec::len), Some(1));
    shop.stop();
}

#[test]
fn a_database_whose_events_are_gone_is_refused_unless_that_is_accepted() {
    let url = server().create_database().unwrap();
    let shop = serving(&url).start();
    run_through(&shop);
    shop.stop();
    Session::open(&url).run("TRUNCATE order_service.events");
    let said = [
        "acknowledged events are missing: the views end at position ",
        "`order-service serve --accept-loss`",
    ];
    assert_store_refused(&url, &said);
    let shop = serving(&url).argument("--accept-loss", "true").start();
    assert!(shop.log().contains("events are missing, and it is accepted"), "{}", shop.log());
    run_through(&shop);
    shop.stop();
    serving(&url).start().stop();
}

/// A balancer that goes by `/ready` sends nobody there.
#[test]
fn a_database_that_comes_to_refuse_appends_is_told_by_readiness_and_so_is_its_end() {
    let url = server().create_database().unwrap();
    let shop = serving(&url).start();
    let owner = Session::open(&url);
    owner.run("ALTER FUNCTION order_service.append_v2 RENAME TO gone");
    assert_eq!(place(&shop, "a"), 503);
    let ready = shop.get("/ready");
    assert_eq!((ready.status, ready.json()["checks"]["store"].as_str()), (503, Some("unavailable")));
    assert!(shop.log().contains("the database has no whole order store: "), "{}", shop.log());
    owner.run("ALTER FUNCTION order_service.gone RENAME TO append_v2");
    assert_eq!(shop.get("/ready").status, 200);
    assert_eq!(place(&shop, "a"), 201);
    shop.stop();
}

#[test]
fn a_database_that_cannot_hold_every_text_is_refused_before_anything_is_made_in_it() {
    let make = "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0";
    server().query(make).unwrap();
    let url = server().url_of("latin");
    let command =
        format!("`createdb -h 127.0.0.1 -p {} -U postgres -E UTF8 -T template0 NAME`", server().port());
    assert_store_refused(&url, &["the database's encoding is LATIN1; UTF8 is needed", &command]);
    let ended = Program::new(["migrate", "--store", &url]).run();
    assert_refused(&ended, FAILURE, &["the database's encoding is LATIN1"]);
    assert!(!Session::open(&url).value::<bool>("SELECT to_regnamespace('order_service') IS NOT NULL"));
}

#[test]
fn a_timeout_that_would_cut_off_the_services_statements_is_told_with_the_statement_that_lifts_it() {
    let url = server().create_database().unwrap();
    let name = url.rsplit('/').next().unwrap();
    let query = |sql: &str| server().query(sql).unwrap();
    query(&format!("CREATE ROLE hurried SUPERUSER LOGIN PASSWORD '{PASSWORD}'"));
    let url = as_user(&url, "hurried", PASSWORD);
    let switch_off = "`ALTER ROLE hurried SET statement_timeout = 0` switches it off";
    query(&format!("ALTER DATABASE {name} SET statement_timeout = '90s'"));
    assert_store_refused(&url, &["statement_timeout is 90s", switch_off]);
    query("ALTER ROLE hurried SET statement_timeout = '2min'");
    assert_store_refused(&url, &["statement_timeout is 2min", switch_off]);
    query("ALTER ROLE hurried SET statement_timeout = 0");
    query("ALTER ROLE hurried SET transaction_timeout = '1min'");
    assert_store_refused(&url, &["transaction_timeout is 1min"]);
    query("ALTER ROLE hurried SET transaction_timeout = 0");
    serving(&url).start().stop();
}

#[test]
fn a_schema_from_the_future() {
    let url = server().create_database().unwrap();
    serving(&url).start().stop();
    Session::open(&url).run("INSERT INTO order_service.migrations VALUES (999, 998)");
    assert_store_refused(
        &url,
        &["the store has schema version 999, which only releases can use that know version 998"],
    );
}

#[test]
fn a_database_that_acknowledges_before_it_has_synced() {
    let quick = PostgresServer::shared().unwrap().create_database().unwrap();
    assert_store_refused(&quick, &["the server is set to fsync=off, and so loses acknowledged orders"]);
    let database = server().create_database().unwrap();
    let name = database.rsplit('/').next().unwrap();
    server().query(&format!("ALTER DATABASE {name} SET synchronous_commit = off")).unwrap();
    assert_store_refused(&database, &["the server is set to synchronous_commit=off, and so loses"]);
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
    assert_store_refused(&url, &["default_transaction_isolation is \"serializable\""]);
}

#[test]
fn a_url_that_is_none() {
    for (url, fault) in [
        (format!("postgres://app:{PASSWORD}@/orders"), "it names no host"),
        (format!("postgres://app:{PASSWORD}@127.0.0.1"), "it names no database"),
        (format!("postgres://app:{PASSWORD}@127.0.0.1:port/orders"), "not a PostgreSQL URL"),
        (format!("postgres://app:{PASSWORD}@127.0.0.1/orders?sslmode=sometimes"), "sslmode=sometimes"),
        (
            format!("postgres://app:{PASSWORD}@x@127.0.0.1/orders"),
            "it has more than one @; in a user's name or a password, @",
        ),
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
    let made = servers.iter().filter(|server| server.log().contains("made a new, empty store")).count();
    assert_eq!(made, 1, "one of them makes it, and says so");
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
