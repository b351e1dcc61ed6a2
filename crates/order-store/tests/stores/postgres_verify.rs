//! Damage that is planted in a database, and what `verify` says of it.

use std::sync::Arc;

use order_application::{EventLog, PageLimit, Version};
use order_domain::{OrderEvent, PaymentDeclined, PaymentId, Reason, Timestamp};
use order_store::{PostgresError, PostgresFault, PostgresStore, VerifyReport};
use test_servers::PostgresServer;
use tokio::sync::Notify;
use tokio_postgres::NoTls;

use crate::order::TestOrder;
use crate::postgres_fixtures::{self, sql};

/// 30 orders: placements at positions 1 to 30, payments at 31 to 60.
async fn paid_orders() -> (String, Arc<PostgresStore>) {
    let (url, store, _) = postgres_fixtures::paid_orders(30).await;
    (url, store)
}

async fn verify(url: &str) -> VerifyReport {
    PostgresStore::verify(url, &mut |_, _| {}).await.unwrap()
}

async fn assert_found(damage: &str, fault: &str) {
    let (url, store) = paid_orders().await;
    store.close().await;
    sql(&url, damage).await;
    let report = verify(&url).await;
    assert!(report.faults.iter().any(|found| found.contains(fault)), "{:?}", report.faults);
}

#[tokio::test]
async fn verify_finds_nothing_wrong_with_a_sound_database() {
    let (url, _store) = paid_orders().await;
    let report = verify(&url).await;
    assert_eq!((report.events, report.orders, report.faults), (60, 30, vec![]));
}

#[tokio::test]
async fn verify_finds_changed_data() {
    let damage = "UPDATE order_service.events SET data = replace(data, '1500', '1499') WHERE position = 4";
    assert_found(damage, "event at position 4: the checksum does not match").await;
}

#[tokio::test]
async fn verify_finds_a_wrong_checksum() {
    let damage = "UPDATE order_service.events SET checksum = set_byte(checksum, 8, get_byte(checksum, 8) # 1) WHERE position = 34";
    assert_found(damage, "event at position 34: the checksum does not match").await;
}

#[tokio::test]
async fn verify_finds_a_deleted_event() {
    let damage = "DELETE FROM order_service.events WHERE position = 34";
    assert_found(damage, "the log has no events at positions 34 to 34").await;
}

#[tokio::test]
async fn verify_finds_a_deleted_event_at_the_end_by_its_view() {
    let damage = "DELETE FROM order_service.events WHERE position = 60";
    assert_found(damage, "order order-29: its view is version 2 of order-29: placed, 3000 cents, ").await;
}

#[tokio::test]
async fn verify_finds_a_gap_between_positions() {
    let damage = "UPDATE order_service.events SET position = 99 WHERE position = 60";
    assert_found(damage, "the log has no events at positions 60 to 98").await;
}

#[tokio::test]
async fn verify_finds_a_wrong_order_key() {
    let damage = "UPDATE order_service.events SET order_key = 1000 WHERE position = 34";
    assert_found(
        damage,
        "order order-3, event at position 34: its key is 1000, and the order begins at position 4",
    )
    .await;
}

#[tokio::test]
async fn verify_finds_a_missing_view() {
    let damage = "DELETE FROM order_service.orders WHERE order_id = 'order-3'";
    assert_found(damage, "order order-3: it has no view").await;
}

#[tokio::test]
async fn verify_finds_a_view_of_no_order() {
    let damage = "INSERT INTO order_service.orders \
                  SELECT 1000, 'ghost', state, 1, customer_id, status, 1, placed_at, updated_at, due_at, on_hold, checksum, \
                  projection, 1000 FROM order_service.orders LIMIT 1";
    assert_found(damage, "order ghost: its view: the checksum does not match").await;
}

#[tokio::test]
async fn verify_finds_a_view_under_another_key() {
    let damage = "UPDATE order_service.orders SET key = 1000 WHERE order_id = 'order-3'";
    assert_found(damage, "order order-3: its view has the key 1000, and it begins at position 4").await;
}

#[tokio::test]
async fn verify_finds_a_wrong_status_in_a_view() {
    let damage = "UPDATE order_service.orders SET status = 'shipped' WHERE order_id = 'order-3'";
    assert_found(damage, "order order-3: its view: the checksum does not match").await;
}

#[tokio::test]
async fn verify_finds_a_view_whose_last_event_is_elsewhere() {
    let damage = "UPDATE order_service.orders SET updated_position = 4 WHERE order_id = 'order-3'";
    let fault = "order order-3: its view says that its last event is at position 4, and it is at 34";
    assert_found(damage, fault).await;
}

#[tokio::test]
async fn verify_finds_a_lost_term() {
    let damage = "DELETE FROM order_service.order_terms WHERE key = 4 AND kind = 'payment'";
    assert_found(damage, "order order-3: it is not found by its payment, \"pay-1\"").await;
}

