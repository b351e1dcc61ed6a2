//! Receipts that are missing, and receipts whose events are: told as any loss is. What the deleting of old ones leaves is none,
//! whatever clocks did.

use std::fs;
use std::time::Instant;

use futures_util::future::join_all;
use order_application::{
    EventLog, Receipt, ReceiptAge, Receipts, StoreError, Version, ViewRepair, ViewsProgress,
};
use order_domain::{OrderId, Timestamp};
use order_store::{
    COPY_CHUNK, CopyError, LogReader, Loss, SideError, SqliteError, SqliteStore, StoreLocation,
};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::contract::{bus, receipt, under};
use crate::order::TestOrder;
use crate::random::Random;
use crate::sqlite::{PATIENCE, SMALL_BATCHES, open_with_loss};
use crate::sqlite_loss::{assert_refused, files, log_in, open, views_in};

const HOUR: i64 = 3_600;

fn faults(directory: &TempDir) -> Vec<String> {
    SqliteStore::verify(&log_in(directory), &mut |_, _| {}).unwrap().faults
}

/// The receipt with a number, if none was kept before.
fn numbered(number: u64) -> Receipt {
    receipt(&number.to_string(), &OrderId::new("order").unwrap(), 1, 1)
}

async fn keep(store: &SqliteStore, numbers: std::ops::RangeInclusive<u64>) {
    let kept = join_all(numbers.map(|number| store.keep_receipt(numbered(number)))).await;
    assert!(kept.iter().all(Result::is_ok));
}

/// A closed store with receipts that are numbered from 1 on.
async fn closed_store(receipts: u64) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    store.append(TestOrder::new("order").place()).await.unwrap();
    for first in (1..=receipts).step_by(2_000) {
        keep(&store, first..=receipts.min(first + 1_999)).await;
    }
    directory
}

fn sql(directory: &TempDir, statement: &str) {
    Connection::open(log_in(directory)).unwrap().execute_batch(statement).unwrap();
}

fn lose(directory: &TempDir, numbers: &str) {
    sql(directory, &format!("DELETE FROM receipts WHERE {numbers}"));
}

fn missing(directory: &TempDir, first: u64, last: u64) -> Loss {
    Loss::MissingReceipts { log: log_in(directory), first, last }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_that_are_missing_in_the_middle_are_refused_until_that_is_accepted() {
    let directory = closed_store(200).await;
    lose(&directory, "sequence BETWEEN 101 AND 130");
    let loss = assert_refused(&directory);
    assert_eq!(loss, missing(&directory, 101, 130));
    let told = "lacks 30 receipts (number 101 to 130) of commands with an Idempotency-Key";
    assert!(loss.to_string().contains(told), "{loss}");

    drop(open_with_loss(&log_in(&directory)).unwrap());
    assert_eq!(faults(&directory), Vec::<String>::new());
    let store = open(&directory);
    for number in 1..=200 {
        let found = store.find_receipt(&numbered(number).key).await.unwrap();
        assert_eq!(found.is_none(), (101..=130).contains(&number), "{number}");
    }
    keep(&store, 201..=210).await;
    drop(store);
    // What is lost beside that is told, and the gap as it is now.
    lose(&directory, "sequence = 131");
    assert_eq!(assert_refused(&directory), missing(&directory, 101, 131));
}

/// Otherwise the next start, for which nobody accepts anything, would be told of nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_fails_has_accepted_nothing() {
    let directory = closed_store(200).await;
    lose(&directory, "sequence = 100");
    fs::remove_file(views_in(&directory)).unwrap();
    // Nobody knows whose history has a hole, so no views can be made.
    sql(&directory, "UPDATE events SET version = 7");
    let failed = open_with_loss(&log_in(&directory)).err();
    assert!(matches!(failed, Some(SqliteError::Corrupt { .. })), "{failed:?}");
    assert_eq!(assert_refused(&directory), missing(&directory, 100, 100));
}

