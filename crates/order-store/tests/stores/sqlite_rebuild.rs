//! Views that are rebuilt beside a server: after damage, after an upgrade, on demand.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use order_application::{
    AppendError, EventLog, ListQuery, OrderViews, PageLimit, Position, Receipts, Sort, StoreError, Version,
    ViewRepair, ViewsProgress, ViewsState,
};
use order_store::{SqliteLimits, SqliteStore};
use tempfile::TempDir;
use twox_hash::XxHash3_64;

use crate::contract::{bus, list, receipt, under};
use crate::order::TestOrder;
use crate::scrubbing::one_pass;
use crate::sqlite::{PATIENCE, SMALL_BATCHES, rebuilt, replaced};

const ALL: PageLimit = PageLimit::events(10_000);

fn log_in(directory: &TempDir) -> PathBuf {
    directory.path().join("orders.db")
}

fn open(directory: &TempDir) -> SqliteStore {
    SqliteStore::open(&log_in(directory), bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap()
}

/// The files of views that there are.
fn view_files(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name.contains(".views.") && name.ends_with(".db"));
    names.sort();
    names
}

fn sql(path: &Path, statement: &str) {
    rusqlite::Connection::open(path).unwrap().execute_batch(statement).unwrap();
}

/// A store of so many orders, closed, each placed under its id as a key. Their events are interleaved: one of all orders
/// after the other.
async fn closed_store(orders: usize, events: u64) -> (TempDir, Vec<TestOrder>) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let mut orders: Vec<_> = (0..orders).map(|n| TestOrder::new(&format!("order-{n}"))).collect();
    for order in &mut orders {
        let placement = order.place();
        store.append(under(order.id.as_str(), placement)).await.unwrap();
    }
    for _ in 1..events {
        for order in &mut orders {
            store.append(order.pay(1)).await.unwrap();
        }
    }
    (directory, orders)
}

