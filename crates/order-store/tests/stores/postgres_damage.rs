//! Damage to the table of views: it is noticed, it reaches no decision, and what is not damaged is served.

use order_application::{
    AppendError, EventLog, ListQuery, OrderViews, PageLimit, Position, StoreError, Unreadable, Version,
};

use crate::order::TestOrder;
use crate::postgres_fixtures::{paid_orders, sql};

const ALL: PageLimit = PageLimit { events: 10_000, bytes: usize::MAX };

fn is_damaged<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::DamagedView(_)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_row_is_lost_or_changed_is_an_error_and_no_other_is() {
    for damage in [
        "DELETE FROM order_service.orders WHERE key = 2",
        "UPDATE order_service.orders SET total_cents = total_cents + 1 WHERE key = 2",
        "UPDATE order_service.orders SET order_id = 'order-7' WHERE key = 2",
        "UPDATE order_service.orders SET key = 1000 WHERE key = 2",
        "UPDATE order_service.orders SET checksum = '' WHERE key = 2",
        "UPDATE order_service.orders SET projection = 99 WHERE key = 2",
        "UPDATE order_service.orders o SET version = 1, status = 'shipped' WHERE key = 2",
    ] {
        let (url, store, orders) = paid_orders(3).await;
        sql(&url, damage).await;
        // All at once, so that they share round trips.
        let (first, second, third) =
            tokio::join!(store.one(&orders[0].id), store.one(&orders[1].id), store.one(&orders[2].id));
        assert!(is_damaged(&second), "{damage}: {second:?}");
        assert_eq!(
            (first, third),
            (Ok(Some(orders[0].summary())), Ok(Some(orders[2].summary()))),
            "{damage}"
        );
        // These ask the log.
        assert_eq!(store.version(&orders[1].id).await, Ok(Version(2)), "{damage}");
        assert_eq!(store.read_stream(&orders[1].id, Version::NONE, ALL).await.unwrap().len(), 2, "{damage}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_changed_places_are_nobodys() {
    let (url, store, orders) = paid_orders(3).await;
    let swap = "UPDATE order_service.orders SET key = -1 WHERE key = 1; \
                UPDATE order_service.orders SET key = 1 WHERE key = 2; \
                UPDATE order_service.orders SET key = 2 WHERE key = -1";
    sql(&url, swap).await;
    let (first, second) = tokio::join!(store.one(&orders[0].id), store.one(&orders[1].id));
    assert!(is_damaged(&first) && is_damaged(&second), "{first:?} {second:?}");
    assert_eq!(store.one(&orders[2].id).await, Ok(Some(orders[2].summary())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_damage_lets_an_order_be_placed_twice() {
    let (url, store, orders) = paid_orders(3).await;
    sql(&url, "TRUNCATE order_service.orders").await;
    for order in &orders {
        let again = store.append(TestOrder::new(order.id.as_str()).place()).await;
        assert_eq!(again, Err(AppendError::Conflict { current: Version(2) }));
    }
    assert_eq!(store.end().await, Ok(Position(6)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_makes_its_orders_row_anew_whatever_is_in_its_place() {
    let (url, store, mut orders) = paid_orders(3).await;
    let damage = "DELETE FROM order_service.orders WHERE key = 1; \
                  UPDATE order_service.orders SET order_id = 'x', version = 77, state = 'damaged' WHERE key = 2";
    sql(&url, damage).await;
    for order in &mut orders {
        store.append(order.pay(1)).await.unwrap();
        assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_beyond_the_end_of_the_log_are_in_nobodys_way() {
    let (url, store, _) = paid_orders(3).await;
    let ghosts = "INSERT INTO order_service.orders SELECT key + 6, order_id, state, version, customer_id, status, \
                  total_cents, placed_at, updated_at, due_at, on_hold, checksum, projection, key + 6 \
                  FROM order_service.orders";
    sql(&url, ghosts).await;
    let mut order = TestOrder::new("new");
    assert_eq!(store.append(order.place()).await, Ok(Position(7)));
    assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_leave_out_damaged_rows_and_count_them() {
    let (url, store, orders) = paid_orders(5).await;
    let damage = "UPDATE order_service.orders SET status = 'shipped' WHERE key = 2; \
                  UPDATE order_service.orders SET order_id = '' WHERE key = 4";
    sql(&url, damage).await;
    let page = store.many(&ListQuery::placed_after(Position::START, 4)).await.unwrap();
    let listed: Vec<_> = page.orders.into_iter().map(|listed| listed.summary).collect();
    assert_eq!(listed, [orders[0].summary(), orders[2].summary()]);
    assert_eq!((page.left_out, page.next), (2, Some(Position(4))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_the_log_ends_before_an_event_that_cannot_be_read_and_is_corrupt_where_that_is_the_first() {
    for damage in [
        "DELETE FROM order_service.events WHERE position = 5",
        "UPDATE order_service.events SET source = 'x' WHERE position = 5",
        "UPDATE order_service.events SET order_id = '' WHERE position = 5",
        "CREATE FUNCTION order_service.page_of(number bigint, value text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN \
             IF number = 5 THEN RAISE data_corrupted USING MESSAGE = 'invalid page'; END IF; \
             RETURN value; \
         END $$; \
         ALTER TABLE order_service.events RENAME TO stored_events; \
         CREATE VIEW order_service.events AS SELECT position, order_key, version, id, type, time, order_id, \
             order_service.page_of(position, data) AS data, context, source, checksum FROM order_service.stored_events",
    ] {
        let (url, store, _) = paid_orders(3).await;
        sql(&url, damage).await;
        let (mut after, mut positions) = (Position::START, Vec::new());
        let error = loop {
            match store.read_log(after, ALL).await {
                Ok(page) => positions.extend(page.iter().map(|event| event.position.0)),
                Err(error) => break error,
            }
            after = Position(positions.len() as u64);
        };
        assert_eq!(positions, [1, 2, 3, 4], "{damage}");
        assert!(matches!(error, StoreError::Corrupt(_)), "{damage}: {error:?}");
        assert_eq!(store.read_log(Position(5), ALL).await.unwrap().len(), 1, "{damage}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_that_the_log_lacks_is_corrupt() {
    let (url, store, orders) = paid_orders(3).await;
    sql(&url, "DELETE FROM order_service.events WHERE position = 5").await;
    let gap = Err(StoreError::Corrupt("no event at position 5".to_owned()));
    assert_eq!(store.read_log(Position(4), ALL).await, gap);
    for beyond in [6, 7, u64::MAX >> 1, u64::MAX] {
        assert_eq!(store.read_log(Position(beyond), ALL).await, Ok(vec![]));
        assert_eq!(store.read_stream(&orders[0].id, Version(beyond), ALL).await, Ok(vec![]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_lacks_an_event_is_corrupt() {
    let (url, store, mut orders) = paid_orders(3).await;
    store.append(orders[1].pay(1)).await.unwrap();
    sql(&url, "DELETE FROM order_service.events WHERE position = 5").await;
    let read = store.read_stream(&orders[1].id, Version::NONE, ALL).await;
    assert_eq!(read, Err(StoreError::Corrupt("order order-1 has no event of version 2".to_owned())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_under_another_orders_key_is_corrupt() {
    let (url, store, orders) = paid_orders(3).await;
    let swap = "UPDATE order_service.events SET order_key = -1 WHERE position = 4; \
                UPDATE order_service.events SET order_key = 1 WHERE position = 5; \
                UPDATE order_service.events SET order_key = 2 WHERE position = 4";
    sql(&url, swap).await;
    let foreign = StoreError::Corrupt("order order-0 has an event of order order-1 at position 5".to_owned());
    let read = store.read_stream(&orders[0].id, Version::NONE, ALL).await;
    assert_eq!(read, Err(foreign));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_of_an_order_that_is_damaged_is_corrupt_and_no_unchecked_row_says_so() {
    let (url, store, mut orders) = paid_orders(3).await;
    let mut append = orders[0].pay(1);
    let why = Unreadable::Damaged;
    let unreadable =
        order_application::UnreadableOrder { order_id: append.order_id.clone(), version: Version(3), why };
    append.view = order_application::OrderView::Unreadable(unreadable);
    store.append(append).await.unwrap();
    for after in [Version::NONE, Version(3)] {
        let read = store.read_stream(&orders[0].id, after, ALL).await;
        assert_eq!(read, Err(why.error(&orders[0].id)));
    }
    sql(&url, "UPDATE order_service.orders SET state = 'damaged' WHERE key = 2").await;
    assert!(is_damaged(&store.read_stream(&orders[1].id, Version::NONE, ALL).await));
}
