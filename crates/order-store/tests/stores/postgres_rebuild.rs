//! All views of a database made anew from the events: on demand, after an upgrade, and beside commands.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use order_application::{
    EventLog, ListQuery, OrderViews, PROJECTION_VERSION, PageLimit, Position, StoreError, Version, ViewRepair,
};
use order_store::PostgresStore;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::postgres_fixtures::{faults, open, paid_orders, session, sql};
use crate::postgres_views::{see_looks, wait_until_current, wait_until_right};

const ALL: PageLimit = PageLimit { events: 10_000, bytes: usize::MAX };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_makes_every_row_what_the_log_makes_of_it() {
    let (url, store, orders) = paid_orders(450).await;
    store.close().await;
    sql(
        &url,
        "CREATE TABLE before AS TABLE order_service.orders; \
         DELETE FROM order_service.orders WHERE key % 7 = 0; \
         UPDATE order_service.orders SET version = version + 1 WHERE key % 7 = 1; \
         UPDATE order_service.orders SET total_cents = 1, checksum = 'x' WHERE key % 7 = 2; \
         UPDATE order_service.orders SET key = key + 10000 WHERE key % 7 = 3; \
         INSERT INTO order_service.orders SELECT -key, order_id, state, version, customer_id, status, total_cents, \
         placed_at, updated_at, due_at, on_hold, checksum, projection, key FROM before; \
         UPDATE order_service.orders SET projection = 0 WHERE key % 7 = 4",
    )
    .await;
    let mut told = Vec::new();
    let report = PostgresStore::rebuild(&url, &mut |done, total| told.push((done, total))).await.unwrap();
    assert_eq!((report.events, report.orders, report.unreadable), (900, 450, 0));
    let client = session(&url).await;
    let differences = "SELECT count(*) FROM (TABLE before EXCEPT TABLE order_service.orders) d";
    assert_eq!(client.query_one(differences, &[]).await.unwrap().get::<_, i64>(0), 0);
    assert_eq!(faults(&url).await, Vec::<String>::new());
    assert_eq!(told.last(), Some(&(900, 900)));
    assert!(told.is_sorted(), "{told:?}");

    client
        .batch_execute("CREATE TABLE seen AS SELECT key, xmin::text AS writer FROM order_service.orders")
        .await
        .unwrap();
    PostgresStore::rebuild(&url, &mut |_, _| {}).await.unwrap();
    let written =
        "SELECT count(*) FROM seen s JOIN order_service.orders o USING (key) WHERE o.xmin::text <> s.writer";
    let written = client.query_one(written, &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(written, 0, "what is right is left as it is");
    let store = open(&url).await;
    assert_eq!(store.one(&orders[3].id).await, Ok(Some(orders[3].summary())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_makes_anew_what_lists_are_found_by() {
    let (url, store, _) = paid_orders(450).await;
    store.close().await;
    sql(
        &url,
        "CREATE TABLE terms AS TABLE order_service.order_terms; CREATE TABLE times AS TABLE order_service.log_times; \
         UPDATE order_service.orders SET updated_position = key WHERE key % 7 = 0; \
         DELETE FROM order_service.order_terms WHERE key % 7 = 1; \
         UPDATE order_service.order_terms SET value = 'x' WHERE key % 7 = 2; \
         INSERT INTO order_service.order_terms SELECT * FROM terms WHERE key % 7 = 3; \
         UPDATE order_service.order_terms SET key = key + 450 WHERE key % 7 = 4; \
         INSERT INTO order_service.order_terms SELECT kind, value, 900 + key FROM terms; \
         INSERT INTO order_service.order_terms SELECT 'colour', 'red', key FROM terms WHERE kind = 'sku' AND key > 900; \
         UPDATE order_service.log_times SET earliest = earliest - interval '1 day'; \
         INSERT INTO order_service.log_times SELECT n, earliest, latest FROM order_service.log_times, unnest('{-1,1,9}'::bigint[]) n",
    )
    .await;
    assert!(faults(&url).await.len() > 1_000);
    PostgresStore::rebuild(&url, &mut |_, _| {}).await.unwrap();
    assert_eq!(faults(&url).await, Vec::<String>::new());
    let differences = "SELECT (SELECT count(*) FROM (TABLE terms EXCEPT ALL TABLE order_service.order_terms) a) \
                       + (SELECT count(*) FROM (TABLE order_service.order_terms EXCEPT ALL TABLE terms) b) \
                       + (SELECT count(*) FROM (TABLE times EXCEPT TABLE order_service.log_times) c)";
    assert_eq!(session(&url).await.query_one(differences, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_loses_its_connections_goes_on_where_it_was() {
    let (url, store, _) = paid_orders(450).await;
    store.close().await;
    sql(&url, "UPDATE order_service.orders SET status = 'shipped'").await;
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut told = Vec::new();
    let mut progress = |done: u64, _| {
        if told.is_empty() {
            block_in_place(|| Handle::current().block_on(sql(&url, kill)));
        }
        told.push(done);
    };
    PostgresStore::rebuild(&url, &mut progress).await.unwrap();
    assert!(told.len() > 2 && told.is_sorted(), "{told:?}");
    assert_eq!(faults(&url).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_somebody_is_writing_is_waited_for() {
    let (url, store, _) = paid_orders(3).await;
    store.close().await;
    sql(&url, "UPDATE order_service.orders SET status = 'shipped'").await;
    let mut writer = session(&url).await;
    let writing = writer.transaction().await.unwrap();
    writing.execute("SELECT FROM order_service.orders WHERE key = 2 FOR UPDATE", &[]).await.unwrap();
    let rebuilding = tokio::spawn({
        let url = url.clone();
        async move { PostgresStore::rebuild(&url, &mut |_, _| {}).await }
    });
    see_looks(&url, || assert!(!rebuilding.is_finished(), "it has left the row as it is")).await;
    writing.rollback().await.unwrap();
    rebuilding.await.unwrap().unwrap();
    assert_eq!(faults(&url).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_event_makes_its_order_damaged_and_no_other() {
    let (url, store, orders) = paid_orders(5).await;
    sql(&url, "UPDATE order_service.events SET source = 'x' WHERE position = 7").await;
    assert_eq!(PostgresStore::rebuild(&url, &mut |_, _| {}).await.unwrap().unreadable, 1);
    for (n, order) in orders.iter().enumerate() {
        let (one, stream) = (store.one(&order.id).await, store.read_stream(&order.id, Version(2), ALL).await);
        if n == 1 {
            assert!(matches!(one, Err(StoreError::Corrupt(_))), "{one:?}");
            assert!(matches!(stream, Err(StoreError::Corrupt(_))), "{stream:?}");
        } else {
            assert_eq!((one, stream), (Ok(Some(order.summary())), Ok(vec![])));
        }
    }
    assert_eq!(store.many(&ListQuery::placed_after(Position::START, 10)).await.unwrap().left_out, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_the_database_cannot_read_keeps_no_other_order_from_being_made_anew() {
    for error in ["data_corrupted", "io_error", "internal_error"] {
        assert_others_are_made_anew(error).await;
    }
}

async fn assert_others_are_made_anew(error: &str) {
    let (url, store, orders) = paid_orders(300).await;
    store.close().await;
    let damage = "CREATE TABLE before AS TABLE order_service.orders; \
         UPDATE order_service.orders SET projection = 0, status = 'shipped'; \
         CREATE FUNCTION order_service.page_of(number bigint, value text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN \
             IF number IN (7, 250) THEN RAISE ERROR_OF_SERVER USING MESSAGE = 'invalid page'; END IF; \
             RETURN value; \
         END $$; \
         ALTER TABLE order_service.events RENAME TO stored_events; \
         CREATE VIEW order_service.events AS SELECT position, order_key, version, id, type, time, order_id, \
             order_service.page_of(position, data) AS data, context, source, checksum FROM order_service.stored_events";
    sql(&url, &damage.replace("ERROR_OF_SERVER", error)).await;
    let report = PostgresStore::rebuild(&url, &mut |_, _| {}).await.unwrap();
    assert_eq!((report.orders, report.unreadable), (300, 2));
    let left = "SELECT array_agg(o.key ORDER BY o.key) FROM order_service.orders o JOIN before b USING (key) WHERE o <> b";
    let left = session(&url).await.query_one(left, &[]).await.unwrap().get::<_, Vec<i64>>(0);
    assert_eq!(left, [7, 250]);

    // Nor do those that are repaired with it.
    let store = open(&url).await;
    sql(&url, "UPDATE order_service.orders SET status = 'shipped' WHERE key < 20").await;
    store
        .repair_views(
            &orders.iter().map(|order| order.id.clone()).collect::<Vec<_>>(),
            &[],
            "a test asks for it",
        )
        .await
        .unwrap();
    wait_until_right(&store, &orders[18]).await;
    wait_until_right(&store, &orders[0]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_beginnings_of_one_order_quarantine_that_order_alone() {
    let (url, store, mut orders) = paid_orders(3).await;
    sql(
        &url,
        "DROP INDEX order_service.order_beginnings; \
         CREATE INDEX order_beginnings ON order_service.events (order_id) INCLUDE (position) WHERE version = 1; \
         INSERT INTO order_service.events SELECT 7, 7, 1, id, type, time, order_id, data, context, source, checksum \
         FROM order_service.events WHERE position = 2",
    )
    .await;
    PostgresStore::rebuild(&url, &mut |_, _| {}).await.unwrap();
    let order = &orders[1];
    let (one, stream) = (store.one(&order.id).await, store.read_stream(&order.id, Version::NONE, ALL).await);
    assert!(matches!(one, Err(StoreError::Corrupt(_))), "{one:?}");
    assert!(matches!(stream, Err(StoreError::Corrupt(_))), "{stream:?}");
    for n in [0, 2] {
        store.append(orders[n].pay(1)).await.unwrap();
        assert_eq!(store.one(&orders[n].id).await, Ok(Some(orders[n].summary())));
    }
}

/// Rows of an older projection come while the pass is on its way and after it, and none stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_an_older_projection_are_made_anew_by_themselves() {
    let (url, store, orders) = paid_orders(300).await;
    drop(store);
    sql(
        &url,
        "UPDATE order_service.orders SET projection = 0, status = 'shipped'; \
         UPDATE order_service.log SET projection = 0, outdated_from = NULL",
    )
    .await;
    let store = open(&url).await;
    let client = session(&url).await;
    let older = &format!(
        "SELECT (SELECT count(*) FROM order_service.orders WHERE projection < {PROJECTION_VERSION}), outdated_from \
         FROM order_service.log"
    );
    let none_older = async {
        loop {
            let row = client.query_one(older, &[]).await.unwrap();
            if (row.get::<_, i64>(0), row.get::<_, Option<i64>>(1)) == (0, None) {
                break;
            }
        }
    };
    timeout(Duration::from_secs(30), none_older).await.expect("all are rebuilt");
    assert_eq!(faults(&url).await, Vec::<String>::new());

    // What an older instance does beside this one.
    let (order, mut newer) = (&orders[7], orders[7].clone());
    store.append(newer.pay(1)).await.unwrap();
    sql(
        &url,
        "UPDATE order_service.orders SET projection = 0, checksum = 'x' WHERE key = 8; \
         UPDATE order_service.log SET outdated_from = 601",
    )
    .await;
    let none_older = async {
        loop {
            let row = client.query_one(older, &[]).await.unwrap();
            if (row.get::<_, i64>(0), row.get::<_, Option<i64>>(1)) == (0, None) {
                break;
            }
        }
    };
    timeout(Duration::from_secs(30), none_older).await.expect("that is rebuilt");
    assert_eq!(store.one(&order.id).await, Ok(Some(newer.summary())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_of_an_older_release_is_remembered() {
    let (url, store, mut orders) = paid_orders(3).await;
    let client = session(&url).await;
    sql(&url, "UPDATE order_service.log SET projection = 1000").await;
    store.append(orders[1].pay(1)).await.unwrap();
    store.append(orders[2].pay(1)).await.unwrap();
    let from = client.query_one("SELECT outdated_from FROM order_service.log", &[]).await.unwrap();
    assert_eq!(from.get::<_, Option<i64>>(0), Some(7));
}

/// What an older release does: it repairs a row that the pass of this one has been past, and that is not to be forgotten when
/// the pass ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_older_release_mends_behind_a_pass_is_made_anew() {
    let (url, store, _) = paid_orders(300).await;
    store.close().await;
    sql(
        &url,
        "CREATE TABLE before AS TABLE order_service.orders; \
         UPDATE order_service.orders SET projection = 0; \
         UPDATE order_service.log SET outdated_from = 1; \
         CREATE FUNCTION order_service.mend_as_an_older_release() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             PERFORM order_service.write_views_v1(ARRAY[o.key], ARRAY[o.version], ARRAY[o.checksum], ARRAY[o.order_id], \
                 ARRAY[o.state], ARRAY[o.version], ARRAY[o.customer_id], ARRAY['shipped'], ARRAY[o.total_cents], \
                 ARRAY[o.placed_at], ARRAY[o.updated_at], ARRAY[o.due_at], ARRAY[o.on_hold], ARRAY[o.checksum], \
                 ARRAY[o.updated_position], 0) \
                 FROM order_service.orders o WHERE o.key = 1; \
             DROP TRIGGER once ON order_service.orders; \
             RETURN NULL; \
         END $$; \
         CREATE TRIGGER once AFTER UPDATE ON order_service.orders FOR EACH ROW WHEN (new.key = 300 AND new.projection > 0) \
             EXECUTE FUNCTION order_service.mend_as_an_older_release()",
    )
    .await;
    let store = open(&url).await;
    wait_until_current(&store).await;
    let left = "SELECT count(*), (SELECT outdated_from FROM order_service.log), \
                    (SELECT older_repairs FROM order_service.log) \
                FROM order_service.orders o JOIN before b USING (key) WHERE o <> b";
    let left = session(&url).await.query_one(left, &[]).await.unwrap();
    assert_eq!((left.get::<_, i64>(0), left.get::<_, Option<i64>>(1), left.get::<_, i64>(2)), (0, None, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_are_made_anew_beside_appends_and_none_is_behind() {
    const REBUILDS: usize = 8;
    let (url, store, mut orders) = paid_orders(100).await;
    let done = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (store, done) = (open(&url).await, done.clone());
        async move {
            while !done.load(Ordering::SeqCst) {
                for order in &mut orders {
                    store.append(order.pay(1)).await.unwrap();
                }
            }
            orders
        }
    });
    for _ in 0..REBUILDS {
        let damage = "DELETE FROM order_service.orders WHERE key % 10 = 0; \
                      UPDATE order_service.orders SET status = 'shipped' WHERE key % 10 = 1; \
                      UPDATE order_service.orders SET projection = 0 WHERE key % 10 > 1";
        sql(&url, damage).await;
        PostgresStore::rebuild(&url, &mut |_, _| {}).await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    for order in writing.await.unwrap() {
        assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
    }
    assert_eq!(faults(&url).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_is_killed_again_and_again_does_no_harm() {
    let (url, store, orders) = paid_orders(450).await;
    let client = session(&url).await;
    for kill_after in [0, 1, 2] {
        sql(&url, "UPDATE order_service.orders SET projection = 0, status = 'shipped' WHERE key % 3 > 0")
            .await;
        let (killed, mut told) = (Notify::new(), 0);
        let mut progress = |_, _| {
            told += 1;
            if told > kill_after {
                killed.notify_one();
            }
        };
        tokio::select! {
            _ = PostgresStore::rebuild(&url, &mut progress) => {}
            () = killed.notified() => {}
        }
        // The lease of one that died runs out by itself; this is quicker.
        client.batch_execute("DELETE FROM order_service.checkpoints WHERE name = 'views'").await.unwrap();
        for order in &orders {
            let one = store.one(&order.id).await;
            assert!(
                matches!(&one, Err(StoreError::DamagedView(_))) || one == Ok(Some(order.summary())),
                "{one:?}"
            );
        }
    }
    PostgresStore::rebuild(&url, &mut |_, _| {}).await.unwrap();
    assert_eq!(faults(&url).await, Vec::<String>::new());
}
