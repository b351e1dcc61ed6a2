//! One server for a store, however it comes to the files; and files that only their owner reads.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use order_application::{AppendError, EventLog, StoreError, ViewsProgress};
use order_store::{SqliteError, SqliteLimits, SqliteStore};
use tempfile::TempDir;

use crate::contract::bus;
use crate::order::TestOrder;
use crate::sqlite::{PATIENCE, SMALL_BATCHES};

fn open(log: &Path) -> Result<SqliteStore, SqliteError> {
    SqliteStore::open(log, bus(), SMALL_BATCHES, &ViewsProgress::default())
}

fn log_in(directory: &TempDir) -> PathBuf {
    directory.path().join("orders.db")
}

#[tokio::test]
async fn a_second_server_is_refused_when_the_lock_file_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&log_in(&directory)).unwrap();
    fs::remove_file(directory.path().join("orders.lock")).unwrap();
    assert!(matches!(open(&log_in(&directory)).err(), Some(SqliteError::InUse(_))));
    drop(store);
    assert!(open(&log_in(&directory)).is_ok());
}

#[tokio::test]
async fn a_file_with_a_second_name_is_refused_under_both() {
    let directory = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir_in(directory.path()).unwrap();
    let store = open(&log_in(&directory)).unwrap();
    fs::hard_link(log_in(&directory), log_in(&elsewhere)).unwrap();
    assert!(matches!(open(&log_in(&elsewhere)).err(), Some(SqliteError::InUse(_))));
    drop(store);
    for directory in [&directory, &elsewhere] {
        let refused = open(&log_in(directory)).err();
        assert!(matches!(refused, Some(SqliteError::Linked { links: 2, .. })), "{refused:?}");
    }
    fs::remove_file(log_in(&elsewhere)).unwrap();
    assert!(open(&log_in(&directory)).is_ok());
}

#[tokio::test]
async fn files_and_directories_are_their_owners_alone() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("shop/data");
    let store = open(&inner.join("orders.db")).unwrap();
    store.append(TestOrder::new("a").place()).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory.path().join("shop")), mode(&inner)), (0o700, 0o700));
    let files: Vec<_> = fs::read_dir(&inner).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 4, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