#[tokio::test]
async fn verify_finds_a_term_too_much_and_leaves_kinds_of_a_newer_release() {
    let damage = "INSERT INTO order_service.order_terms VALUES ('payment', 'other', 4), ('colour', 'red', 4)";
    let (url, store) = paid_orders().await;
    store.close().await;
    sql(&url, damage).await;
    let fault = "order order-3: it is found by a payment that it does not have, or twice, \"other\"";
    assert_eq!(verify(&url).await.faults, [fault]);
}

#[tokio::test]
async fn verify_finds_a_term_that_is_there_twice() {
    let damage = "INSERT INTO order_service.order_terms SELECT * FROM order_service.order_terms WHERE key = 4 AND kind = 'sku'";
    let found = "order order-3: it is found by a sku that it does not have, or twice, \"sku-1\"";
    assert_found(damage, found).await;
}

#[tokio::test]
async fn verify_finds_a_term_of_no_order() {
    let damage = "INSERT INTO order_service.order_terms VALUES ('sku', 'x', 35)";
    assert_found(damage, "a sku, \"x\", leads to position 35, where no order begins").await;
}

#[tokio::test]
async fn a_payment_that_is_declined_and_then_authorised_is_a_term_once() {
    let (url, store) = paid_orders().await;
    let (payment_id, reason) = (PaymentId::new("all").unwrap(), Reason::new("no").unwrap());
    let declined = OrderEvent::PaymentDeclined(PaymentDeclined { payment_id, reason });
    let mut order = TestOrder::new("declined");
    store.append(order.place()).await.unwrap();
    let time = Timestamp::from_micros(1_767_225_600_000_000);
    store.append(order.append_at(time, vec![declined])).await.unwrap();
    store.append(order.pay_all()).await.unwrap();
    store.close().await;
    assert_eq!(verify(&url).await.faults, Vec::<String>::new());
}

#[tokio::test]
async fn verify_finds_wrong_times_of_the_log() {
    let damage = "UPDATE order_service.log_times SET latest = latest - interval '1 microsecond'";
    assert_found(damage, "the log's zone 0: its times are from 20").await;
    let damage = "UPDATE order_service.log_times SET latest = 'infinity'";
    assert_found(damage, "the log's zone 0: its times are none that can be, and its events' from 20").await;
    let damage = "UPDATE order_service.log_times SET zone = 3";
    assert_found(damage, "the log's zone 0: it has no times").await;
    assert_found(damage, "the log's zone 3: it has times, and no events").await;
}

#[tokio::test]
async fn verify_finds_a_view_that_is_older_than_its_events() {
    let (url, store) = paid_orders().await;
    sql(&url, "CREATE TABLE stale AS SELECT * FROM order_service.orders").await;
    let mut order = TestOrder::new("order-3");
    order.replay(&store.read_stream(&order.id, Version::NONE, PageLimit::events(10)).await.unwrap());
    store.append(order.pay(1)).await.unwrap();
    store.close().await;
    sql(&url, "DELETE FROM order_service.orders; INSERT INTO order_service.orders SELECT * FROM stale").await;
    let faults = verify(&url).await.faults;
    assert!(
        matches!(&faults[..], [fault] if fault.starts_with("order order-3: its view is version 2 of order-3: ")
            && fault.contains(", and its events make it version 3 of order-3: ")),
        "{faults:?}"
    );
}

