//! Several servers in one URL, more than one of which takes writes.

use order_application::{EventLog, Position, StoreError};
use order_store::{PostgresOptions, PostgresStore};
use test_servers::{PostgresServer, Replication};

use crate::contract::bus;
use crate::order::TestOrder;
use crate::postgres::QUICK_SERVER;
use crate::postgres_fixtures::sql;

/// A database on servers, in this order.
fn url_of(servers: [&PostgresServer; 2], name: &str) -> String {
    let hosts = servers.map(|server| format!("127.0.0.1:{}", server.port())).join(",");
    format!("postgres://postgres@{hosts}/{name}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_primaries_the_one_that_took_over_is_opened_wherever_the_url_has_it() {
    let old = PostgresServer::start(test_servers::PostgresOptions::quick()).unwrap();
    let mut new = old.standby(Replication::Asynchronous).unwrap();
    let name = old.create_database().unwrap().rsplit_once('/').unwrap().1.to_owned();
    let store = PostgresStore::open(&old.url_of(&name), bus(), QUICK_SERVER).await.unwrap();
    store.append(TestOrder::new("both").place()).await.unwrap();
    crate::postgres_gone_back::until("the standby has it", async || {
        let count = ["-Atc", "SELECT count(*) FROM order_service.events", &new.url_of(&name)];
        new.run("psql", &count).is_ok_and(|count| count.trim() == "1")
    })
    .await;
    new.promote().unwrap();
    // To an instance with the old one alone in its URL nothing tells.
    store.append(TestOrder::new("old").place()).await.unwrap();
    store.append(TestOrder::new("old-too").place()).await.unwrap();

    for servers in [[&old, &new], [&new, &old]] {
        let url = url_of(servers, &name);
        let store = PostgresStore::open(&url, bus(), QUICK_SERVER).await.unwrap();
        let end = store.end().await.unwrap();
        let order = TestOrder::new(&format!("new-{}", end.0)).place();
        assert_eq!(store.append(order).await, Ok(Position(end.0 + 1)));
        let verified = PostgresStore::verify(&url, &mut |_, _| {}).await.unwrap();
        assert_eq!(verified.events, end.0 + 1);
        store.close().await;
    }
    assert_eq!(store.end().await, Ok(Position(3)), "nothing was added to the old one");
    let alone = PostgresStore::open(&new.url_of(&name), bus(), QUICK_SERVER).await.unwrap();
    assert_eq!(alone.end().await, Ok(Position(3)));
}

/// As with services that replicate in their own way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_tell_its_timeline_is_served_from() {
    let server = PostgresServer::shared().unwrap();
    let url = server.create_database().unwrap();
    PostgresStore::migrate(&url).await.unwrap();
    let (_, name) = url.rsplit_once('/').unwrap();
    let role = format!("untold_of_{name}");
    sql(&url, &format!("CREATE ROLE {role} LOGIN; GRANT ALL ON SCHEMA order_service TO {role}")).await;
    sql(&url, &format!("GRANT ALL ON ALL TABLES IN SCHEMA order_service TO {role}")).await;
    sql(&url, "REVOKE EXECUTE ON FUNCTION pg_current_wal_lsn() FROM PUBLIC").await;
    let url = url.replace("//postgres@", &format!("//{role}@"));
    let options = PostgresOptions { read_connections: 2, ..QUICK_SERVER };
    let store = PostgresStore::open(&url, bus(), options).await.unwrap();
    let end_sessions = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity";
    for n in 1..4 {
        assert_eq!(store.append(TestOrder::new(&format!("o-{n}")).place()).await, Ok(Position(n)));
        server.query(&format!("{end_sessions} WHERE datname = '{name}'")).unwrap();
    }
    assert_eq!(store.end().await, Ok(Position(3)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_answer_is_not_waited_for_where_another_does() {
    let mut silent = PostgresServer::start(test_servers::PostgresOptions::quick()).unwrap();
    let server = PostgresServer::start(test_servers::PostgresOptions::quick()).unwrap();
    let name = server.create_database().unwrap().rsplit_once('/').unwrap().1.to_owned();
    silent.freeze().unwrap();
    let store = PostgresStore::open(&url_of([&silent, &server], &name), bus(), QUICK_SERVER).await.unwrap();
    store.append(TestOrder::new("a").place()).await.unwrap();
    let end_sessions = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity";
    server.query(&format!("{end_sessions} WHERE datname = '{name}'")).unwrap();
    let end: Result<Position, StoreError> = store.end().await;
    assert_eq!(end, Ok(Position(1)));
    silent.thaw().unwrap();
}