/// Waits until commands have stopped, and says why.
pub(crate) async fn stopped(store: &SqliteStore) -> String {
    let start = Instant::now();
    loop {
        match store.check().await {
            Ok(()) => assert!(start.elapsed() < PATIENCE, "it goes on"),
            Err(StoreError::Corrupt(what)) => return what,
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

/// They may be all that knows of the last events. They are written every two seconds anyway: so it is tried some times, and must be
/// quicker once.
#[tokio::test]
async fn when_a_file_is_removed_under_a_server_the_views_are_written_at_once() {
    let mut waited = Vec::new();
    for _ in 0..4 {
        let directory = tempfile::tempdir().unwrap();
        let log = log_in(&directory);
        let limits = SqliteLimits::default();
        let store = SqliteStore::open(&log, bus(), limits, &ViewsProgress::default()).unwrap();
        store.append(TestOrder::new("a").place()).await.unwrap();
        fs::remove_file(directory.path().join("orders.db-wal")).unwrap();
        stopped(&store).await;
        let start = Instant::now();
        let views = rusqlite::Connection::open(directory.path().join("orders.views.1.db")).unwrap();
        let position = || views.query_row("SELECT position FROM progress", (), |row| row.get::<_, u64>(0));
        while position().unwrap() == 0 {
            assert!(start.elapsed() < PATIENCE, "they are not written");
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        waited.push(start.elapsed());
        if waited.last().is_some_and(|waited| *waited < std::time::Duration::from_millis(300)) {
            return;
        }
    }
    panic!("they were not written before their time: {waited:?}");
}

#[tokio::test]
async fn when_a_file_is_removed_or_replaced_under_a_server_commands_stop() {
    for name in ["orders.db", "orders.db-wal", "orders.db-shm"] {
        for is_replaced in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(name);
            let store = open(&log_in(&directory)).unwrap();
            let mut order = TestOrder::new("a");
            store.append(order.place()).await.unwrap();
            let copy = directory.path().join("copy");
            fs::copy(&path, &copy).unwrap();
            if is_replaced {
                fs::rename(&copy, &path).unwrap();
            } else {
                fs::remove_file(&path).unwrap();
            }
            let why = stopped(&store).await;
            assert!(why.starts_with(&path.display().to_string()), "{why}");
            assert!(why.contains(if is_replaced { "was replaced" } else { "was removed" }), "{why}");
            // The index of the write-ahead log has nothing to be saved.
            assert_eq!(why.contains("save it"), name != "orders.db-shm", "{why}");
            let refused = store.append(TestOrder::new("b").place()).await;
            assert!(matches!(refused, Err(AppendError::Store(StoreError::Corrupt(_)))), "{refused:?}");
        }
    }
}

/// As `cp backup orders.db` does it, and what else writes into the file that is open.
#[tokio::test]
async fn when_the_log_is_written_over_or_cut_under_a_server_commands_stop() {
    let directory = tempfile::tempdir().unwrap();
    let path = log_in(&directory);
    let place = async |orders: std::ops::Range<usize>| {
        let store = open(&path).unwrap();
        for n in orders {
            store.append(TestOrder::new(&format!("order-{n}")).place()).await.unwrap();
        }
        store
    };
    drop(place(0..30).await);
    let backup = fs::read(&path).unwrap();
    drop(place(30..100).await);
    let sound = fs::read(&path).unwrap();
    let padded = [&backup[..], &sound[backup.len()..]].concat();
    assert!(backup.len() < sound.len() && padded != sound);
    for (written, expected) in [
        (&backup[..], "became shorter"),
        (&[], "became shorter"),
        (&padded, "was written over by an earlier one"),
    ] {
        fs::write(&path, &sound).unwrap();
        for leftover in fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()) {
            if leftover != path {
                fs::remove_file(leftover).unwrap();
            }
        }
        let store = place(100..103).await;
        fs::write(&path, written).unwrap();
        let why = stopped(&store).await;
        assert!(why.starts_with(&path.display().to_string()) && why.contains(expected), "{why}");
        let refused = store.append(TestOrder::new("b").place()).await;
        assert!(matches!(refused, Err(AppendError::Store(StoreError::Corrupt(_)))), "{refused:?}");
        let wal = fs::read(wal_in(&path)).unwrap();
        drop(store);
        assert_left_alone(&path, written, &wal);
    }
}

/// What is in place of a log is as it was, and so are the commits that are nowhere else.
#[track_caller]
pub(crate) fn assert_left_alone(log: &Path, written: &[u8], wal: &[u8]) {
    assert!(fs::read(log).unwrap() == written, "the file in place of the log was written to");
    assert!(fs::read(wal_in(log)).is_ok_and(|left| left == wal), "the write-ahead log was not kept");
}

fn wal_in(log: &Path) -> PathBuf {
    log.with_extension("db-wal")
}

/// It may be over before the next look at the files.
#[tokio::test]
async fn a_log_that_is_written_over_just_before_the_end_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = log_in(&directory);
    drop(open(&path).unwrap());
    let backup = fs::read(&path).unwrap();
    let store = open(&path).unwrap();
    for n in 0..30 {
        store.append(TestOrder::new(&format!("order-{n}")).place()).await.unwrap();
    }
    drop(store);
    let store = open(&path).unwrap();
    store.append(TestOrder::new("last").place()).await.unwrap();
    let wal = fs::read(wal_in(&path)).unwrap();
    fs::write(&path, &backup).unwrap();
    drop(store);
    assert_left_alone(&path, &backup, &wal);
}

#[tokio::test]
async fn what_is_no_file_in_place_of_one_is_refused_and_waited_for_by_nobody() {
    for name in ["orders.db", "orders.db-wal", "orders.db-journal", "orders.lock", "orders.views.1.db"] {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join(name);
        if name != "orders.db" {
            drop(open(&log_in(&directory)).unwrap());
            let _ = fs::remove_file(&pipe);
        }
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let expected = format!("cannot use {}: it is no regular file, and one is wanted", pipe.display());
        let (sender, receiver) = std::sync::mpsc::channel();
        let path = log_in(&directory);
        std::thread::spawn(move || {
            let opened = open(&path).err().map(|error| error.to_string());
            let verified = SqliteStore::verify(&path, &mut |_, _| {}).err().map(|error| error.to_string());
            sender.send([opened, verified])
        });
        let refused = receiver.recv_timeout(PATIENCE).expect("it waits for the pipe");
        assert_eq!(refused, [Some(expected.clone()), Some(expected)]);
    }
}

#[tokio::test]
async fn views_with_the_highest_number_there_is_leave_none_for_others() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(&log_in(&directory)).unwrap());
    let highest = directory.path().join(format!("orders.views.{}.db", u64::MAX));
    fs::write(&highest, "").unwrap();
    let refused = SqliteStore::rebuild(&log_in(&directory), &mut |_, _| {}).unwrap_err();
    let expected = format!("cannot use {}: no higher number is left; remove this file", highest.display());
    assert_eq!(refused.to_string(), expected);
}
