//! What is particular to SQLite's files: they may be deleted, foreign, locked, newer or broken.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use order_application::{
    AppendError, Checkpoint, Checkpoints, Claim, EventLog, OrderViews, PageLimit, Position, RecordedEvent,
    StoreError, Version, ViewRepair, ViewsProgress, ViewsState,
};
use order_store::{SqliteError, SqliteLimits, SqliteStore};
use tempfile::TempDir;

use crate::contract::{bus, list};
use crate::order::TestOrder;
use crate::sqlite::{SMALL_BATCHES, open_with_loss};

pub(crate) fn log_in(directory: &TempDir) -> PathBuf {
    directory.path().join("orders.db")
}

pub(crate) fn views_in(directory: &TempDir) -> PathBuf {
    directory.path().join("orders.views.1.db")
}

pub(crate) fn open(directory: &TempDir) -> Result<SqliteStore, SqliteError> {
    SqliteStore::open(&log_in(directory), bus(), SMALL_BATCHES, &ViewsProgress::default())
}

/// A store of 30 paid orders, closed.
pub(crate) async fn closed_store() -> (TempDir, Vec<TestOrder>) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory).unwrap();
    let mut orders: Vec<_> = (0..30).map(|n| TestOrder::new(&format!("order-{n}"))).collect();
    for order in &mut orders {
        store.append(order.place()).await.unwrap();
    }
    for order in &mut orders {
        store.append(order.pay(1)).await.unwrap();
    }
    (directory, orders)
}

pub(crate) async fn assert_views_are_right(store: &SqliteStore, orders: &[TestOrder]) {
    for order in orders {
        assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
        let stream = store.read_stream(&order.id, Version::NONE, PageLimit::events(100)).await.unwrap();
        assert_eq!(stream.len() as u64, order.version().0);
    }
    let list = list(store, Position::START, 1000).await;
    let summaries: Vec<_> = orders.iter().map(TestOrder::summary).collect();
    assert_eq!(list.into_iter().map(|listed| listed.summary).collect::<Vec<_>>(), summaries);
}

pub(crate) fn sql(path: &Path, statement: &str) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.execute_batch(statement).unwrap();
}

#[tokio::test]
async fn views_that_were_deleted_are_built_anew() {
    let (directory, orders) = closed_store().await;
    fs::remove_file(views_in(&directory)).unwrap();
    assert_views_are_right(&open(&directory).unwrap(), &orders).await;
}

#[tokio::test]
async fn views_that_are_no_database_are_built_anew() {
    let (directory, orders) = closed_store().await;
    fs::write(views_in(&directory), "no database at all, but long enough for a header".repeat(100)).unwrap();
    assert_views_are_right(&open(&directory).unwrap(), &orders).await;
}

/// Beside views that know of events it would be another shop: see `sqlite_foreign_files.rs`.
#[tokio::test]
async fn views_of_another_log_are_built_anew_if_they_know_of_nothing_or_that_is_accepted() {
    let (directory, orders) = closed_store().await;
    let empty = tempfile::tempdir().unwrap();
    drop(open(&empty).unwrap());
    fs::copy(views_in(&empty), views_in(&directory)).unwrap();
    assert_views_are_right(&open(&directory).unwrap(), &orders).await;
    let (other, _) = closed_store().await;
    fs::copy(views_in(&other), views_in(&directory)).unwrap();
    assert_views_are_right(&open_with_loss(&directory.path().join("orders.db")).unwrap(), &orders).await;
}

#[tokio::test]
async fn views_that_a_crash_left_behind_are_brought_up() {
    let (directory, mut orders) = closed_store().await;
    let behind = fs::read(views_in(&directory)).unwrap();
    let store = open(&directory).unwrap();
    for order in &mut orders[10..] {
        store.append(order.pay(2)).await.unwrap();
    }
    drop(store);
    fs::write(views_in(&directory), behind).unwrap();
    assert_views_are_right(&open(&directory).unwrap(), &orders).await;
}

