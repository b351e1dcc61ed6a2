//! Pages that the server itself cannot read, as a failing disk leaves them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use futures_util::future::join_all;
use order_application::{EventLog, OrderViews, StoreError};
use order_store::PostgresStore;
use test_servers::{PostgresOptions, PostgresServer};
use tokio::time::timeout;

use crate::contract::bus;
use crate::order::TestOrder;
use crate::postgres::QUICK_SERVER;
use crate::postgres_fixtures::{session, sql};
use crate::postgres_views::wait_until_current;

const PAGE: usize = 8192;
/// So many that the index over the orders' keys has pages between its first and its last.
const ORDERS: usize = 1_000;

/// A server of its own with orders that were placed one after the other. It reads no more than it needs.
async fn placed_orders() -> (PostgresServer, String) {
    let server = PostgresServer::start(PostgresOptions::quick()).unwrap();
    let url = server.create_database().unwrap();
    let store = PostgresStore::open(&url, bus(), QUICK_SERVER).await.unwrap();
    let placed = (0..ORDERS).map(|n| store.append(TestOrder::new(&format!("order-{n}")).place()));
    assert!(join_all(placed).await.iter().all(Result::is_ok));
    store.close().await;
    sql(
        &url,
        "CREATE TABLE before AS TABLE order_service.orders; \
         ALTER ROLE CURRENT_USER SET enable_seqscan = off; ALTER ROLE CURRENT_USER SET enable_hashjoin = off; \
         ALTER ROLE CURRENT_USER SET enable_mergejoin = off",
    )
    .await;
    (server, url)
}

/// Writes over two pages of a table or an index, of so many as it has.
async fn damage(server: &mut PostgresServer, url: &str, relation: &str, which: fn(u64) -> [u64; 2]) {
    let file = "SELECT pg_relation_filepath($1::text::regclass)";
    let file: String = session(url).await.query_one(file, &[&relation]).await.unwrap().get(0);
    server.stop().unwrap();
    let file = File::options().write(true).open(server.directory().join("data").join(file)).unwrap();
    let pages = file.metadata().unwrap().len() / PAGE as u64;
    assert!(pages > 4, "{relation} has too few pages");
    for page in which(pages) {
        file.write_all_at(&[0xff; PAGE], page * PAGE as u64).unwrap();
    }
    server.start_again().unwrap();
}

/// How many rows are what they were, on pages that can be read.
async fn right_rows(url: &str) -> u64 {
    let client = session(url).await;
    client.batch_execute("SET zero_damaged_pages = on; SET enable_seqscan = on").await.unwrap();
    let right = "SELECT count(*) FROM order_service.orders o JOIN before b USING (key) WHERE o = b";
    client.query_one(right, &[]).await.unwrap().get::<_, i64>(0).cast_unsigned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_goes_past_the_damaged_ends_of_an_index() {
    let (mut server, url) = placed_orders().await;
    sql(&url, "UPDATE order_service.orders SET status = 'shipped'").await;
    // The leaves at both ends; page 0 is about the index.
    damage(&mut server, &url, "order_service.events_order_key_version_key", |pages| [1, pages - 1]).await;
    let mut progress = |_, _| {};
    let rebuild = PostgresStore::rebuild(&url, &mut progress);
    let report = timeout(Duration::from_secs(60), rebuild).await.expect("it ends").unwrap();
    let right = right_rows(&url).await;
    assert!(right > 0, "nothing was repaired");
    assert_eq!((report.orders, report.unreadable), (ORDERS as u64, ORDERS as u64 - right));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_pages_keep_no_other_rows_of_an_older_release_from_being_made_anew() {
    for table in ["order_service.events", "order_service.orders"] {
        let (mut server, url) = placed_orders().await;
        let older = "UPDATE order_service.orders SET projection = 0, status = 'shipped'; \
                     UPDATE order_service.log SET outdated_from = 2";
        sql(&url, older).await;
        damage(&mut server, &url, table, |pages| [1, pages / 2]).await;
        let store = PostgresStore::open(&url, bus(), QUICK_SERVER).await.unwrap();
        wait_until_current(&store).await;
        let right = right_rows(&url).await;
        assert!(right > ORDERS as u64 / 2, "{table}: {right} were repaired");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_on_a_damaged_page_spoils_no_look_up_that_shares_its_round_trip() {
    let (mut server, url) = placed_orders().await;
    damage(&mut server, &url, "order_service.orders", |pages| [1, pages / 2]).await;
    let store = PostgresStore::open(&url, bus(), QUICK_SERVER).await.unwrap();
    let ids: Vec<_> = (0..ORDERS).map(|n| TestOrder::new(&format!("order-{n}")).id).collect();
    let found = join_all(ids.iter().map(|id| store.one(id))).await;
    let corrupt = found.iter().filter(|one| matches!(one, Err(StoreError::Corrupt(_)))).count();
    let right = found.iter().filter(|one| matches!(one, Ok(Some(_)))).count();
    assert_eq!((right as u64, right + corrupt), (right_rows(&url).await, ORDERS));
}
