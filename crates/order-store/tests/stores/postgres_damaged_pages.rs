//! Pages that the server itself cannot read, as a failing disk leaves them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use futures_util::future::join_all;
use order_application::EventLog;
use order_store::PostgresStore;
use test_servers::{PostgresOptions, PostgresServer};
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

use crate::contract::bus;
use crate::order::TestOrder;
use crate::postgres::QUICK_SERVER;

const PAGE: usize = 8192;
/// So many that the index over the orders' keys has pages between its first and its last.
const ORDERS: usize = 1_000;

async fn session(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A server of its own with orders that were placed one after the other, and views that are all wrong.
async fn wrong_views() -> (PostgresServer, String) {
    let server = PostgresServer::start(PostgresOptions::quick()).unwrap();
    let url = server.create_database().unwrap();
    let store = PostgresStore::open(&url, bus(), QUICK_SERVER).await.unwrap();
    let placed = (0..ORDERS).map(|n| store.append(TestOrder::new(&format!("order-{n}")).place()));
    assert!(join_all(placed).await.iter().all(Result::is_ok));
    store.close().await;
    let client = session(&url).await;
    client
        .batch_execute(
            "CREATE TABLE before AS TABLE order_service.orders; \
             UPDATE order_service.orders SET status = 'shipped'; \
             ALTER ROLE CURRENT_USER SET enable_seqscan = off",
        )
        .await
        .unwrap();
    (server, url)
}

/// Writes over the first and the last page below an index's root.
async fn damage_ends_of_index(server: &mut PostgresServer, url: &str, index: &str) {
    let file = format!("SELECT pg_relation_filepath('{index}')");
    let file: String = session(url).await.query_one(&file, &[]).await.unwrap().get(0);
    server.stop().unwrap();
    let file = File::options().write(true).open(server.directory().join("data").join(file)).unwrap();
    let pages = file.metadata().unwrap().len() / PAGE as u64;
    assert!(pages > 4, "there is no page between the first and the last");
    for page in [1, pages - 1] {
        file.write_all_at(&[0xff; PAGE], page * PAGE as u64).unwrap();
    }
    server.start_again().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_goes_past_the_damaged_ends_of_an_index() {
    let (mut server, url) = wrong_views().await;
    damage_ends_of_index(&mut server, &url, "order_service.events_order_key_version_key").await;
    let mut progress = |_, _| {};
    let rebuild = PostgresStore::rebuild(&url, &mut progress);
    let report = timeout(Duration::from_secs(60), rebuild).await.expect("it ends").unwrap();
    assert_eq!(report.orders, ORDERS as u64);
    let right = "SELECT count(*) FROM order_service.orders o JOIN before b USING (key) WHERE o = b";
    let right: i64 = session(&url).await.query_one(right, &[]).await.unwrap().get(0);
    assert!(right > 0, "nothing was made anew");
    assert_eq!(report.unreadable, (ORDERS as i64 - right).cast_unsigned());
}