async fn assert_right(store: &SqliteStore, orders: &[TestOrder]) {
    for order in orders {
        assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
        let stream = store.read_stream(&order.id, Version::NONE, ALL).await.unwrap();
        assert_eq!(stream.len() as u64, order.version().0);
    }
    let listed = list(store, Position::START, 10_000).await;
    let summaries: Vec<_> = orders.iter().map(TestOrder::summary).collect();
    assert_eq!(listed.into_iter().map(|listed| listed.summary).collect::<Vec<_>>(), summaries);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_are_made_anew_into_the_next_file_while_commands_go_on() {
    let (directory, mut orders) = closed_store(200, 3).await;
    assert_eq!(view_files(directory.path()), ["orders.views.1.db"]);
    let store = open(&directory);
    for number in 2..5 {
        store.repair_views(&[], &[], "a test asks for it").await.unwrap();
        assert_ne!(store.views().state, ViewsState::Current);
        for order in &mut orders {
            store.append(order.pay(1)).await.unwrap();
            assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
        }
        orders.push(TestOrder::new(&format!("new-{number}")));
        let new = orders.last_mut().unwrap();
        store.append(new.place()).await.unwrap();
        assert_eq!(list(&store, Position::START, 10_000).await.len(), orders.len());
        rebuilt(&store, "views").await;
        assert_right(&store, &orders).await;
        assert_eq!(view_files(directory.path()), [format!("orders.views.{number}.db")]);
    }
    drop(store);
    assert_right(&open(&directory), &orders).await;
}

/// What is deleted or changed in the views is never taken for what the orders are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_no_answer_and_the_views_are_rebuilt() {
    let damage = [
        "DELETE FROM order_ids WHERE key = 4",
        "DELETE FROM order_ids WHERE key = 4; DELETE FROM id_ranges WHERE id % 2 = 0",
        "DELETE FROM orders WHERE key = 4",
        "UPDATE orders SET total_cents = 1 WHERE key = 4",
        "UPDATE orders SET version = 9 WHERE key = 4",
        "UPDATE orders SET state = 'damaged' WHERE key = 4",
        "UPDATE orders SET order_id = 'order-8' WHERE key = 4",
        "UPDATE order_ids SET key = 5 WHERE key = 4",
        "UPDATE order_ids SET hash = hash + 1 WHERE key = 4",
        "DELETE FROM order_events WHERE key = 4",
        "UPDATE order_events SET position = position + 1 WHERE key = 4",
        "UPDATE id_ranges SET totals = zeroblob(2048)",
        "UPDATE id_ranges SET id = id + 1000",
        "DELETE FROM id_ranges",
        "UPDATE progress SET id_entries = 1",
        "UPDATE progress SET hash_seed = hash_seed + 1",
        "UPDATE progress SET last_key = 10",
        "DELETE FROM receipt_index WHERE sequence = 4",
        "DELETE FROM receipt_index",
        "UPDATE receipt_index SET sequence = sequence + 1",
        "UPDATE receipt_index SET hash = hash + 1",
        "DELETE FROM receipt_segments",
        "DELETE FROM receipt_index; DELETE FROM receipt_segments",
        "UPDATE receipt_segments SET totals = zeroblob(4096)",
        "UPDATE receipt_segments SET id = 1",
        "UPDATE progress SET last_receipt = 0",
        "UPDATE progress SET first_receipt_segment = 1, receipt_segments = 0",
        "DROP TABLE receipt_index",
        "DELETE FROM progress",
        "DROP TABLE order_events",
    ];
    for damage in damage {
        let (directory, orders) = closed_store(20, 3).await;
        sql(&directory.path().join("orders.views.1.db"), damage);
        let store = open(&directory);
        for order in &orders {
            let one = store.one(&order.id).await;
            assert!(
                matches!(&one, Ok(Some(found)) if *found == order.summary()) || one.is_err(),
                "{damage}: {one:?}"
            );
            let version = store.version(&order.id).await;
            assert!(version == Ok(order.version()) || version.is_err(), "{damage}: {version:?}");
            let stream = store.read_stream(&order.id, Version::NONE, ALL).await;
            assert!(stream.as_ref().is_err() || stream.as_ref().unwrap().len() == 3, "{damage}: {stream:?}");
            let again = store.append(TestOrder::new(order.id.as_str()).place()).await;
            assert!(again.is_err(), "{damage}: order {} was placed twice", order.id);
            let key = order.id.as_str();
            let again = store.append(under(key, TestOrder::new("under-the-key").place())).await;
            assert!(again.is_err(), "{damage}: key {key} was taken twice");
        }
        if let Ok(page) = store.many(&ListQuery::placed_after(Position::START, 100)).await {
            assert_eq!(page.orders.len(), 20, "{damage}");
        }
        rebuilt(&store, damage).await;
        assert_right(&store, &orders).await;
        for order in &orders {
            let receipt = receipt(order.id.as_str(), &order.id, 1, 1);
            assert_eq!(store.find_receipt(&receipt.key).await, Ok(Some(receipt)), "{damage}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_list_readers_alone_can_miss_is_noticed_by_them() {
    let (directory, orders) = closed_store(20, 1).await;
    sql(&directory.path().join("orders.views.1.db"), "DELETE FROM orders WHERE key IN (20, 7)");
    let store = open(&directory);
    for (after, limit) in [(0, 100), (6, 1), (18, 100), (19, 1)] {
        let page = store.many(&ListQuery::placed_after(Position(after), limit)).await;
        let right = |page: &order_application::OrderPage| page.orders.len() == limit.min(20 - after as usize);
        assert!(page.as_ref().is_err() || right(page.as_ref().unwrap()), "{after}: {page:?}");
    }
    for (after, limit) in [(None, 1), (Some(9), 1), (Some(8), 2), (Some(8), 1), (Some(7), 1)] {
        let sort = Sort { descending: true, ..Sort::default() };
        let query = ListQuery { sort, after: after.map(Position), limit, ..ListQuery::default() };
        let page = store.many(&query).await;
        let is_right = |first: u64| {
            let places = page.as_ref().map(|page| page.orders.iter().map(|order| order.place.0).collect());
            places == Ok((first + 1 - limit as u64..=first).rev().collect::<Vec<_>>())
        };
        assert!(page.is_err() || is_right(after.map_or(20, |after| after - 1)), "{after:?}: {page:?}");
    }
    rebuilt(&store, "views").await;
    assert_right(&store, &orders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_that_the_writer_meets_stops_nothing() {
    let (directory, mut orders) = closed_store(50, 1).await;
    let store = open(&directory);
    // Under the server's feet: the next batches cannot be written any more.
    sql(
        &directory.path().join("orders.views.1.db"),
        "UPDATE orders SET version = 0, order_id = 'x' || order_id",
    );
    for _ in 0..3 {
        for order in &mut orders {
            // until they are rebuilt, commands to orders whose views are damaged are refused.
            let start = Instant::now();
            let append = order.clone().pay(1);
            while store.append(append.clone()).await.is_err() {
                assert!(start.elapsed() < PATIENCE);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            order.pay(1);
        }
    }
    rebuilt(&store, "views").await;
    assert_right(&store, &orders).await;
    drop(store);
    assert_right(&open(&directory), &orders).await;
}

/// As after a write that was lost: the row adds up, and says what the order was once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_is_older_than_its_orders_events_is_not_decided_on() {
    let (directory, mut orders) = closed_store(30, 1).await;
    let views = directory.path().join("orders.views.1.db");
    let before = directory.path().join("before.db");
    fs::copy(&views, &before).unwrap();
    let store = open(&directory);
    for order in &mut orders {
        store.append(order.pay(1)).await.unwrap();
    }
    drop(store);
    let older = "INSERT OR REPLACE INTO orders SELECT * FROM before.orders WHERE key = 7";
    sql(&views, &format!("ATTACH '{}' AS before; {older}", before.display()));
    let faults = SqliteStore::verify(&log_in(&directory), &mut |_, _| {}).unwrap().faults;
    let [fault] = &faults[..] else { panic!("{faults:?}") };
    assert!(
        fault.starts_with("order order-6: its view is version 1 of order-6: ")
            && fault.contains(", and its events make it version 2 of order-6: "),
        "{fault}"
    );

    let store = open(&directory);
    let mut once = TestOrder::new("order-6");
    once.place();
    let append = store.append(once.pay(1)).await;
    assert!(matches!(append, Err(AppendError::Store(StoreError::DamagedView(_)))), "{append:?}");
    rebuilt(&store, "views").await;
    assert_right(&store, &orders).await;
}

/// Otherwise every command would have to wait for what only a restart could do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_that_cannot_be_written_are_made_anew_without_the_order_that_cannot_be_read() {
    let (directory, mut orders) = closed_store(20, 1).await;
    let store = open(&directory);
    sql(&log_in(&directory), "UPDATE events SET data = data || ' ' WHERE position = 20");
    let views = directory.path().join("orders.views.1.db");
    sql(&views, "UPDATE orders SET version = 0, order_id = 'x' || order_id");
    let unreadable = orders.pop().unwrap();
    let mut new = TestOrder::new("new");
    store.append(new.place()).await.unwrap();
    for order in &mut orders {
        let start = Instant::now();
        let append = order.pay(1);
        while store.append(append.clone()).await.is_err() {
            assert!(start.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    // Readers may have a snapshot from before. Whoever writes meets it.
    replaced(&store, &views, "views").await;
    for order in orders.iter().chain([&new]) {
        assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
    }
    let one = store.one(&unreadable.id).await;
    assert!(matches!(one, Err(StoreError::Corrupt(_))), "{one:?}");
}

/// A damaged page that only writing touches, met while a start brings the views up to the log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_that_a_start_cannot_write_are_built_anew() {
    let (directory, mut orders) = closed_store(30, 1).await;
    let views = directory.path().join("orders.views.1.db");
    let mut behind = fs::read(&views).unwrap();
    let root: usize = rusqlite::Connection::open(&views)
        .unwrap()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'orders'", (), |row| row.get(0))
        .unwrap();
    behind[(root - 1) * 4096..root * 4096].fill(0);
    let store = open(&directory);
    for n in 30..200 {
        let mut order = TestOrder::new(&format!("order-{n}"));
        store.append(order.place()).await.unwrap();
        orders.push(order);
    }
    drop(store);
    fs::write(&views, behind).unwrap();
    assert_right(&open(&directory), &orders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_of_an_earlier_projection_are_served_and_made_anew() {
    let (directory, orders) = closed_store(30, 2).await;
    let path = directory.path().join("orders.views.1.db");
    say_projection(&path, 0);
    let store = open(&directory);
    assert_right(&store, &orders).await;
    rebuilt(&store, "views").await;
    assert_eq!(view_files(directory.path()), ["orders.views.2.db"]);
    assert_right(&store, &orders).await;
}

/// Has a file say that another version of the projection made it.
fn say_projection(path: &Path, projection: u32) {
    let views = rusqlite::Connection::open(path).unwrap();
    let columns = "log_identity, hash_seed, complete, position, event_id, last_key, id_entries, id_sum, last_receipt, \
        last_receipt_hash, first_receipt_segment, receipt_segments";
    let mut bytes = Vec::new();
    views
        .query_row(&format!("SELECT {columns} FROM progress"), (), |row| {
            bytes.extend_from_slice(row.get_ref(0)?.as_blob()?);
            bytes.extend_from_slice(&row.get::<_, i64>(1)?.to_le_bytes());
            bytes.extend_from_slice(&projection.to_le_bytes());
            bytes.push(row.get(2)?);
            bytes.extend_from_slice(&row.get::<_, i64>(3)?.to_le_bytes());
            bytes.extend_from_slice(row.get_ref(4)?.as_blob()?);
            for column in 5..12 {
                bytes.extend_from_slice(&row.get::<_, i64>(column)?.to_le_bytes());
            }
            Ok(())
        })
        .unwrap();
    let checksum = [&[1], &XxHash3_64::oneshot(&bytes).to_le_bytes()[..]].concat();
    views.execute("UPDATE progress SET projection = ?1, checksum = ?2", (projection, checksum)).unwrap();
}

/// A file that is highest and not complete was being built when its process was killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_files_go_and_the_last_complete_one_is_served() {
    let (directory, orders) = closed_store(30, 2).await;
    let half = directory.path().join("orders.views.7.db");
    fs::copy(directory.path().join("orders.views.1.db"), &half).unwrap();
    sql(&half, "DELETE FROM orders; UPDATE progress SET complete = 0");
    fs::write(directory.path().join("orders.views.9.db"), "").unwrap();
    let store = open(&directory);
    assert_eq!(view_files(directory.path()), ["orders.views.1.db"]);
    assert_right(&store, &orders).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_cannot_be_read_keeps_views_that_are_right() {
    let (directory, orders) = closed_store(30, 2).await;
    sql(&log_in(&directory), "UPDATE events SET data = data || ' ' WHERE position = 34");
    say_projection(&directory.path().join("orders.views.1.db"), 0);
    let store = open(&directory);
    let start = Instant::now();
    while store.views().state != ViewsState::Failed {
        assert!(start.elapsed() < PATIENCE, "{:?}", store.views());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(store.views().detail.unwrap().contains("event at position 34"), "{:?}", store.views());
    for order in &orders {
        assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
    }
    assert_eq!(view_files(directory.path()), ["orders.views.1.db"]);
}

/// A row of one order's view and an event of another's: neither keeps the others from being served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_that_are_wrong_are_made_anew_without_the_order_that_cannot_be_read() {
    let (directory, mut orders) = closed_store(30, 2).await;
    sql(&log_in(&directory), "UPDATE events SET data = data || ' ' WHERE position = 30");
    sql(&directory.path().join("orders.views.1.db"), "UPDATE orders SET total_cents = 1 WHERE key = 7");
    let store = open(&directory);
    assert!(store.one(&orders[6].id).await.is_err());
    rebuilt(&store, "views").await;
    let unreadable = orders.pop().unwrap();
    for order in &orders {
        assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
    }
    let one = store.one(&unreadable.id).await;
    assert!(matches!(one, Err(StoreError::Corrupt(_))), "{one:?}");
}

/// Without views there is nothing else to serve: the order alone is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_cannot_be_read_has_its_order_refused_when_views_are_built() {
    let (directory, orders) = closed_store(30, 2).await;
    sql(&log_in(&directory), "UPDATE events SET data = data || ' ' WHERE position IN (4, 36)");
    fs::remove_file(directory.path().join("orders.views.1.db")).unwrap();
    let store = open(&directory);
    for (n, order) in orders.iter().enumerate() {
        let one = store.one(&order.id).await;
        if n == 3 || n == 5 {
            assert!(matches!(one, Err(StoreError::Corrupt(_))), "{one:?}");
            assert!(store.append(TestOrder::new(order.id.as_str()).place()).await.is_err());
        } else {
            assert_eq!(one, Ok(Some(order.summary())));
        }
    }
    let page = store.many(&ListQuery::placed_after(Position::START, 100)).await.unwrap();
    assert_eq!((page.orders.len(), page.left_out), (28, 2));
}

#[tokio::test]
async fn the_command_makes_views_anew_and_says_of_how_many_events() {
    let (directory, orders) = closed_store(30, 3).await;
    let mut progress = Vec::new();
    let report =
        SqliteStore::rebuild(&log_in(&directory), &mut |done, total| progress.push((done, total))).unwrap();
    assert_eq!((report.events, report.orders, report.unreadable), (90, 30, 0));
    assert!(progress.iter().all(|(done, total)| done <= total));
    assert_eq!(view_files(directory.path()), ["orders.views.2.db"]);
    assert_right(&open(&directory), &orders).await;
    let in_use = open(&directory);
    assert!(SqliteStore::rebuild(&log_in(&directory), &mut |_, _| {}).is_err());
    drop(in_use);
}

/// However little fits in memory at a time, and however the events are mixed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_are_the_same_whatever_fits_in_memory() {
    let (directory, orders) = closed_store(60, 4).await;
    for rebuild_bytes in [0, 1_500, 10_000, 1_000_000] {
        fs::remove_file(directory.path().join("orders.views.1.db")).unwrap();
        let limits = SqliteLimits { rebuild_bytes, ..SMALL_BATCHES };
        let store = SqliteStore::open(&log_in(&directory), bus(), limits, &ViewsProgress::default()).unwrap();
        assert_right(&store, &orders).await;
        drop(store);
        assert_eq!(
            SqliteStore::verify(&log_in(&directory), &mut |_, _| {}).unwrap().faults,
            Vec::<String>::new()
        );
    }
}

/// Ended at any moment, twice in a row: the views that are there afterwards are whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_closed_while_views_are_made_anew_opens_with_whole_ones() {
    let (directory, orders) = closed_store(300, 2).await;
    for micros in (0..20_000).step_by(997) {
        let store = Arc::new(open(&directory));
        store.repair_views(&[], &[], "a test asks for it").await.unwrap();
        tokio::time::sleep(Duration::from_micros(micros)).await;
        drop(store);
        let left: HashSet<_> = view_files(directory.path()).into_iter().collect();
        assert!(!left.is_empty());
        let store = open(&directory);
        assert_eq!(list(&store, Position::START, 10_000).await.len(), orders.len());
        assert_eq!(view_files(directory.path()).len(), 1);
    }
    assert_right(&open(&directory), &orders).await;
}

/// Nothing else notices it: an entry of an index that is not there is an order that does not belong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_lists_with_filters_have_lost_is_found_again_after_a_pass_of_the_scrubber() {
    for damage in [
        "DELETE FROM order_terms WHERE key = 4",
        "UPDATE order_terms SET value = value || 'x' WHERE key = 4",
        "UPDATE log_times SET latest = earliest",
        "DELETE FROM log_times",
    ] {
        let (directory, orders) = closed_store(20, 3).await;
        sql(&directory.path().join("orders.views.1.db"), damage);
        let store = Arc::new(open(&directory));
        assert!(one_pass(&store).await > 0, "{damage}");
        rebuilt(&store, "views").await;
        assert_eq!(one_pass(&store).await, 0, "{damage}");
        assert_right(&store, &orders).await;
    }
}
