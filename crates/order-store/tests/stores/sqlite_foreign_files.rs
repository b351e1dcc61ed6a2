//! Files that came from elsewhere, or are not what they were: journals, tiny files, another store's, a copy whose pages are
//! elsewhere, and views of other releases. None of them may cost the log anything.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use order_application::{EventLog, ViewsProgress};
use order_store::{Loss, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::contract::{bus, under};
use crate::order::TestOrder;
use crate::sqlite::{SMALL_BATCHES, losses, open_with_loss};
use crate::sqlite_loss::{
    assert_refused, closed_store, end, files, killed, log_in, open, place, views_in, wal_in,
};

fn journal_in(directory: &TempDir) -> PathBuf {
    directory.path().join("orders.db-journal")
}

/// What a process leaves that is killed while it makes a database.
pub(crate) fn hot_journal() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let database = Connection::open(log_in(&directory)).unwrap();
    let spill = "PRAGMA cache_size = 5; BEGIN; CREATE TABLE rows (data); \
        INSERT INTO rows SELECT randomblob(3000) FROM \
        (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) SELECT i FROM n);";
    database.execute_batch(spill).unwrap();
    let journal = fs::read(journal_in(&directory)).unwrap();
    assert_ne!(journal[0], 0, "it would not be played back");
    journal
}

/// The first page of a log whose first start was killed.
fn first_page() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let database = Connection::open(log_in(&directory)).unwrap();
    database.pragma_update(None, "journal_mode", "wal").unwrap();
    drop(database);
    fs::read(log_in(&directory)).unwrap()
}

#[tokio::test]
async fn a_journal_beside_a_log_is_refused_and_set_aside_if_that_is_accepted() {
    for has_views in [true, false] {
        let directory = closed_store().await;
        fs::write(journal_in(&directory), hot_journal()).unwrap();
        if !has_views {
            fs::remove_file(views_in(&directory)).unwrap();
        }
        let loss = assert_refused(&directory);
        assert!(loss.to_string().contains("orders.db-journal is there"), "{loss}");
        assert_eq!(end(&open_with_loss(&log_in(&directory)).unwrap()).await, 30);
        assert!(directory.path().join("orders.db-journal.lost").exists(), "it was not kept");
        assert_eq!(end(&open(&directory)).await, 30);
    }
}

/// SQLite reads nothing then.
#[tokio::test]
async fn verify_says_what_is_there_beside_a_journal_and_a_write_ahead_log() {
    let directory = closed_store().await;
    let store = open(&directory);
    place(&store, 30..34).await;
    let crashed = killed(&directory);
    drop(store);
    fs::write(journal_in(&crashed), hot_journal()).unwrap();
    let loss = assert_refused(&crashed);
    assert!(matches!(loss, Loss::Journal { .. }), "{loss}");
    let faults = SqliteStore::verify(&log_in(&crashed), &mut |_, _| {}).unwrap().faults;
    let unread = "no event can be read while the rollback journal is there".to_owned();
    assert_eq!(faults, [loss.to_string(), unread]);
}

/// What its version says is missing would be made a second time.
#[tokio::test]
async fn a_log_whose_tables_are_not_those_of_its_schema_version_is_refused() {
    let known: i64 = {
        let directory = closed_store().await;
        let log = Connection::open(log_in(&directory)).unwrap();
        log.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
    };
    for version in (0..known).chain([-1]) {
        let directory = closed_store().await;
        let log = Connection::open(log_in(&directory)).unwrap();
        log.pragma_update(None, "user_version", version).unwrap();
        drop(log);
        let before = files(directory.path());
        let refused = SqliteStore::open(&log_in(&directory), bus(), SMALL_BATCHES, &ViewsProgress::default());
        let refused = refused.err().unwrap().to_string();
        let faults = SqliteStore::verify(&log_in(&directory), &mut |_, _| {}).unwrap().faults;
        let said = format!(
            "its user_version says schema {version}, and its tables are others; restore it, or say what its tables are: \
             PRAGMA user_version = {known}"
        );
        for told in [&refused, &faults[0]] {
            assert!(told.contains(&said), "{told}");
        }
        assert!(files(directory.path()) == before);
    }
}

#[tokio::test]
async fn a_journal_beside_a_log_that_lost_its_beginning_is_refused() {
    let directory = closed_store().await;
    fs::remove_file(views_in(&directory)).unwrap();
    fs::write(journal_in(&directory), hot_journal()).unwrap();
    let mut log = fs::read(log_in(&directory)).unwrap();
    log[..512].fill(0);
    fs::write(log_in(&directory), log).unwrap();
    assert_refused(&directory);
}

