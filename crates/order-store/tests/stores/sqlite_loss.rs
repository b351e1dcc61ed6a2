//! Files that do not belong together, or that something knows to have had more: they are refused, and stay as they are.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use order_application::{
    AppendError, Checkpoint, Checkpoints, Claim, EventLog, PageLimit, Position, StoreError, ViewsProgress,
};
use order_store::{Loss, OpenMode, SqliteError, SqliteStore};
use tempfile::TempDir;

use crate::contract::bus;
use crate::order::TestOrder;
use crate::sqlite::{SMALL_BATCHES, losses, open_with_loss};

pub(crate) fn log_in(directory: &TempDir) -> PathBuf {
    directory.path().join("orders.db")
}

pub(crate) fn wal_in(directory: &TempDir) -> PathBuf {
    directory.path().join("orders.db-wal")
}

pub(crate) fn views_in(directory: &TempDir) -> PathBuf {
    directory.path().join("orders.views.1.db")
}

pub(crate) fn open(directory: &TempDir) -> SqliteStore {
    SqliteStore::open(&log_in(directory), bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap()
}

pub(crate) async fn place(store: &SqliteStore, orders: std::ops::Range<usize>) {
    for n in orders {
        store.append(TestOrder::new(&format!("order-{n}")).place()).await.unwrap();
    }
}

/// A store of 30 orders that was closed.
pub(crate) async fn closed_store() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    place(&open(&directory), 0..30).await;
    directory
}

/// Every file of a directory but the lock.
pub(crate) fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| !path.ends_with("orders.lock"));
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// The files of an open store as `kill -9` would leave them.
pub(crate) fn killed(directory: &TempDir) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for (path, bytes) in files(directory.path()) {
        if !path.to_string_lossy().ends_with("-shm") {
            fs::write(copy.path().join(path.file_name().unwrap()), bytes).unwrap();
        }
    }
    copy
}

/// Whoever opens it or checks it is told, and nothing is changed but that there is a lock.
#[track_caller]
pub(crate) fn assert_refused(directory: &TempDir) -> Loss {
    let before = files(directory.path());
    let faults = SqliteStore::verify(&log_in(directory), &mut |_, _| {}).unwrap().faults;
    assert_eq!(files(directory.path()), before, "verify changed something");
    let losses = losses(&log_in(directory));
    for loss in &losses {
        assert!(faults.contains(&loss.to_string()), "{loss}: {faults:?}");
    }
    assert!(files(directory.path()) == before, "the refusal changed something");
    losses.into_iter().next().unwrap()
}

pub(crate) async fn end(store: &SqliteStore) -> u64 {
    store.end().await.unwrap().0
}

#[tokio::test]
async fn views_ahead_of_a_restored_log_are_refused_and_made_anew_if_the_loss_is_accepted() {
    let directory = closed_store().await;
    let backup = fs::read(log_in(&directory)).unwrap();
    place(&open(&directory), 30..37).await;
    fs::write(log_in(&directory), backup).unwrap();
    let loss = assert_refused(&directory);
    let expected =
        Loss::ViewsAhead { views: views_in(&directory), position: Position(37), end: Position(30) };
    assert_eq!(loss, expected);
    assert!(loss.to_string().ends_with("7 events are missing"), "{loss}");

    let store = open_with_loss(&log_in(&directory)).unwrap();
    assert_eq!(end(&store).await, 30);
    // The log goes on from where it was restored to, and is sound from then on.
    place(&store, 50..51).await;
    drop(store);
    assert_eq!(end(&open(&directory)).await, 31);
}

#[tokio::test]
async fn views_of_another_history_are_refused() {
    let directory = closed_store().await;
    let backup = fs::read(log_in(&directory)).unwrap();
    place(&open(&directory), 30..37).await;
    let views = fs::read(views_in(&directory)).unwrap();
    // Restored, and gone on with without the views.
    fs::write(log_in(&directory), backup).unwrap();
    fs::remove_file(views_in(&directory)).unwrap();
    place(&open(&directory), 50..60).await;
    fs::write(views_in(&directory), views).unwrap();
    let loss = assert_refused(&directory);
    assert!(matches!(loss, Loss::OtherHistory { position: Position(37), .. }), "{loss}");
    assert_eq!(end(&open_with_loss(&log_in(&directory)).unwrap()).await, 40);
}

