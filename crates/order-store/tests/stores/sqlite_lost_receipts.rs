//! Receipts that are missing in the middle: told as any loss is, and told from old ones that were deleted, whatever clocks did.

use std::path::PathBuf;

use order_application::{Clock, EventLog, Receipt, Receipts, StoreError, SystemClock, ViewsProgress};
use order_domain::{OrderId, Timestamp};
use order_store::{Loss, SqliteError, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::contract::{bus, receipt};
use crate::order::TestOrder;
use crate::sqlite::{SMALL_BATCHES, open_with_loss};
use crate::sqlite_loss::assert_refused;

const HOUR: i64 = 3_600;

fn log_in(directory: &TempDir) -> PathBuf {
    directory.path().join("orders.db")
}

fn try_open(directory: &TempDir) -> Result<SqliteStore, SqliteError> {
    SqliteStore::open(&log_in(directory), bus(), SMALL_BATCHES, &ViewsProgress::default())
}

fn faults(directory: &TempDir) -> Vec<String> {
    SqliteStore::verify(&log_in(directory), &mut |_, _| {}).unwrap().faults
}

/// So many seconds ago.
fn ago(seconds: i64) -> Timestamp {
    Timestamp::from_micros(SystemClock.now().as_micros() - seconds * 1_000_000)
}

/// The receipt with a number, if none was kept before.
fn numbered(number: u64, answered_at: Timestamp) -> Receipt {
    Receipt { answered_at, ..receipt(&number.to_string(), &OrderId::new("order").unwrap(), 1, 1) }
}

/// A closed store with receipts that are so many seconds old, numbered from 1 on. Those from before `trimmed` seconds ago were
/// deleted.
async fn closed_store(ages: impl IntoIterator<Item = i64>, trimmed: Option<i64>) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = try_open(&directory).unwrap();
    store.append(TestOrder::new("order").place()).await.unwrap();
    for (age, number) in ages.into_iter().zip(1..) {
        store.keep_receipt(numbered(number, ago(age))).await.unwrap();
    }
    if let Some(before) = trimmed {
        while store.trim_receipts(ago(before), 200).await.unwrap().more {}
    }
    drop(store);
    directory
}

fn lose(directory: &TempDir, numbers: &str) {
    let delete = format!("DELETE FROM receipts WHERE {numbers}");
    Connection::open(log_in(directory)).unwrap().execute_batch(&delete).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_that_are_missing_in_the_middle_are_refused_and_sound_once_that_is_accepted() {
    let directory = closed_store((0..200).rev(), None).await;
    lose(&directory, "sequence BETWEEN 101 AND 130");
    let loss = assert_refused(&directory);
    assert_eq!(loss, Loss::MissingReceipts { log: log_in(&directory), first: 101, last: 130 });
    let told = "lacks 30 receipts (number 101 to 130) of commands with an Idempotency-Key";
    assert!(loss.to_string().contains(told), "{loss}");

    drop(open_with_loss(&log_in(&directory)).unwrap());
    assert_eq!(faults(&directory), Vec::<String>::new());
    let store = try_open(&directory).unwrap();
    for number in (1..=200).filter(|number| !(101..=130).contains(number)) {
        let found = store.find_receipt(&numbered(number, ago(0)).key).await.unwrap();
        assert!(found.is_some(), "{number}");
    }
    for number in 101..=130 {
        assert_eq!(store.find_receipt(&numbered(number, ago(0)).key).await, Ok(None), "{number}");
    }
}

/// Of many receipts the start looks at some: what it passes over is told where it matters, and by whoever looks at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_of_many_receipts_that_are_missing_are_found_by_verify_and_are_no_answer() {
    let directory = closed_store((0..1_000).rev(), None).await;
    lose(&directory, "sequence = 503 OR sequence BETWEEN 602 AND 604");
    let store = try_open(&directory).unwrap();
    for number in [503, 602, 604] {
        let found = store.find_receipt(&numbered(number, ago(0)).key).await;
        assert!(matches!(found, Err(StoreError::Corrupt(_))), "{number}: {found:?}");
    }
    assert!(store.find_receipt(&numbered(504, ago(0)).key).await.unwrap().is_some());
    assert_eq!(store.find_receipt(&numbered(5_000, ago(0)).key).await, Ok(None));
    drop(store);
    let faults = faults(&directory);
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].contains("lacks 1 receipt (number 503 to 503)"), "{faults:?}");
    assert!(faults[1].contains("lacks 3 receipts (number 602 to 604)"), "{faults:?}");
    // A larger part of them is met at the start.
    lose(&directory, "sequence BETWEEN 700 AND 740");
    assert!(matches!(try_open(&directory).err(), Some(SqliteError::Lost { .. })));
}

/// What the deleting of old receipts leaves is no loss, whatever the clock did while they were written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gaps_that_old_receipts_leave_are_no_loss() {
    let (two_days_ahead, twenty_hours_ahead) = (-18 * HOUR, 10 * HOUR);
    let steady = || (0..60).map(|n| (60 - n) * HOUR);
    let histories: [(&str, Vec<i64>); 5] = [
        ("all of them old", vec![50 * HOUR; 30]),
        ("a steady clock", steady().collect()),
        // Commands that run beside each other are numbered as they come.
        ("not quite in order", (0..100).map(|n| 24 * HOUR - n + [20, -20][n as usize % 2]).collect()),
        ("two days ahead for a while", {
            let ahead = (0..20).map(|n| two_days_ahead - n);
            [vec![30 * HOUR; 20], ahead.collect(), vec![29 * HOUR; 20], vec![HOUR; 5]].concat()
        }),
        ("twenty hours ahead for a while", {
            let ahead = (0..20).map(|n| twenty_hours_ahead - n);
            let later = (0..20).rev().map(|n| n * HOUR);
            [vec![30 * HOUR; 20], ahead.collect(), vec![29 * HOUR; 20], later.collect()].concat()
        }),
    ];
    for (what, ages) in histories {
        let directory = closed_store(ages, Some(24 * HOUR)).await;
        assert_eq!(faults(&directory), Vec::<String>::new(), "{what}");
        if let Err(error) = try_open(&directory) {
            panic!("{what}: {error}");
        }
    }
}