/// A crash between the transactions of one batch leaves rows ahead of the progress that is noted. They are sound, and the
/// events that made them are met once more.
#[tokio::test]
async fn views_that_a_crash_left_half_written_are_completed() {
    let (directory, mut orders) = closed_store().await;
    let before = directory.path().join("before.db");
    fs::copy(views_in(&directory), &before).unwrap();
    let store = open(&directory).unwrap();
    for order in &mut orders {
        store.append(order.pay(3)).await.unwrap();
    }
    drop(store);
    let after = fs::read(views_in(&directory)).unwrap();
    for written in [
        // Everything but how far they have come,
        "",
        // not all positions of the events,
        "DELETE FROM order_events WHERE position > 76",
        // none of them,
        "DELETE FROM order_events WHERE position > 60",
        // and not all rows.
        "DELETE FROM order_events WHERE position > 60; INSERT OR REPLACE INTO orders SELECT * FROM before.orders WHERE key > 9",
    ] {
        fs::write(views_in(&directory), &after).unwrap();
        let progress = "DELETE FROM progress; INSERT INTO progress SELECT * FROM before.progress";
        let attach = format!("ATTACH '{}' AS before", before.display());
        sql(&views_in(&directory), &format!("{attach}; {progress}; {written}"));
        assert_views_are_right(&open(&directory).unwrap(), &orders).await;
        assert!(views_in(&directory).exists(), "{written}: they were built anew");
    }
}

/// A position or a version that no row can have is asked for by a client, and says nothing about the views.
#[tokio::test]
async fn what_is_asked_beyond_all_numbers_is_no_damage() {
    let (directory, orders) = closed_store().await;
    let store = open(&directory).unwrap();
    for beyond in [i64::MAX.cast_unsigned(), i64::MAX.cast_unsigned() + 1, u64::MAX] {
        assert!(list(&store, Position(beyond), 10).await.is_empty());
        let stream = store.read_stream(&orders[0].id, Version(beyond), PageLimit::events(10)).await;
        assert_eq!(stream, Ok(Vec::new()));
        assert_eq!(store.read_log(Position(beyond), PageLimit::events(10)).await, Ok(Vec::new()));
    }
    assert_eq!(store.views().state, ViewsState::Current);
}

/// A flipped bit in a position makes a row unfindable, and those after it: that is no end.
#[tokio::test]
async fn a_log_that_seems_to_end_early_is_corrupt() {
    let (directory, _) = closed_store().await;
    let store = open(&directory).unwrap();
    sql(&log_in(&directory), "DELETE FROM events WHERE position BETWEEN 50 AND 59");
    sql(&log_in(&directory), "UPDATE events SET position = 1000 WHERE position = 60");
    let page = |after| store.read_log(Position(after), PageLimit::events(100));
    assert_eq!(page(40).await.map(|events| events.len()), Ok(9));
    assert_eq!(page(49).await, Err(StoreError::Corrupt("no event at position 50".to_owned())));
    assert_eq!(page(60).await, Ok(Vec::new()));
}

/// Checkpoints are for those who follow the log; what is wrong with them stops no command.
#[tokio::test]
async fn damaged_checkpoints_do_not_keep_orders_from_being_placed() {
    let (directory, _) = closed_store().await;
    let mut bytes = fs::read(log_in(&directory)).unwrap();
    let root: usize = rusqlite::Connection::open(log_in(&directory))
        .unwrap()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'checkpoints'", (), |row| row.get(0))
        .unwrap();
    bytes[(root - 1) * 4096..root * 4096].fill(0);
    fs::write(log_in(&directory), bytes).unwrap();
    let store = open(&directory).unwrap();
    let claim = store.claim("relay", "a", None).await;
    assert!(matches!(claim, Err(StoreError::Corrupt(_))), "{claim:?}");
    store.append(TestOrder::new("new").place()).await.unwrap();
    assert_eq!(store.check().await, Ok(()));
}

/// The statements are fixed: whichever SQLite does not understand, it is the file that has changed.
#[tokio::test]
async fn a_table_that_a_reader_does_not_find_is_corrupt_and_not_away() {
    let (directory, _) = closed_store().await;
    let store = open(&directory).unwrap();
    sql(&log_in(&directory), "DROP TABLE checkpoints");
    let loaded = store.load("relay").await;
    assert!(matches!(loaded, Err(StoreError::Corrupt(_))), "{loaded:?}");
}

/// What precedes an event that cannot be read is served: whoever follows the log comes as far as that.
#[tokio::test]
async fn a_page_of_the_log_ends_before_an_event_that_cannot_be_read() {
    let (directory, _) = closed_store().await;
    sql(&log_in(&directory), "UPDATE events SET data = 'other' WHERE position = 20");
    let store = open(&directory).unwrap();
    let positions =
        |events: Vec<RecordedEvent>| events.iter().map(|event| event.position.0).collect::<Vec<_>>();
    let page = |after| store.read_log(Position(after), PageLimit::events(100));
    assert_eq!(page(0).await.map(positions), Ok((1..20).collect()));
    assert!(matches!(page(19).await, Err(StoreError::Corrupt(_))));
    assert_eq!(page(20).await.map(positions), Ok((21..=60).collect()));
}

