//! Views that are repaired: single ones that were found damaged.

use std::collections::HashSet;
use std::time::Duration;

use order_application::{ListQuery, OrderViews, Position, ViewRepair, ViewsState};
use order_domain::OrderId;
use order_store::PostgresStore;
use tokio::time::timeout;

use crate::order::TestOrder;
use crate::postgres_fixtures::{faults, paid_orders, session, sql};
use crate::scrubbing::one_pass;

/// Waits until a store answers for an order what it should.
pub(crate) async fn wait_until_right(store: &PostgresStore, order: &TestOrder) {
    let right = async {
        while store.one(&order.id).await != Ok(Some(order.summary())) {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), right).await.expect("it is repaired");
}

pub(crate) async fn wait_until_current(store: &PostgresStore) {
    let current = async {
        while store.views().state != ViewsState::Current {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), current).await.expect("they are rebuilt");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_row_that_a_read_met_is_repaired_by_itself() {
    for damage in [
        "DELETE FROM order_service.orders WHERE key = 2",
        "UPDATE order_service.orders SET status = 'shipped' WHERE key = 2",
        "UPDATE order_service.orders SET key = 1000 WHERE key = 2",
        "UPDATE order_service.orders SET version = 3 WHERE key = 2",
        "UPDATE order_service.orders SET state = 'damaged' WHERE key = 2",
        "UPDATE order_service.orders SET projection = 99 WHERE key = 2",
        "UPDATE order_service.orders SET updated_position = 1 WHERE key = 2",
    ] {
        let (url, store, orders) = paid_orders(3).await;
        sql(&url, damage).await;
        assert!(store.one(&orders[1].id).await.is_err(), "{damage}");
        assert_ne!(store.views().state, ViewsState::Failed);
        wait_until_right(&store, &orders[1]).await;
    }
}

/// A machine that vanishes between the statement and its commit cannot be had, so this looks at what the server would do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_mends_and_vanishes_keeps_the_logs_end_for_a_second_at_most() {
    let (url, store, orders) = paid_orders(3).await;
    sql(
        &url,
        "CREATE TABLE settings AS SELECT ''::text AS idle, ''::text AS statement; \
         CREATE FUNCTION order_service.note_settings() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             UPDATE settings SET idle = current_setting('idle_in_transaction_session_timeout'), \
                 statement = current_setting('statement_timeout'); \
             RETURN NULL; \
         END $$; \
         CREATE TRIGGER note_settings AFTER INSERT ON order_service.orders \
             FOR EACH ROW EXECUTE FUNCTION order_service.note_settings(); \
         DELETE FROM order_service.orders WHERE key = 2",
    )
    .await;
    assert!(store.one(&orders[1].id).await.is_err());
    wait_until_right(&store, &orders[1]).await;
    let settings = session(&url).await.query_one("SELECT idle, statement FROM settings", &[]).await.unwrap();
    assert_eq!((settings.get(0), settings.get(1)), ("1s", "0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_rows_that_a_list_met_are_repaired_by_themselves() {
    let (url, store, orders) = paid_orders(5).await;
    sql(&url, "UPDATE order_service.orders SET order_id = '' WHERE key IN (2, 4)").await;
    let repaired = async {
        loop {
            let page = store.many(&ListQuery::placed_after(Position::START, 10)).await.unwrap();
            if page.left_out == 0 {
                break page.orders.into_iter().map(|listed| listed.summary).collect::<Vec<_>>();
            }
        }
    };
    let repaired = timeout(Duration::from_secs(20), repaired).await.expect("they are repaired");
    assert_eq!(repaired, orders.iter().map(TestOrder::summary).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_found_damaged_is_repaired_when_they_ask_for_it() {
    let (url, store, orders) = paid_orders(3).await;
    sql(&url, "TRUNCATE order_service.orders").await;
    let ids: Vec<OrderId> = orders.iter().map(|order| order.id.clone()).collect();
    store.repair_views(&ids, &[], "a test asks for it").await.unwrap();
    wait_until_current(&store).await;
    assert_eq!(faults(&url).await, Vec::<String>::new());
}

/// As many as one page of the table has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_lost_side_by_side_are_repaired_within_one_pass_without_anybody_reading_them() {
    let (url, store, _orders) = paid_orders(60).await;
    sql(&url, "DELETE FROM order_service.orders WHERE key BETWEEN 11 AND 50").await;
    assert_eq!(one_pass(&store).await, 40);
    wait_until_current(&store).await;
    assert_eq!(faults(&url).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_lists_have_lost_is_repaired_within_one_pass_without_anybody_reading_it() {
    for damage in [
        "DELETE FROM order_service.order_terms WHERE key = 20 AND kind = 'payment'",
        "UPDATE order_service.orders SET updated_position = 1 WHERE key = 20",
        "UPDATE order_service.log_times SET latest = '2026-01-01T00:00:00.000000Z'",
        "DELETE FROM order_service.log_times",
    ] {
        let (url, store, _orders) = paid_orders(30).await;
        sql(&url, damage).await;
        assert!(one_pass(&store).await > 0, "{damage}");
        wait_until_current(&store).await;
        assert_eq!(faults(&url).await, Vec::<String>::new(), "{damage}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_with_other_orders_keys_are_repaired_within_one_pass() {
    let (url, store, _orders) = paid_orders(60).await;
    // One to where the log has an event that begins no order, one beyond the log's end.
    let move_rows = "UPDATE order_service.orders SET key = 90 WHERE key = 20; \
                     UPDATE order_service.orders SET key = 1000 WHERE key = 30";
    sql(&url, move_rows).await;
    assert_eq!(one_pass(&store).await, 4, "each is missing at one place and too much at another");
    wait_until_current(&store).await;
    assert_eq!(faults(&url).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_terms_of_an_order_are_repaired_with_its_row() {
    let (url, store, orders) = paid_orders(3).await;
    let damage = "DELETE FROM order_service.order_terms WHERE key = 2 AND kind = 'payment'; \
                  UPDATE order_service.order_terms SET value = 'x' WHERE key = 2 AND kind = 'sku'";
    sql(&url, damage).await;
    store.repair_views(&[orders[1].id.clone()], &[], "a test asks for it").await.unwrap();
    wait_until_current(&store).await;
    assert_eq!(faults(&url).await, Vec::<String>::new());
}

/// Waits until the rows have been looked at again and again: so many statements are far more than what it takes to go over three
/// orders.
pub(crate) async fn see_looks(url: &str, check: impl Fn()) {
    let (client, mut statements) = (session(url).await, HashSet::new());
    let begun = "SELECT query_start::text FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid() AND query_start IS NOT NULL";
    while statements.len() < 100 {
        check();
        let seen = client.query(begun, &[]).await.unwrap();
        statements.extend(seen.iter().map(|row| row.get::<_, String>(0)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_row_is_repaired_also_if_somebody_was_writing_it_and_takes_that_back() {
    let (url, store, orders) = paid_orders(3).await;
    sql(&url, "UPDATE order_service.orders SET status = 'shipped' WHERE key = 2").await;
    let mut writer = session(&url).await;
    let writing = writer.transaction().await.unwrap();
    writing.execute("SELECT FROM order_service.orders WHERE key = 2 FOR UPDATE", &[]).await.unwrap();
    store.repair_views(&[orders[1].id.clone()], &[], "a test asks for it").await.unwrap();
    see_looks(&url, || assert_eq!(store.views().state, ViewsState::Rebuilding)).await;
    writing.rollback().await.unwrap();
    wait_until_current(&store).await;
    assert_eq!(faults(&url).await, Vec::<String>::new());
}