/// Numbers beyond the end are given again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_is_told_when_it_is_lost_again_after_the_end_was_lost() {
    let directory = closed_store(20).await;
    for lost in ["sequence BETWEEN 5 AND 8", "sequence > 4"] {
        lose(&directory, lost);
        assert_refused(&directory);
        drop(open_with_loss(&log_in(&directory)).unwrap());
    }
    let store = open(&directory);
    keep(&store, 101..=116).await;
    drop(store);
    assert_eq!(faults(&directory), Vec::<String>::new());
    lose(&directory, "sequence BETWEEN 5 AND 8");
    assert_eq!(assert_refused(&directory), missing(&directory, 5, 8));
}

/// They would be taken for keys that are new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_are_not_made_anew_from_receipts_that_are_missing() {
    let directory = closed_store(200).await;
    lose(&directory, "sequence = 100");
    fs::remove_file(views_in(&directory)).unwrap();
    assert_eq!(assert_refused(&directory), missing(&directory, 100, 100));
    assert!(!views_in(&directory).exists());
}

/// Of many receipts the start looks at some: what it passes over is told where it matters, and by whoever looks at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_that_is_missing_among_very_many_is_found_and_is_no_answer() {
    let directory = closed_store(13_000).await;
    let step = 12_999_u64.div_ceil(256);
    // Between two look-ups, and not among the newest.
    let lost = 1 + 20 * (step + 1) - 10;
    lose(&directory, &format!("sequence = {lost}"));
    let before = files(directory.path());
    let expected = missing(&directory, lost, lost).to_string();
    assert_eq!(faults(&directory), [expected.as_str()]);
    let location = StoreLocation::Sqlite(log_in(&directory));
    let told = LogReader::open(&location).await.unwrap().losses().await.unwrap();
    assert_eq!(told, [expected.as_str()]);
    let target = tempfile::tempdir().unwrap();
    let target = StoreLocation::Sqlite(log_in(&target));
    let refused = order_store::copy(&location, &target, COPY_CHUNK, &mut |_, _, _| {}).await.unwrap_err();
    assert!(matches!(refused, CopyError::Source(SideError::Sqlite(SqliteError::Lost { .. }))), "{refused:?}");
    assert_eq!(files(directory.path()), before);

    let store = open(&directory);
    let found = store.find_receipt(&numbered(lost).key).await;
    assert!(matches!(found, Err(StoreError::Corrupt(_))), "{found:?}");
    let kept = store.keep_receipt(numbered(lost)).await;
    assert!(matches!(kept, Err(StoreError::Corrupt(_))), "{kept:?}");
    assert!(store.find_receipt(&numbered(lost + 1).key).await.unwrap().is_some());
    let start = Instant::now();
    while store.check().await.is_ok() {
        assert!(start.elapsed() < PATIENCE, "nobody has looked at all of them");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let stopped = store.check().await;
    assert!(matches!(&stopped, Err(StoreError::Corrupt(what)) if *what == expected), "{stopped:?}");
}

/// Whatever is deleted, the numbers of those that stay have no gap, none goes before its time, and the store is sound.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_receipts_that_were_deleted_are_no_loss_whatever_the_clock_did() {
    for seed in 0..8 {
        let mut random = Random(seed);
        let directory = tempfile::tempdir().unwrap();
        let mut store = open(&directory);
        store.append(TestOrder::new("order").place()).await.unwrap();
        let (mut now, mut number) = (100 * 24 * HOUR, 0);
        for _ in 0..40 {
            // A clock that is right, or ahead, or behind for a while.
            let wrong_by = match random.below(4) {
                0 => [20, 25, 3_000][random.below(3)] * HOUR,
                1 => [-20, -30][random.below(2)] * HOUR,
                _ => 0,
            };
            for _ in 0..random.below(12) {
                number += 1;
                let jitter = random.below(40) as i64 - 20;
                let answered_at = Timestamp::from_micros((now + wrong_by + jitter) * 1_000_000);
                store.keep_receipt(Receipt { answered_at, ..numbered(number) }).await.unwrap();
            }
            now += random.below(5) as i64 * HOUR;
            let by_the_clock = now + if random.below(4) == 0 { wrong_by } else { 0 };
            let before = Timestamp::from_micros((by_the_clock - 24 * HOUR) * 1_000_000);
            let age = ReceiptAge { before, now: Timestamp::from_micros(by_the_clock * 1_000_000) };
            for _ in 0..random.below(20) {
                let limit = 1 + random.below(7);
                let trimmed = store.trim_receipts(age, limit).await.unwrap();
                assert!(trimmed.receipts <= limit, "{seed}");
            }
            if random.below(5) == 0 {
                drop(store);
                assert_eq!(faults(&directory), Vec::<String>::new(), "{seed}");
                store = open(&directory);
            }
            assert_eq!(store.check().await, Ok(()), "{seed}");
        }
        // The clock is right, and everything becomes old in the end, but what is dated in a far future.
        let end = Timestamp::from_micros((now + 10_000 * HOUR) * 1_000_000);
        while store.trim_receipts(ReceiptAge { before: end, now: end }, 100).await.unwrap().more {}
        drop(store);
        let left: u64 = Connection::open(log_in(&directory))
            .unwrap()
            .query_row("SELECT count(*) FROM receipts", (), |row| row.get(0))
            .unwrap();
        assert_eq!(left, number.min(1), "{seed}: but for the newest");
        assert_eq!(faults(&directory), Vec::<String>::new(), "{seed}");
        drop(open(&directory));
    }
}

