//! Receipts in SQLite: they are in the log's file, and the views find them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use order_application::{AppendError, EventLog, ReceiptAge, Receipts, ViewRepair, ViewsProgress, ViewsState};
use order_domain::OrderId;
use order_store::{Loss, SqliteLimits, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::contract::{bus, old_before, receipt, under};
use crate::order::TestOrder;
use crate::sqlite::{PATIENCE, SMALL_BATCHES, losses, open_with_loss, rebuilt, replaced};

/// So many receipts are a segment of the index.
const SEGMENT: u64 = 1 << 20;
/// Every receipt of these tests is old.
const LATER: ReceiptAge = old_before(1_000_000);

fn log_in(directory: &TempDir) -> PathBuf {
    directory.path().join("orders.db")
}

fn views_in(directory: &TempDir) -> PathBuf {
    directory.path().join("orders.views.1.db")
}

fn open(directory: &TempDir) -> SqliteStore {
    SqliteStore::open(&log_in(directory), bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap()
}

fn sql(path: &Path, statement: &str) {
    Connection::open(path).unwrap().execute_batch(statement).unwrap();
}

fn number(path: &Path, query: &str) -> u64 {
    Connection::open(path).unwrap().query_row(query, (), |row| row.get(0)).unwrap()
}

fn faults(directory: &TempDir) -> Vec<String> {
    SqliteStore::verify(&log_in(directory), &mut |_, _| {}).unwrap().faults
}

fn order_id() -> OrderId {
    OrderId::new("order").unwrap()
}

/// Receipts without events under the keys of these numbers, as many at once as there are.
async fn keep(store: &SqliteStore, keys: impl IntoIterator<Item = u64>) {
    let keep = |key: u64| store.keep_receipt(receipt(&key.to_string(), &order_id(), 1, 1));
    assert!(join_all(keys.into_iter().map(keep)).await.iter().all(Result::is_ok));
}

/// Each key has its receipt, and no command runs under it.
async fn assert_taken(store: &SqliteStore, keys: impl IntoIterator<Item = u64>) {
    for key in keys {
        let receipt = receipt(&key.to_string(), &order_id(), 1, 1);
        assert_eq!(store.find_receipt(&receipt.key).await, Ok(Some(receipt)), "{key}");
        let append = under(&key.to_string(), TestOrder::new(&format!("again-{key}")).place());
        assert_eq!(store.append(append).await, Err(AppendError::KeyTaken), "{key}");
    }
}

async fn assert_free(store: &SqliteStore, keys: impl IntoIterator<Item = u64>) {
    for key in keys {
        let receipt = receipt(&key.to_string(), &order_id(), 1, 1);
        assert_eq!(store.find_receipt(&receipt.key).await, Ok(None), "{key}");
    }
}

/// A store with receipts under the keys 1 to 200 that is closed.
async fn closed_store() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    store.append(TestOrder::new("order").place()).await.unwrap();
    keep(&store, 1..=200).await;
    directory
}

/// Moves the receipts with the numbers 1 to 200 up, as if there had been many before, until so many fit the first segment.
fn move_up(directory: &TempDir, left: u64) {
    let up = SEGMENT - 201 - left;
    sql(&log_in(directory), &format!("UPDATE receipts SET sequence = sequence + {up} WHERE true"));
    fs::remove_file(views_in(directory)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_are_found_while_batches_go_to_the_views_and_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    store.append(TestOrder::new("order").place()).await.unwrap();
    for batch in 0..20 {
        let keys = batch * 50..(batch + 1) * 50;
        keep(&store, keys.clone()).await;
        assert_taken(&store, keys).await;
        assert_taken(&store, (0..batch * 50).step_by(37)).await;
    }
    drop(store);
    assert_eq!(number(&views_in(&directory), "SELECT count(*) FROM receipt_index"), 1_000);
    assert_eq!(faults(&directory), Vec::<String>::new());
    let store = open(&directory);
    assert_taken(&store, 0..1_000).await;
    assert_free(&store, 1_000..1_100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_are_found_when_views_were_deleted_or_are_behind() {
    let directory = closed_store().await;
    let behind = fs::read(views_in(&directory)).unwrap();
    let store = open(&directory);
    keep(&store, 201..=400).await;
    drop(store);
    fs::write(views_in(&directory), behind).unwrap();
    assert_eq!(faults(&directory), Vec::<String>::new());
    assert_taken(&open(&directory), 1..=400).await;
    fs::remove_file(views_in(&directory)).unwrap();
    assert_taken(&open(&directory), 1..=400).await;
    assert_eq!(faults(&directory), Vec::<String>::new());
}

/// Whoever opens them could add them, but so many that commands would wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_that_were_made_anew_find_all_receipts() {
    let directory = closed_store().await;
    SqliteStore::rebuild(&log_in(&directory), &mut |_, _| {}).unwrap();
    let views = directory.path().join("orders.views.2.db");
    assert_eq!(number(&views, "SELECT count(*) FROM receipt_index"), 200);
    assert_taken(&open(&directory), 1..=200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_that_come_while_views_are_made_anew_are_found() {
    let directory = closed_store().await;
    let store = open(&directory);
    let mut last = 200;
    for _ in 0..3 {
        store.repair_views(&[], &[], "a test asks for it").await.unwrap();
        while store.views().state != ViewsState::Current {
            keep(&store, last + 1..=last + 40).await;
            last += 40;
        }
        assert_taken(&store, 1..=last).await;
    }
    drop(store);
    assert_eq!(faults(&directory), Vec::<String>::new());
    assert_taken(&open(&directory), 1..=last).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_that_views_cannot_take_are_in_those_that_take_their_place() {
    let directory = closed_store().await;
    let store = open(&directory);
    // Under the server's feet: the next batch cannot be written.
    sql(&views_in(&directory), "UPDATE receipt_segments SET checksum = x'00'");
    for key in 201..=300_u64 {
        let (start, receipt) = (Instant::now(), receipt(&key.to_string(), &order_id(), 1, 1));
        // until they are rebuilt, a key that the filters do not know as new is refused.
        while store.keep_receipt(receipt.clone()).await.is_err() {
            assert!(start.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    replaced(&store, &views_in(&directory), "views").await;
    assert_taken(&store, 1..=300).await;
    drop(store);
    assert_eq!(faults(&directory), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_of_several_segments_are_found_and_go_with_their_segment() {
    let directory = closed_store().await;
    move_up(&directory, 0);
    let store = open(&directory);
    keep(&store, 201..=400).await;
    assert_taken(&store, 1..=400).await;
    drop(store);
    let store = open(&directory);
    assert_taken(&store, 1..=400).await;
    let segments = "SELECT count(DISTINCT segment) FROM receipt_index";
    assert_eq!(number(&views_in(&directory), segments), 2);

    // The last of the first segment is 200: of all others some go, too, and are not found.
    assert_eq!(store.trim_receipts(LATER, 300).await.map(|trimmed| trimmed.receipts), Ok(300));
    assert_free(&store, 1..=300).await;
    assert_taken(&store, 301..=400).await;
    wait_for(&store, &views_in(&directory), segments, 1).await;
    assert_taken(&store, 301..=400).await;
    drop(store);
    assert_eq!(number(&views_in(&directory), "SELECT min(id) FROM receipt_segments"), 1);
    assert_eq!(faults(&directory), Vec::<String>::new());
    let store = open(&directory);
    assert_free(&store, 1..=300).await;
    assert_taken(&store, 301..=400).await;
    keep(&store, 1..=300).await;
    assert_taken(&store, 1..=400).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_that_are_deleted_before_their_batch_is_written_do_no_harm() {
    let directory = closed_store().await;
    move_up(&directory, 10);
    let limits = SqliteLimits { view_batch_bytes: 1_000_000, ..SMALL_BATCHES };
    let store = SqliteStore::open(&log_in(&directory), bus(), limits, &ViewsProgress::default()).unwrap();
    keep(&store, 201..=400).await;
    // The batch has some of the first segment, which the views that come do not have at all.
    assert_eq!(store.trim_receipts(LATER, 300).await.map(|trimmed| trimmed.receipts), Ok(300));
    store.repair_views(&[], &[], "a test asks for it").await.unwrap();
    rebuilt(&store, "views").await;
    drop(store);
    assert_eq!(faults(&directory), Vec::<String>::new());
    let store = open(&directory);
    assert_free(&store, 1..=300).await;
    assert_taken(&store, 301..=400).await;
}

/// Waits until a query of the views says so; what goes there goes with batches.
async fn wait_for(store: &SqliteStore, views: &Path, query: &str, expected: u64) {
    let start = Instant::now();
    let mut n = 0;
    while number(views, query) != expected {
        assert!(start.elapsed() < PATIENCE, "{query}");
        store.append(TestOrder::new(&format!("batch-{n}")).place()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        n += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_never_comes_again_though_all_receipts_are_old() {
    let directory = closed_store().await;
    let store = open(&directory);
    let mut trimmed = 0;
    while trimmed < 199 {
        trimmed += store.trim_receipts(LATER, 50).await.unwrap().receipts;
    }
    assert_eq!(
        store.trim_receipts(LATER, 50).await.map(|trimmed| trimmed.receipts),
        Ok(0),
        "the newest stays"
    );
    assert_free(&store, 1..=199).await;
    drop(store);
    let store = open(&directory);
    keep(&store, 1..=5).await;
    drop(store);
    assert_eq!(number(&log_in(&directory), "SELECT max(sequence) FROM receipts"), 205);
    let store = open(&directory);
    assert_taken(&store, 1..=5).await;
    assert_eq!(
        store.trim_receipts(LATER, 1).await.map(|trimmed| trimmed.receipts),
        Ok(1),
        "it is not the newest any more"
    );
    assert_free(&store, 6..=200).await;
}

/// As after a restore of the log alone: the views know receipts that this log never had, and lack others with their numbers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_that_end_with_another_receipt_than_the_log_are_refused_or_made_anew() {
    let directory = closed_store().await;
    let restored = fs::read(log_in(&directory)).unwrap();
    let store = open(&directory);
    keep(&store, 201..=300).await;
    drop(store);
    let views = fs::read(views_in(&directory)).unwrap();
    fs::write(log_in(&directory), restored).unwrap();
    let [fault] = &faults(&directory)[..] else { panic!("{:?}", faults(&directory)) };
    assert!(fault.ends_with("have receipts up to number 300, and the log's last is number 200"), "{fault}");
    assert_eq!(losses(&log_in(&directory)).len(), 1);
    let store = open_with_loss(&log_in(&directory)).unwrap();
    assert_eq!(number(&views_in(&directory), "SELECT last_receipt FROM progress"), 200);
    assert_free(&store, 201..=300).await;
    keep(&store, 301..=400).await;
    drop(store);

    // Not ahead any more, but of another history.
    fs::write(views_in(&directory), views).unwrap();
    let told = losses(&log_in(&directory));
    assert!(matches!(&told[..], [Loss::OtherReceipt { last: 300, .. }]), "{told:?}");
    assert_taken(&open_with_loss(&log_in(&directory)).unwrap(), 301..=400).await;
    assert_eq!(faults(&directory), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_finds_whatever_the_index_of_receipts_lacks() {
    for (damage, said) in [
        ("DELETE FROM receipt_index WHERE sequence = 7", "lacks 1 of them"),
        ("DELETE FROM receipt_index", "lacks 200 of them"),
        ("UPDATE receipt_index SET hash = hash + 1 WHERE sequence = 7", "lacks 1 of them"),
        ("INSERT INTO receipt_index VALUES (0, 1, 2)", "does not have the entries that it should"),
        ("DELETE FROM receipt_segments", "does not have the entries that it should"),
        ("UPDATE receipt_segments SET checksum = x'00'", "does not have the entries that it should"),
    ] {
        let directory = closed_store().await;
        sql(&views_in(&directory), damage);
        let faults = faults(&directory);
        assert!(faults.iter().any(|fault| fault.contains(said)), "{damage}: {faults:?}");
    }
}
