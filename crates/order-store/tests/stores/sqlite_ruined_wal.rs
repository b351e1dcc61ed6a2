//! A write-ahead log that somebody cuts or writes over while a server has it open. SQLite goes on as if nothing had been, and
//! at the end copies what is there into the log.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use order_application::{AppendError, Checkpoints, EventLog, ReceiptAge, Receipts, StoreError};
use order_domain::Timestamp;
use order_store::SqliteStore;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::contract::receipt;
use crate::order::TestOrder;
use crate::sqlite_locks::{assert_left_alone, stopped};
use crate::sqlite_loss::{assert_refused, closed_store, end, files, killed, log_in, open, place, wal_in};

/// What somebody does to the files of a store whose files are as in a copy that was made a little before.
type Ruin = fn(&TempDir, &TempDir);

fn cut_to(directory: &TempDir, bytes: u64) {
    OpenOptions::new().write(true).open(wal_in(directory)).unwrap().set_len(bytes).unwrap();
}

fn cut_to_half(directory: &TempDir, _: &TempDir) {
    cut_to(directory, fs::metadata(wal_in(directory)).unwrap().len() / 2);
}

/// As `cp` does it: the files stay the same, and what they have does not.
fn put_back(directory: &TempDir, backup: &TempDir) {
    for (from, to) in [(log_in(backup), log_in(directory)), (wal_in(backup), wal_in(directory))] {
        fs::write(to, fs::read(from).unwrap()).unwrap();
    }
}

fn copy_of_another(directory: &TempDir, _: &TempDir) {
    let other = tempfile::tempdir().unwrap();
    drop(Connection::open(log_in(&other)).unwrap());
    let log = Connection::open(log_in(&other)).unwrap();
    let write =
        "PRAGMA journal_mode = wal; CREATE TABLE rows (data); INSERT INTO rows VALUES (randomblob(90000));";
    log.execute_batch(write).unwrap();
    fs::write(wal_in(directory), fs::read(wal_in(&other)).unwrap()).unwrap();
}

const RUINS: [(&str, Ruin); 4] = [
    ("cut to nothing", |directory, _| cut_to(directory, 0)),
    ("cut to half", cut_to_half),
    ("put back", put_back),
    ("another's", copy_of_another),
];

/// A store that is in use, whose write-ahead log has just been ruined.
async fn opened_and_ruined(directory: &TempDir, ruin: Ruin) -> SqliteStore {
    let store = open(directory);
    place(&store, 30..40).await;
    let backup = killed(directory);
    place(&store, 40..50).await;
    ruin(directory, &backup);
    store
}

#[tokio::test]
async fn when_the_write_ahead_log_is_written_over_or_cut_under_a_server_commands_stop() {
    for (what, ruin) in RUINS {
        // What is written behind a cut makes the file as long as it was.
        for commands in [0, 1, 3] {
            let directory = closed_store().await;
            let store = opened_and_ruined(&directory, ruin).await;
            for n in 50..50 + commands {
                // It may be refused by now.
                let _ = store.append(TestOrder::new(&format!("order-{n}")).place()).await;
            }
            let why = stopped(&store).await;
            let wal = wal_in(&directory);
            let is_told = why.starts_with(&wal.display().to_string()) && why.contains("while it was in use");
            // A reader may be there before the next look, and meet any page, or the first.
            let is_met = ["malformed", "file is not a database"].iter().any(|met| why.contains(met));
            assert!(is_told || is_met, "{what}: {why}");
            let refused = store.append(TestOrder::new("b").place()).await;
            assert!(
                matches!(refused, Err(AppendError::Store(StoreError::Corrupt(_)))),
                "{what}: {refused:?}"
            );
            let left = [log_in(&directory), wal].map(|path| fs::read(path).unwrap());
            drop(store);
            assert_left_alone(&log_in(&directory), &left[0], &left[1]);
            // The views have what the log has lost.
            assert_refused(&killed(&directory));
        }
    }
}

/// It may be over before the next look at the files.
#[tokio::test]
async fn a_write_ahead_log_that_is_ruined_just_before_the_end_is_not_copied() {
    for (_, ruin) in RUINS {
        let directory = closed_store().await;
        let store = opened_and_ruined(&directory, ruin).await;
        let left = [log_in(&directory), wal_in(&directory)].map(|path| fs::read(path).unwrap());
        drop(store);
        assert_left_alone(&log_in(&directory), &left[0], &left[1]);
    }
}