#[tokio::test]
async fn an_index_that_contradicts_the_log_is_built_anew() {
    let (directory, mut orders) = closed_store().await;
    let behind = fs::read(views_in(&directory)).unwrap();
    let store = open(&directory).unwrap();
    store.append(orders[5].pay(1)).await.unwrap();
    drop(store);
    // The catch-up needs order 5's first two events, and the index has lost one.
    fs::write(views_in(&directory), behind).unwrap();
    sql(&views_in(&directory), "DELETE FROM order_events");
    assert_views_are_right(&open(&directory).unwrap(), &orders).await;
}

#[tokio::test]
async fn a_second_server_is_refused() {
    let (directory, _) = closed_store().await;
    let first = open(&directory).unwrap();
    assert!(matches!(open(&directory), Err(SqliteError::InUse { .. })));
    drop(first);
    assert!(open(&directory).is_ok());
}

#[tokio::test]
async fn a_store_from_a_newer_version_is_refused_and_left_alone() {
    let (directory, _) = closed_store().await;
    sql(&log_in(&directory), "UPDATE log SET oldest_compatible = 98; PRAGMA user_version = 99");
    let before = fs::read(log_in(&directory)).unwrap();
    let refused = open(&directory).err().expect("refused");
    assert!(matches!(refused, SqliteError::Newer { found: 99, .. }), "{refused}");
    assert!(fs::read(log_in(&directory)).unwrap() == before, "the file was written to");
}

#[tokio::test]
async fn some_other_file_is_refused_and_left_alone() {
    let text = "this is my thesis, and not an order store. ".repeat(100);
    for make in [&(|path: &Path| fs::write(path, &text).unwrap()) as &dyn Fn(&Path), &|path: &Path| {
        sql(path, "CREATE TABLE recipes (id INTEGER)")
    }] {
        let directory = tempfile::tempdir().unwrap();
        make(&log_in(&directory));
        let before = fs::read(log_in(&directory)).unwrap();
        let refused = open(&directory).err().expect("refused");
        assert!(matches!(refused, SqliteError::NotAStore { .. }), "{refused}");
        assert!(fs::read(log_in(&directory)).unwrap() == before, "the file was written to");
    }
}

#[tokio::test]
async fn a_path_that_cannot_be_a_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    let refused = SqliteStore::open(
        &directory.path().join("file/orders.db"),
        bus(),
        SMALL_BATCHES,
        &ViewsProgress::default(),
    );
    assert!(matches!(refused.err(), Some(SqliteError::Io { .. })));
}

/// Every byte of a row is covered: whichever field changes, the read is an error and not an answer.
#[tokio::test]
async fn a_changed_row_is_an_error_and_not_an_answer() {
    let changes = [
        "data = replace(data, '1500', '1499')",
        "time = time + 1",
        "type = 'order.shipped.v1'",
        "order_id = 'order-99'",
        "version = 2",
        r#"context = '{"correlationid":"corr-2"}'"#,
        "context = context || ' '",
        "source = ''",
        "id = zeroblob(16)",
        "checksum = zeroblob(9)",
        "checksum = CAST(x'02' || substr(checksum, 2) AS BLOB)",
        "checksum = x'01'",
    ];
    for change in changes {
        let (directory, orders) = closed_store().await;
        sql(&log_in(&directory), &format!("UPDATE events SET {change} WHERE position = 4"));
        let store = open(&directory).unwrap();
        let log = store.read_log(Position(3), PageLimit::events(100)).await;
        assert!(
            matches!(&log, Err(StoreError::Corrupt(what)) if what.contains("position 4")),
            "{change}: {log:?}"
        );
        let stream = store.read_stream(&orders[3].id, Version::NONE, PageLimit::events(100)).await;
        assert!(matches!(stream, Err(StoreError::Corrupt(_))), "{change}: {stream:?}");
        // Other orders are still served.
        assert!(store.read_stream(&orders[4].id, Version::NONE, PageLimit::events(100)).await.is_ok());
    }
}