#[tokio::test]
async fn an_event_that_the_log_has_lost_and_views_end_with_is_told() {
    let directory = closed_store().await;
    let delete =
        "DELETE FROM events WHERE position = 30; UPDATE events SET position = 31 WHERE position = 29";
    rusqlite::Connection::open(log_in(&directory)).unwrap().execute_batch(delete).unwrap();
    let loss = assert_refused(&directory);
    assert!(matches!(loss, Loss::OtherHistory { position: Position(30), .. }), "{loss}");
}

#[tokio::test]
async fn a_log_that_is_missing_or_empty_beside_its_companions_is_refused() {
    let directory = closed_store().await;
    let store = open(&directory);
    place(&store, 30..34).await;
    let crashed = killed(&directory);
    drop(store);
    for is_empty in [true, false] {
        for leftovers in
            [vec!["orders.db-wal"], vec!["orders.views.1.db"], vec!["orders.db-wal", "orders.views.1.db"]]
        {
            let ruined = tempfile::tempdir().unwrap();
            for name in &leftovers {
                fs::copy(crashed.path().join(name), ruined.path().join(name)).unwrap();
            }
            if is_empty {
                fs::write(log_in(&ruined), "").unwrap();
            }
            let Loss::MissingLog { is_empty: told, leftovers: named, known, .. } = assert_refused(&ruined)
            else {
                panic!("another loss")
            };
            let expected: Vec<_> = leftovers.iter().map(|name| ruined.path().join(name)).collect();
            assert_eq!((told, named), (is_empty, expected));
            assert_eq!(known.is_some(), leftovers.contains(&"orders.views.1.db"), "{known:?}");

            let store = open_with_loss(&log_in(&ruined)).unwrap();
            assert_eq!(end(&store).await, 0);
            place(&store, 0..1).await;
            drop(store);
            assert_eq!(end(&open(&ruined)).await, 1);
            if leftovers.contains(&"orders.db-wal") {
                let kept = fs::read(ruined.path().join("orders.db-wal.lost")).unwrap();
                assert!(kept == fs::read(wal_in(&crashed)).unwrap(), "what was acknowledged was deleted");
            }
        }
    }
}

/// The views may not have had the time to know of any event.
#[tokio::test]
async fn a_log_that_is_missing_or_has_nothing_is_refused_beside_views_that_have_no_event() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let new = killed(&directory);
    drop(store);
    fs::remove_file(wal_in(&new)).unwrap();
    let first_page = fs::read(log_in(&new)).unwrap();
    assert_eq!(first_page.len(), 4096, "all of it is in the write-ahead log");
    for left in [None, Some(&[][..]), Some(&first_page[..])] {
        let _ = fs::remove_file(log_in(&new));
        if let Some(left) = left {
            fs::write(log_in(&new), left).unwrap();
        }
        let expected = Loss::MissingLog {
            log: log_in(&new),
            is_empty: left.is_some(),
            leftovers: vec![views_in(&new)],
            known: None,
        };
        assert_eq!(assert_refused(&new), expected);
    }
    assert_eq!(end(&open_with_loss(&log_in(&new)).unwrap()).await, 0);
    assert_eq!(end(&open(&new)).await, 0);
}

#[tokio::test]
async fn a_log_behind_a_link_belongs_to_the_files_beside_it() {
    let directory = closed_store().await;
    let store = open(&directory);
    place(&store, 30..34).await;
    let crashed = killed(&directory);
    drop(store);
    let elsewhere = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(log_in(&crashed), log_in(&elsewhere)).unwrap();
    assert_eq!(SqliteStore::verify(&log_in(&elsewhere), &mut |_, _| {}).unwrap().events, 34);
    assert_eq!(end(&open(&elsewhere)).await, 34);
}

#[tokio::test]
async fn a_new_store_beside_views_of_another_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(&directory));
    fs::copy(views_in(&closed_store().await), views_in(&directory)).unwrap();
    let loss = assert_refused(&directory);
    let expected = Loss::OtherLog { views: views_in(&directory), position: Position(30), end: Position(0) };
    assert_eq!(loss, expected);
}

/// Enough for the log to grow by many pages between two turns of its write-ahead log.
async fn store_with_turns(directory: &TempDir) -> SqliteStore {
    let store = open(directory);
    for turn in 1..5 {
        place(&store, turn * 100..turn * 100 + 60).await;
        let copy = "PRAGMA wal_checkpoint(PASSIVE)";
        let connection = rusqlite::Connection::open(log_in(directory)).unwrap();
        connection.query_row(copy, (), |_| Ok(())).unwrap();
    }
    place(&store, 900..910).await;
    store
}