#[tokio::test]
async fn verify_tells_one_fault_once() {
    let (url, store) = paid_orders().await;
    store.close().await;
    sql(&url, "UPDATE order_service.events SET source = 'x' WHERE position = 4").await;
    assert_eq!(verify(&url).await.faults, ["corrupt data: event at position 4: the checksum does not match"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_finds_nothing_wrong_while_orders_are_added_and_changed() {
    let (url, store) = paid_orders().await;
    let enough = Arc::new(Notify::new());
    let writer = tokio::spawn({
        let (store, enough) = (store.clone(), enough.clone());
        async move {
            let mut appends = 0;
            for n in 0.. {
                let mut order = TestOrder::new(&format!("new-{n}"));
                for append in [order.place(), order.pay(2), order.pay(1)] {
                    tokio::select! {
                        appended = store.append(append) => drop(appended.unwrap()),
                        () = enough.notified() => return appends,
                    }
                    appends += 1;
                }
            }
            appends
        }
    });
    for _ in 0..20 {
        assert_eq!(verify(&url).await.faults, Vec::<String>::new());
    }
    enough.notify_one();
    assert!(writer.await.unwrap() > 20, "nothing was written meanwhile");
}

#[tokio::test]
async fn verify_of_another_schema_is_one_clear_line() {
    let (url, store) = paid_orders().await;
    store.close().await;
    sql(&url, "INSERT INTO order_service.migrations VALUES (99, 99)").await;
    let newer = PostgresStore::verify(&url, &mut |_, _| {}).await;
    assert!(
        matches!(newer, Err(PostgresError { fault: PostgresFault::Newer { found: 99, .. }, .. })),
        "{newer:?}"
    );
    sql(&url, "DELETE FROM order_service.migrations WHERE version > 1").await;
    let older = PostgresStore::verify(&url, &mut |_, _| {}).await.unwrap_err();
    assert!(matches!(older.fault, PostgresFault::Older { found: 1, .. }), "{older:?}");
    assert!(older.to_string().contains("run `order-service migrate` first"), "{older}");
}

#[tokio::test]
async fn verify_makes_nothing_in_an_empty_database() {
    let url = PostgresServer::shared().unwrap().create_database().unwrap();
    for _ in 0..2 {
        let nothing = PostgresStore::verify(&url, &mut |_, _| {}).await;
        assert!(matches!(nothing, Err(PostgresError { fault: PostgresFault::NoStore, .. })), "{nothing:?}");
    }
}

#[tokio::test]
async fn verify_goes_past_what_the_database_cannot_read_and_names_it() {
    let (url, store) = paid_orders().await;
    store.close().await;
    // As if the pages of these rows were damaged.
    sql(
        &url,
        "CREATE FUNCTION order_service.page_of(number bigint, damaged bigint[], value text) RETURNS text \
             LANGUAGE plpgsql STABLE AS $$ BEGIN \
                 IF number = ANY(damaged) THEN RAISE data_corrupted USING MESSAGE = 'invalid page'; END IF; \
                 RETURN value; \
             END $$; \
         ALTER TABLE order_service.events RENAME TO stored_events; \
         CREATE VIEW order_service.events AS SELECT position, order_key, version, id, type, time, order_id, \
             order_service.page_of(position, '{3,34,35,60}', data) AS data, context, source, checksum \
             FROM order_service.stored_events; \
         ALTER TABLE order_service.orders RENAME TO stored_orders; \
         CREATE VIEW order_service.orders AS SELECT key, order_id, state, version, \
             order_service.page_of(key, '{7}', customer_id) AS customer_id, status, total_cents, placed_at, updated_at, due_at, \
             on_hold, checksum, projection, updated_position FROM order_service.stored_orders",
    )
    .await;
    let report = verify(&url).await;
    for position in [3, 34, 35, 60] {
        let fault = format!("event at position {position}: it cannot be read: ");
        let told = report.faults.iter().filter(|found| found.starts_with(&fault)).count();
        assert_eq!(told, 1, "{fault} {:?}", report.faults);
    }
    let view = "order order-6: its view cannot be read: ";
    assert!(report.faults.iter().any(|found| found.starts_with(view)), "{:?}", report.faults);
    assert_eq!(report.events, 56);
    // Of orders of which nothing is wrong, nothing is said.
    let sound = |n: usize| [3, 34, 35, 60].iter().all(|position| (position - 1) % 30 != n) && n != 6;
    for n in (0..30).filter(|n| sound(*n)) {
        assert!(
            !report.faults.iter().any(|found| found.contains(&format!("order-{n}:"))),
            "{:?}",
            report.faults
        );
    }
}

#[tokio::test]
async fn verify_names_an_order_that_begins_twice() {
    let damage = "DROP INDEX order_service.order_beginnings; \
                  INSERT INTO order_service.events SELECT 61, 61, 1, id, type, time, order_id, data, context, source, \
                  checksum FROM order_service.events WHERE position = 4";
    assert_found(damage, "order order-3, event at position 61: version 1 where 3 should be").await;
}

#[tokio::test]
async fn verify_changes_nothing() {
    let (url, store) = paid_orders().await;
    store.close().await;
    sql(
        &url,
        "UPDATE order_service.orders SET status = 'shipped', projection = 0 WHERE key < 5; \
         DELETE FROM order_service.orders WHERE key = 7; \
         CREATE TABLE before AS TABLE order_service.orders",
    )
    .await;
    assert_eq!(verify(&url).await.faults.len(), 5);
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let differences = "SELECT (SELECT count(*) FROM (TABLE before EXCEPT TABLE order_service.orders) a) \
                       + (SELECT count(*) FROM (TABLE order_service.orders EXCEPT TABLE before) b)";
    assert_eq!(client.query_one(differences, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn verify_of_a_store_without_events_finds_nothing_wrong() {
    let url = PostgresServer::shared().unwrap().create_database().unwrap();
    PostgresStore::migrate(&url).await.unwrap();
    let report = verify(&url).await;
    assert_eq!((report.events, report.faults), (0, vec![]));
}
