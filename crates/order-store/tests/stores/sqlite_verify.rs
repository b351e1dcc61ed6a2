//! Damage that is planted in SQLite's files, and what `verify` says of it.

use std::fs;

use order_application::{EventLog, PageLimit, Position};
use order_store::{SqliteError, SqliteStore};
use tempfile::TempDir;

use crate::order::TestOrder;
use crate::sqlite_files::{assert_views_are_right, closed_store, log_in, open, sql, views_in};

fn faults(directory: &TempDir) -> Vec<String> {
    SqliteStore::verify(&log_in(directory), &mut |_, _| {}).unwrap().faults
}

#[tokio::test]
async fn verify_finds_nothing_wrong_with_a_sound_store() {
    let (directory, _) = closed_store().await;
    let mut progress = Vec::new();
    let report =
        SqliteStore::verify(&log_in(&directory), &mut |done, total| progress.push((done, total))).unwrap();
    assert_eq!((report.events, report.orders, report.faults), (60, 30, vec![]));
    // Views may be deleted at any time.
    fs::remove_file(views_in(&directory)).unwrap();
    assert_eq!(faults(&directory), Vec::<String>::new());
}

/// A file of nothing may also be what is left of a store that somebody has lost: a server that began one has left its lock.
#[tokio::test]
async fn what_a_first_start_leaves_that_was_killed_is_sound_and_any_other_file_of_nothing_is_not() {
    let new = tempfile::tempdir().unwrap();
    drop(rusqlite::Connection::open(log_in(&new)).unwrap());
    let in_wal_mode = || sql(&log_in(&new), "PRAGMA journal_mode = wal");
    for make in [None, Some(in_wal_mode)] {
        make.iter().for_each(|make| make());
        assert_eq!(faults(&new).len(), 1, "nobody has begun a store there");
        let lock = new.path().join("orders.lock");
        fs::write(&lock, "").unwrap();
        let before = fs::read(log_in(&new)).unwrap();
        let report = SqliteStore::verify(&log_in(&new), &mut |_, _| {}).unwrap();
        assert!(report.is_sound() && report.is_unfinished_start, "{report:?}");
        assert!(fs::read(log_in(&new)).unwrap() == before, "verify changed something");
        fs::remove_file(&lock).unwrap();
    }
}

#[tokio::test]
async fn verify_names_what_is_wrong_in_the_log() {
    let changes = [
        (
            "UPDATE events SET time = time + 1 WHERE position = 4",
            "event at position 4: the checksum does not match",
        ),
        ("DELETE FROM events WHERE position = 34", "the log has no events at positions 34 to 34"),
        (
            "UPDATE events SET position = 99 WHERE position = 60",
            "the log has no events at positions 60 to 99",
        ),
    ];
    for (change, fault) in changes {
        let (directory, _) = closed_store().await;
        sql(&log_in(&directory), change);
        let faults = faults(&directory);
        assert!(faults.iter().any(|found| found.contains(fault)), "{change}: {faults:?}");
    }
}