/// Orders with a receipt for each of their events, of which the log has lost the last ones.
async fn store_that_lost_its_end() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    for n in 0..30 {
        let mut order = TestOrder::new(&format!("order-{n}"));
        store.append(under(&format!("place-{n}"), order.place())).await.unwrap();
        store.append(under(&format!("pay-{n}"), order.pay(1))).await.unwrap();
    }
    drop(store);
    sql(&directory, "DELETE FROM events WHERE position > 57");
    fs::remove_file(views_in(&directory)).unwrap();
    directory
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_only_receipts_know_of_are_missed_and_their_commands_may_be_sent_again_if_that_is_accepted()
 {
    let directory = store_that_lost_its_end().await;
    let told = faults(&directory);
    assert_eq!(told.len(), 3, "{told:?}");
    let said =
        "a receipt is of a command that brought order order-28 to version 2, and in the log it has version 1";
    assert!(told.contains(&said.to_owned()), "{told:?}");
    let before = files(directory.path());
    let losses = crate::sqlite::losses(&log_in(&directory));
    let order_id = OrderId::new("order-29").unwrap();
    let expected = Loss::MissingEvent { log: log_in(&directory), order_id, version: Version(2), receipts: 3 };
    assert_eq!(losses, [expected]);
    assert!(files(directory.path()) == before, "the refusal changed something");

    let store = open_with_loss(&log_in(&directory)).unwrap();
    let mut lost = TestOrder::new("order-29");
    assert_eq!(
        store.find_receipt(&receipt("place-28", &lost.id, 1, 1).key).await.map(|found| found.is_some()),
        Ok(true)
    );
    store.append(under("place-29", lost.place())).await.unwrap();
    store.append(under("pay-29", lost.pay(1))).await.unwrap();
    drop(store);
    assert_eq!(faults(&directory), Vec::<String>::new());
    let store = open(&directory);
    store.repair_views(&[], &[], "a test asks for it").await.unwrap();
    assert_eq!(store.check().await, Ok(()));
}

/// As where views of this log are there that have lost as much.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_receipts_know_of_are_missed_beside_views_as_well() {
    let directory = store_that_lost_its_end().await;
    let hidden = "CREATE TABLE hidden AS SELECT * FROM receipts; DELETE FROM receipts WHERE sequence > 57";
    sql(&directory, hidden);
    drop(open(&directory));
    sql(&directory, "INSERT INTO receipts SELECT * FROM hidden WHERE sequence > 57; DROP TABLE hidden");
    let told = SqliteStore::open(&log_in(&directory), bus(), SMALL_BATCHES, &ViewsProgress::default()).err();
    assert!(
        matches!(&told, Some(SqliteError::Lost { losses, .. }) if matches!(losses[..], [Loss::MissingEvent { .. }])),
        "{told:?}"
    );
    drop(open_with_loss(&log_in(&directory)).unwrap());
    drop(open(&directory));
    assert_eq!(faults(&directory), Vec::<String>::new());
}