#[tokio::test]
async fn what_a_first_start_leaves_that_was_killed_is_opened() {
    for log in [None, Some(vec![]), Some(first_page()), Some(vec![0; 4096]), Some(vec![7; 4096])] {
        let directory = tempfile::tempdir().unwrap();
        if let Some(log) = log {
            fs::write(log_in(&directory), log).unwrap();
        }
        fs::write(journal_in(&directory), hot_journal()).unwrap();
        let store = open(&directory);
        place(&store, 0..2).await;
        drop(store);
        assert_eq!(end(&open(&directory)).await, 2);
    }
}

#[tokio::test]
async fn a_log_that_is_no_database_is_held_against_its_views() {
    for content in ["\n".into(), vec![b'x'; 50], vec![0; 99], vec![0; 4096]] {
        let directory = closed_store().await;
        fs::write(log_in(&directory), &content).unwrap();
        let loss = assert_refused(&directory).to_string();
        assert!(loss.contains("orders.views.1.db, which knows of 30 events"), "{loss}");
        // Whoever accepts that gets a new store in place of what SQLite takes for nothing.
        let opened = open_with_loss(&log_in(&directory));
        assert_eq!(opened.is_ok(), content.len() == 1, "{} bytes", content.len());
    }
}

/// Another store: young, so that its write-ahead log has all of it, or in a later turn of that.
async fn other_store(events_before: usize) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    if events_before > 0 {
        place(&open(&directory), 1000..1000 + events_before).await;
    }
    let store = open(&directory);
    place(&store, 2000..2045).await;
    let crashed = killed(&directory);
    drop(store);
    crashed
}

#[tokio::test]
async fn the_write_ahead_log_of_another_store_is_refused() {
    for events_before in [0, 20, 28] {
        for has_views in [true, false] {
            let directory = closed_store().await;
            fs::copy(wal_in(&other_store(events_before).await), wal_in(&directory)).unwrap();
            if !has_views {
                fs::remove_file(views_in(&directory)).unwrap();
            }
            let loss = assert_refused(&directory);
            assert!(loss.to_string().contains("is of another file than the log"), "{loss}");
            assert_eq!(end(&open_with_loss(&log_in(&directory)).unwrap()).await, 30);
            assert!(directory.path().join("orders.db-wal.lost").exists(), "it was not kept");
        }
    }
}

/// Orders whose receipts are in the log between their events.
async fn place_with_keys(store: &SqliteStore, orders: Range<usize>) {
    for n in orders {
        let id = format!("order-{n}");
        store.append(under(&id, TestOrder::new(&id).place())).await.unwrap();
    }
}

/// It has the same events, and its pages are elsewhere.
#[tokio::test]
async fn a_copy_by_vacuum_beside_a_later_write_ahead_log_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    place_with_keys(&open(&directory), 0..600).await;
    let vacuumed = directory.path().join("vacuumed");
    let vacuum = "VACUUM INTO ?1";
    Connection::open(log_in(&directory)).unwrap().execute(vacuum, [vacuumed.to_str().unwrap()]).unwrap();
    let store = open(&directory);
    place_with_keys(&store, 600..640).await;
    let crashed = killed(&directory);
    drop(store);
    fs::copy(&vacuumed, log_in(&crashed)).unwrap();
    for has_views in [true, false] {
        if !has_views {
            fs::remove_file(views_in(&crashed)).unwrap();
        }
        let loss = assert_refused(&crashed);
        assert!(loss.to_string().contains("is of another file than the log"), "{loss}");
    }
    // By itself it is a sound backup.
    assert_eq!(end(&open_with_loss(&log_in(&crashed)).unwrap()).await, 600);
}

#[tokio::test]
async fn another_log_beside_ones_own_views_is_refused_however_long_it_is() {
    for events in [10, 30, 45] {
        let directory = closed_store().await;
        let other = tempfile::tempdir().unwrap();
        place(&open(&other), 0..events).await;
        fs::copy(log_in(&other), log_in(&directory)).unwrap();
        let loss = assert_refused(&directory).to_string();
        assert!(loss.contains("are of another log, which had positions up to 30"), "{loss}");
        let store = open_with_loss(&log_in(&directory)).unwrap();
        assert_eq!(end(&store).await, events as u64);
    }
}