#[tokio::test]
async fn verify_names_what_is_wrong_in_the_views() {
    let changes = [
        ("UPDATE orders SET status = 'shipped' WHERE order_id = 'order-3'", "order order-3: "),
        (
            "UPDATE orders SET version = 1 WHERE order_id = 'order-3'",
            "order order-3: the view with the key 4: ",
        ),
        (
            "DELETE FROM orders WHERE order_id = 'order-3'",
            "order order-3: the index of orders has the key 4, and there is no view with it",
        ),
        (
            "DELETE FROM order_ids WHERE key = 4",
            "order order-3: the index of orders does not have the entries that it should",
        ),
        ("UPDATE order_events SET position = 35 WHERE position = 34", "order order-3: "),
        ("DELETE FROM order_events WHERE position = 34", "order order-3: "),
        (
            "DELETE FROM order_terms WHERE key = 4 AND kind = 'payment'",
            "order order-3: lists do not find it: the index of terms does not have it for the payment ",
        ),
        (
            "INSERT INTO order_terms VALUES (0, 'payment', 'nobodys', 4)",
            "views: the index of terms has ",
        ),
        (
            "UPDATE log_times SET earliest = latest",
            "order order-3: lists do not find it: the times around position 4 do not include its own",
        ),
        (
            "DROP INDEX orders_by_status; CREATE INDEX orders_by_status ON orders (status, key) WHERE key <> 4;
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = 'CREATE INDEX orders_by_status ON orders (status, key)'
                WHERE name = 'orders_by_status'",
            "order order-3: lists do not find it: the index of statuses does not have it as ",
        ),
        (
            "DROP INDEX orders_by_update; CREATE INDEX orders_by_update ON orders (updated_position) WHERE key <> 4;
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = 'CREATE INDEX orders_by_update ON orders (updated_position)'
                WHERE name = 'orders_by_update'",
            "order order-3: lists do not find it: the index of last events does not have it at position ",
        ),
        (
            "INSERT INTO orders SELECT 1000, 'ghost', state, 1, customer_id, status, 1, 1, 1, NULL, 0, 1000, checksum, 30 FROM orders LIMIT 1",
            "the list of orders: the view with the key 1000: the checksum does not match",
        ),
    ];
    for (change, fault) in changes {
        let (directory, _) = closed_store().await;
        sql(&views_in(&directory), change);
        let faults = faults(&directory);
        assert!(faults.iter().any(|found| found.contains(fault)), "{change}: {faults:?}");
    }
}

/// As a crash leaves them: each order may be as it was at any time since the views last came by, and not before.
#[tokio::test]
async fn verify_holds_views_that_are_behind_their_log_against_what_they_have() {
    let (directory, mut orders) = closed_store().await;
    let behind = fs::read(views_in(&directory)).unwrap();
    let store = open(&directory).unwrap();
    for order in &mut orders {
        store.append(order.pay(2)).await.unwrap();
    }
    store.append(TestOrder::new("new").place()).await.unwrap();
    drop(store);
    for (change, fault) in [
        ("", None),
        ("UPDATE order_events SET position = 35 WHERE position = 34", Some("order order-3: ")),
        ("DELETE FROM orders WHERE order_id = 'order-3'", Some("order order-3: ")),
    ] {
        fs::write(views_in(&directory), &behind).unwrap();
        sql(&views_in(&directory), change);
        let faults = faults(&directory);
        match fault {
            None => assert_eq!(faults, Vec::<String>::new()),
            Some(fault) => assert!(faults[0].starts_with(fault), "{faults:?}"),
        }
    }
}

/// Any byte of the file, one at a time: the check finds it, or the byte meant nothing.
#[tokio::test]
async fn verify_finds_flipped_bytes() {
    let (directory, orders) = closed_store().await;
    let sound = fs::read(log_in(&directory)).unwrap();
    let all = PageLimit::events(100);
    let log = open(&directory).unwrap().read_log(Position::START, all).await;
    let (mut found, mut harmless) = (0, 0);
    for offset in (100..sound.len()).step_by(97) {
        let mut broken = sound.clone();
        broken[offset] ^= 0x10;
        fs::write(log_in(&directory), &broken).unwrap();
        let report = SqliteStore::verify(&log_in(&directory), &mut |_, _| {});
        if report.is_ok_and(|report| report.is_sound() && report.events == 60) {
            // Then it is read as it was: free space, or the like.
            let store = open(&directory).unwrap_or_else(|error| panic!("byte {offset}: {error}"));
            assert_eq!(store.read_log(Position::START, all).await, log);
            assert_views_are_right(&store, &orders).await;
            harmless += 1;
        } else {
            found += 1;
        }
    }
    assert!(found > 50, "{found} found, {harmless} harmless");
}

#[tokio::test]
async fn verify_refuses_a_store_in_use_and_one_that_is_not_there() {
    let (directory, _) = closed_store().await;
    let _store = open(&directory).unwrap();
    let in_use = SqliteStore::verify(&log_in(&directory), &mut |_, _| {});
    assert!(matches!(in_use, Err(SqliteError::InUse { .. })));
    let missing = SqliteStore::verify(&directory.path().join("missing.db"), &mut |_, _| {});
    assert!(matches!(missing, Err(SqliteError::Io { .. })));
}