/// So many commands make the store copy the write-ahead log, however long it is until the next look at the files.
#[tokio::test]
async fn a_write_ahead_log_that_is_ruined_just_before_a_copy_is_not_copied() {
    for (what, ruin) in RUINS {
        let directory = closed_store().await;
        let store = opened_and_ruined(&directory, ruin).await;
        let log = fs::read(log_in(&directory)).unwrap();
        let mut n = 50;
        while store.append(TestOrder::new(&format!("order-{n}")).place()).await.is_ok() {
            n += 1;
            assert!(n < 20_000, "{what}: it goes on");
        }
        stopped(&store).await;
        drop(store);
        assert!(fs::read(log_in(&directory)).unwrap() == log, "{what}: it was copied");
    }
}

/// What the writer does.
const WRITES: [&str; 4] = ["append", "receipt", "lease", "trim"];

async fn write(store: &SqliteStore, what: &str) -> Result<(), AppendError> {
    let now = Timestamp::from_micros(0);
    match what {
        "append" => store.append(TestOrder::new("late").place()).await.map(drop),
        "receipt" => {
            Ok(store.keep_receipt(receipt("late", &TestOrder::new("a").id, 1, 1)).await.map(drop)?)
        }
        "lease" => Ok(store.claim("relay", "late", None).await.map(drop)?),
        _ => Ok(store.trim_receipts(ReceiptAge { before: now, now }, 1).await.map(drop)?),
    }
}

/// By it SQLite would begin at an earlier end, and write over what was acknowledged.
#[tokio::test]
async fn beside_an_earlier_index_of_the_write_ahead_log_nothing_is_written_over() {
    for what in WRITES {
        for with_receipts in [false, true] {
            let directory = closed_store().await;
            let store = open(&directory);
            place(&store, 30..31).await;
            let index = directory.path().join("orders.db-shm");
            let earlier = fs::read(&index).unwrap();
            if with_receipts {
                for n in 0..9 {
                    let of_one = receipt(&n.to_string(), &TestOrder::new("order-1").id, 1, 1);
                    store.keep_receipt(of_one).await.unwrap();
                }
            } else {
                place(&store, 31..40).await;
            }
            let wal = fs::read(wal_in(&directory)).unwrap();
            OpenOptions::new().write(true).open(&index).unwrap().write_all_at(&earlier, 0).unwrap();
            let refused = write(&store, what).await;
            assert!(
                matches!(refused, Err(AppendError::Store(StoreError::Corrupt(_)))),
                "{what}: {refused:?}"
            );
            let refused = store.append(TestOrder::new("b").place()).await;
            assert!(
                matches!(refused, Err(AppendError::Store(StoreError::Corrupt(_)))),
                "{what}: {refused:?}"
            );
            assert!(fs::read(wal_in(&directory)).unwrap() == wal, "{what}: something was written");
            drop(store);
            let left = killed(&directory);
            let store = open(&left);
            assert_eq!(end(&store).await, if with_receipts { 31 } else { 40 }, "{what}");
            let last = receipt("8", &TestOrder::new("order-1").id, 1, 1);
            assert_eq!(store.find_receipt(&last.key).await, Ok(with_receipts.then_some(last)), "{what}");
        }
    }
}

/// Whatever SQLite's own tools do to it is no damage.
#[tokio::test]
async fn whoever_copies_the_write_ahead_log_under_a_server_stops_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let operator = Connection::open(log_in(&directory)).unwrap();
    let (begun, mut placed) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(3) {
        for kind in ["PASSIVE", "FULL", "RESTART", "TRUNCATE"] {
            place(&store, placed..placed + 7).await;
            placed += 7;
            operator.query_row(&format!("PRAGMA wal_checkpoint({kind})"), (), |_| Ok(())).unwrap();
            if placed % 2 == 0 {
                place(&store, placed..placed + 1).await;
                placed += 1;
            }
        }
        assert_eq!(store.check().await, Ok(()));
    }
    drop(operator);
    drop(store);
    assert!(!files(directory.path()).contains_key(&wal_in(&directory)), "it was not closed in order");
    assert_eq!(end(&open(&directory)).await, placed as u64);
}