/// The disk has lost the first block of the write-ahead log, and with it the header and the first frames.
#[tokio::test]
async fn a_write_ahead_log_without_its_beginning_is_refused_where_the_log_lacks_the_rest() {
    let directory = closed_store().await;
    let store = open(&directory);
    place(&store, 30..60).await;
    let crashed = killed(&directory);
    drop(store);
    let wal = fs::read(wal_in(&crashed)).unwrap();
    for bytes in [32, 512, 4096, 8192] {
        let _ = fs::remove_file(views_in(&crashed));
        fs::write(wal_in(&crashed), [&vec![0; bytes][..], &wal[bytes..]].concat()).unwrap();
        let loss = assert_refused(&crashed).to_string();
        assert!(loss.contains("the header of the write-ahead log"), "{bytes}: {loss}");
    }
    assert_eq!(end(&open_with_loss(&log_in(&crashed)).unwrap()).await, 30);
}

#[tokio::test]
async fn views_of_any_release_tell_what_the_log_has_lost() {
    for version in [0, 1, 2, 4] {
        let directory = closed_store().await;
        let backup = fs::read(log_in(&directory)).unwrap();
        place(&open(&directory), 30..37).await;
        let sound = fs::read(log_in(&directory)).unwrap();
        let views = Connection::open(views_in(&directory)).unwrap();
        views.pragma_update(None, "user_version", version).unwrap();
        drop(views);
        fs::write(log_in(&directory), backup).unwrap();
        let loss = assert_refused(&directory).to_string();
        assert!(loss.ends_with("7 events are missing"), "{version}: {loss}");
        // Beside a log that has all of it they are made anew.
        fs::write(log_in(&directory), sound).unwrap();
        assert_eq!(end(&open(&directory)).await, 37);
    }
}

/// As `PRAGMA journal_mode = persist` leaves it.
#[tokio::test]
async fn a_journal_that_begins_with_a_zero_is_ignored() {
    let directory = closed_store().await;
    let mut journal = hot_journal();
    journal[..28].fill(0);
    fs::write(journal_in(&directory), &journal).unwrap();
    let faults = SqliteStore::verify(&log_in(&directory), &mut |_, _| {}).unwrap().faults;
    assert_eq!(faults, Vec::<String>::new());
    assert_eq!(end(&open(&directory)).await, 30);
}

/// Its first frames are sound, and SQLite would take these.
#[tokio::test]
async fn a_write_ahead_log_of_another_store_with_a_flipped_bit_is_set_aside_as_a_whole() {
    for events_before in [0, 20, 28] {
        let directory = closed_store().await;
        let mut wal = fs::read(wal_in(&other_store(events_before).await)).unwrap();
        let late = wal.len() * 3 / 4;
        wal[late] ^= 1;
        fs::write(wal_in(&directory), &wal).unwrap();
        assert_refused(&directory);
        let log = fs::read(log_in(&directory)).unwrap();
        let store = open_with_loss(&log_in(&directory)).unwrap();
        assert_eq!(end(&store).await, 30, "{events_before}");
        drop(store);
        assert_eq!(fs::read(log_in(&directory)).unwrap().len(), log.len());
        assert!(fs::read(directory.path().join("orders.db-wal.lost")).unwrap() == wal, "it was not kept");
        assert_eq!(end(&open(&directory)).await, 30);
    }
}

/// SQLite plays back no journal for whoever only reads: what is behind it cannot be looked at before it has gone.
#[tokio::test]
async fn what_a_journal_hides_is_set_aside_as_well() {
    let directory = closed_store().await;
    fs::copy(wal_in(&other_store(20).await), wal_in(&directory)).unwrap();
    fs::write(journal_in(&directory), [7; 4096]).unwrap();
    assert!(matches!(losses(&log_in(&directory))[..], [Loss::Journal { .. }]));
    assert_eq!(end(&open_with_loss(&log_in(&directory)).unwrap()).await, 30);
    for kept in ["orders.db-journal.lost", "orders.db-wal.lost"] {
        assert!(directory.path().join(kept).exists(), "{kept}");
    }
    assert_eq!(end(&open(&directory)).await, 30);
}

/// The log is shorter then, and its file is not before the write-ahead log has been copied.
#[tokio::test]
async fn a_log_whose_server_was_killed_after_a_vacuum_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    place_with_keys(&open(&directory), 0..600).await;
    let store = open(&directory);
    let operator = Connection::open(log_in(&directory)).unwrap();
    let vacuum = "PRAGMA wal_autocheckpoint = 0; DELETE FROM receipts WHERE sequence <= 590; VACUUM";
    operator.execute_batch(vacuum).unwrap();
    place_with_keys(&store, 600..610).await;
    let crashed = killed(&directory);
    drop(store);
    assert_eq!(end(&open(&crashed)).await, 610);
}