#[tokio::test]
async fn a_missing_row_is_an_error_and_not_an_answer() {
    let (directory, orders) = closed_store().await;
    sql(&log_in(&directory), "DELETE FROM events WHERE position = 34");
    let store = open(&directory).unwrap();
    let log = store.read_log(Position(33), PageLimit::events(100)).await;
    assert_eq!(log, Err(StoreError::Corrupt("no event at position 34".into())));
    let stream = store.read_stream(&orders[3].id, Version::NONE, PageLimit::events(100)).await;
    assert!(matches!(stream, Err(StoreError::Corrupt(_))), "{stream:?}");
}

#[tokio::test]
async fn a_full_queue_sheds_at_once_and_what_was_taken_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let limits = SqliteLimits { queued_appends: 4, ..SMALL_BATCHES };
    let store =
        Arc::new(SqliteStore::open(&log_in(&directory), bus(), limits, &ViewsProgress::default()).unwrap());
    let tasks: Vec<_> = (0..500)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.append(TestOrder::new(&format!("order-{n}")).place()).await })
        })
        .collect();
    let mut written = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => written += 1,
            Err(error) => assert_eq!(error, StoreError::Overloaded.into()),
        }
    }
    assert!(written > 0 && written < 500, "{written}");
    assert_eq!(list(&*store, Position::START, 1000).await.len(), written);
}

#[test]
fn the_bundled_sqlite_has_the_fix_for_the_wal_reset_bug() {
    assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
}

/// Readers hold on to snapshots, and yet no write-ahead log grows with what is written: its pages are used again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_ahead_logs_stay_short_while_somebody_reads_all_the_time() {
    const ORDERS: usize = 30_000;
    let directory = tempfile::tempdir().unwrap();
    let limits = SqliteLimits { view_batch_bytes: 100_000, wal_pages: 500, ..SMALL_BATCHES };
    let store =
        Arc::new(SqliteStore::open(&log_in(&directory), bus(), limits, &ViewsProgress::default()).unwrap());
    let reader = tokio::spawn({
        let store = store.clone();
        async move {
            let last = TestOrder::new(&format!("order-{}", ORDERS - 1)).id;
            while store.version(&last).await.unwrap() == Version::NONE {
                list(&*store, Position::START, 3).await;
            }
        }
    });
    let writers: Vec<_> = (0..60)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in (writer..ORDERS).step_by(60) {
                    store.append(TestOrder::new(&format!("order-{n}")).place()).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    reader.await.unwrap();
    let bytes = |name: &str| fs::metadata(directory.path().join(name)).unwrap().len();
    // All orders together are about 12 MB in the log and 6 MB in the views, and each page is written many times. If readers
    // kept their snapshots, the views' write-ahead log would come to 35 MB; on a busy machine a copy or two comes late.
    assert!(bytes("orders.db-wal") < 16 * 1024 * 1024, "{}", bytes("orders.db-wal"));
    assert!(bytes("orders.views.1.db-wal") < 12 * 1024 * 1024, "{}", bytes("orders.views.1.db-wal"));
}

#[tokio::test]
async fn a_checkpoint_is_saved_however_full_the_overlay_is() {
    let directory = tempfile::tempdir().unwrap();
    let full = SqliteLimits { overlay_bytes: 0, ..SMALL_BATCHES };
    let store = SqliteStore::open(&log_in(&directory), bus(), full, &ViewsProgress::default()).unwrap();
    let refused = store.append(TestOrder::new("a").place()).await;
    assert_eq!(refused, Err(AppendError::Store(StoreError::Overloaded)));
    let Ok(Claim::Granted(epoch)) = store.claim("relay", "me", None).await else { panic!("nobody has it") };
    let checkpoint = Checkpoint { position: Position(3), evidence: None };
    assert_eq!(store.save("relay", epoch, &checkpoint).await, Ok(true));
    assert_eq!(store.load("relay").await, Ok(Some(checkpoint)));
}

#[tokio::test]
async fn checkpoints_stay_when_the_views_are_deleted() {
    let (directory, _) = closed_store().await;
    let checkpoint = Checkpoint { position: Position(3), evidence: Some("evidence".into()) };
    let store = open(&directory).unwrap();
    let Ok(Claim::Granted(epoch)) = store.claim("relay", "me", None).await else { panic!("nobody has it") };
    assert_eq!(store.save("relay", epoch, &checkpoint).await, Ok(true));
    drop(store);
    fs::remove_file(views_in(&directory)).unwrap();
    assert_eq!(open(&directory).unwrap().load("relay").await, Ok(Some(checkpoint)));
}