#[tokio::test]
async fn a_backup_beside_a_later_write_ahead_log_is_refused_and_the_other_way_round() {
    let directory = closed_store().await;
    let backup = fs::read(log_in(&directory)).unwrap();
    let store = open(&directory);
    place(&store, 30..34).await;
    let earlier_wal = fs::read(wal_in(&directory)).unwrap();
    drop(store);
    let store = store_with_turns(&directory).await;
    let restored = killed(&directory);
    drop(store);

    fs::write(log_in(&restored), backup).unwrap();
    let told = losses(&log_in(&restored));
    assert!(
        matches!(&told[..], [Loss::LaterWal { .. }, Loss::ViewsAhead { end: Position(30), .. }]),
        "{told:?}"
    );
    assert_refused(&restored);
    // Without the write-ahead log that does not belong to it, it is what it was.
    let store = open_with_loss(&log_in(&restored)).unwrap();
    let events = store.read_log(Position::START, PageLimit::events(100)).await.unwrap();
    assert_eq!(events.len(), 30);
    drop(store);

    fs::write(wal_in(&directory), earlier_wal).unwrap();
    let loss = assert_refused(&directory);
    assert!(matches!(loss, Loss::EarlierWal { .. }), "{loss}");
    assert_eq!(end(&open_with_loss(&log_in(&directory)).unwrap()).await, 284);
}

#[tokio::test]
async fn a_write_ahead_log_with_a_flipped_bit_is_refused_and_used_up_to_there_if_that_is_accepted() {
    let directory = closed_store().await;
    let store = open(&directory);
    place(&store, 30..50).await;
    let crashed = killed(&directory);
    drop(store);
    let mut wal = fs::read(wal_in(&crashed)).unwrap();
    let middle = wal.len() / 2;
    wal[middle] ^= 1;
    fs::write(wal_in(&crashed), &wal).unwrap();
    let loss = assert_refused(&crashed);
    assert!(matches!(loss, Loss::BrokenWal { .. }), "{loss}");

    let store = open_with_loss(&log_in(&crashed)).unwrap();
    let left = end(&store).await;
    assert!(left > 30 && left < 50, "{left}");
    place(&store, 70..72).await;
    // What was behind the damage does not look like another loss after the next crash.
    let again = killed(&crashed);
    drop(store);
    assert_eq!(end(&open(&again)).await, left + 2);
    assert!(fs::read(crashed.path().join("orders.db-wal.lost")).unwrap() == wal, "it was not kept");
}

#[tokio::test]
async fn a_log_that_was_cut_is_refused() {
    let directory = closed_store().await;
    let bytes = fs::read(log_in(&directory)).unwrap();
    fs::write(log_in(&directory), &bytes[..bytes.len() - 4096]).unwrap();
    let loss = assert_refused(&directory);
    assert!(matches!(loss, Loss::CutLog { .. }), "{loss}");
}

#[tokio::test]
async fn a_log_without_its_first_page_is_refused_where_its_write_ahead_log_has_another() {
    let directory = closed_store().await;
    let store = open(&directory);
    place(&store, 30..50).await;
    let crashed = killed(&directory);
    drop(store);
    for bytes in [vec![0; 4096], vec![0; 50]] {
        fs::write(log_in(&crashed), bytes).unwrap();
        let loss = assert_refused(&crashed);
        assert!(matches!(loss, Loss::NoDatabase { .. }), "{loss}");
    }
}

/// Nothing else has what is in them, and whoever looks for it is to find them where they were.
#[tokio::test]
async fn where_nothing_is_left_the_files_stay_as_they_are_although_the_loss_is_accepted() {
    let directory = closed_store().await;
    let store = open(&directory);
    place(&store, 30..50).await;
    let crashed = killed(&directory);
    let log = fs::read(log_in(&crashed)).unwrap();
    drop(store);
    for bytes in ["no log at all\n".repeat(1_000).as_bytes(), &log[..log.len() / 2]] {
        fs::write(log_in(&crashed), bytes).unwrap();
        for _ in 0..2 {
            let before = files(crashed.path());
            let refused = open_with_loss(&log_in(&crashed)).err();
            assert!(matches!(refused, Some(SqliteError::NothingLeft { .. })), "{refused:?}");
            assert!(files(crashed.path()) == before, "it has changed something");
        }
        assert_refused(&crashed);
    }
}

#[tokio::test]
async fn a_checkpoint_ahead_of_its_log_is_refused_and_forgotten_if_the_loss_is_accepted() {
    let directory = closed_store().await;
    let store = open(&directory);
    let Ok(Claim::Granted(epoch)) = store.claim("relay", "me", None).await else { panic!("nobody has it") };
    let checkpoint = Checkpoint { position: Position(33), evidence: None };
    assert_eq!(store.save("relay", epoch, &checkpoint).await, Ok(true));
    drop(store);
    let loss = assert_refused(&directory);
    assert!(
        loss.to_string().contains("\"relay\" is at position 33, and the log ends at position 30"),
        "{loss}"
    );
    let store = open_with_loss(&log_in(&directory)).unwrap();
    assert_eq!(store.load("relay").await, Ok(None));
    drop(store);
    drop(open(&directory));
}

/// Whoever does something with a store makes none, whatever is there in its place.
#[tokio::test]
async fn what_is_no_store_is_not_made_one_but_by_whoever_serves() {
    for prepare in [&(|_: &Path| ()) as &dyn Fn(&Path), &|path: &Path| fs::write(path, "").unwrap()] {
        let directory = tempfile::tempdir().unwrap();
        prepare(&log_in(&directory));
        let before = files(directory.path());
        let progress = ViewsProgress::default();
        let opened =
            SqliteStore::open_as(&log_in(&directory), bus(), SMALL_BATCHES, &progress, OpenMode::EXISTING);
        assert!(matches!(opened.err(), Some(SqliteError::NotAStore(_) | SqliteError::Io { .. })));
        let rebuilt = SqliteStore::rebuild(&log_in(&directory), &mut |_, _| {});
        assert!(matches!(rebuilt.err(), Some(SqliteError::NotAStore(_) | SqliteError::Io { .. })));
        assert_eq!(files(directory.path()), before);
    }
}

/// Commands stop, since the next one may be written there. What can be read is read.
#[tokio::test]
async fn a_malformed_page_of_the_log_stops_commands() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    place(&store, 0..60).await;
    drop(store);
    let mut bytes = fs::read(log_in(&directory)).unwrap();
    // The page of some events in the middle.
    let text = b"order-30";
    let at = bytes.windows(text.len()).position(|window| window == text).unwrap() / 4096 * 4096;
    bytes[at..at + 4096].fill(0);
    fs::write(log_in(&directory), bytes).unwrap();
    let store = open(&directory);
    assert_eq!(store.check().await, Ok(()));
    place(&store, 60..61).await;
    assert!(store.read_log(Position(0), PageLimit::events(1)).await.is_ok());
    let read = store.read_log(Position(30), PageLimit::events(1)).await;
    assert!(matches!(read, Err(StoreError::Corrupt(_))), "{read:?}");
    let stopped = store.check().await;
    assert!(matches!(&stopped, Err(StoreError::Corrupt(what)) if what.contains("malformed")), "{stopped:?}");
    let refused = store.append(TestOrder::new("new").place()).await;
    assert!(matches!(refused, Err(AppendError::Store(StoreError::Corrupt(_)))), "{refused:?}");
    assert!(store.read_log(Position(0), PageLimit::events(1)).await.is_ok());
}

/// As where a copy of other files was put over them: SQLite goes on from what it has.
#[tokio::test]
async fn orders_that_the_log_has_lost_in_its_middle_are_told() {
    for lost in [1..=1, 10..=22, 27..=29] {
        let directory = closed_store().await;
        let log = rusqlite::Connection::open(log_in(&directory)).unwrap();
        let delete = "DELETE FROM events WHERE position BETWEEN ?1 AND ?2";
        log.execute(delete, [lost.start(), lost.end()]).unwrap();
        drop(log);
        let loss = assert_refused(&directory);
        assert!(matches!(loss, Loss::MissingOrder { .. }), "{loss}");
        // Views cannot be made anew from what is left: they stay, and what can be read is served.
        let store = open_with_loss(&log_in(&directory)).unwrap();
        assert_eq!(end(&store).await, 30);
        place(&store, 30..32).await;
        drop(store);
        // Once is enough, and holds for no others.
        drop(open(&directory));
        let delete = "DELETE FROM events WHERE position = 25";
        rusqlite::Connection::open(log_in(&directory)).unwrap().execute_batch(delete).unwrap();
        let loss = assert_refused(&directory);
        assert!(matches!(loss, Loss::MissingOrder { .. }), "{loss}");
    }
}
