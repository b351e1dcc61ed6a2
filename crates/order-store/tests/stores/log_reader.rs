//! Reading logs from outside. A server's files belong to its process, so here it is always another one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use order_application::{EventLog, PageLimit, Position, RecordedEvent, ViewsProgress};
use order_store::{LogReader, SideError, SqliteError, SqliteStore, StoreLocation};
use tempfile::TempDir;

use crate::contract::bus;
use crate::order::TestOrder;
use crate::other_process::OtherProcess;
use crate::sqlite::SMALL_BATCHES;

const PAGE: PageLimit = PageLimit::events(100);

fn log_in(directory: &TempDir) -> PathBuf {
    // Characters that mean something in a URI.
    directory.path().join("a %41?&#ö.db")
}

async fn open(path: &Path) -> Result<LogReader, SideError> {
    LogReader::open(&StoreLocation::Sqlite(path.to_owned())).await
}

/// All events after a position, which must continue it without a gap.
async fn read(log: &LogReader, after: u64) -> Vec<RecordedEvent> {
    let mut events: Vec<RecordedEvent> = Vec::new();
    loop {
        let reached = Position(after + events.len() as u64);
        let page = log.read_log(reached, PAGE).await.unwrap();
        if page.is_empty() {
            return events;
        }
        for (event, position) in page.iter().zip(reached.0 + 1..) {
            assert_eq!(event.position.0, position);
        }
        events.extend(page);
    }
}

/// A server's appends are of one event and of three.
async fn assert_whole_commits(log: &LogReader) -> u64 {
    let head = log.end().await.unwrap().0;
    assert!(head % 4 < 2, "a part of an append is seen: {head}");
    head
}

fn files(directory: &TempDir) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    // The write-ahead log's index is memory that all readers share.
    let files = entries.filter(|path| !path.to_string_lossy().ends_with("-shm"));
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// A store with forty events, closed.
async fn closed_store() -> (TempDir, Vec<RecordedEvent>) {
    let directory = tempfile::tempdir().unwrap();
    let store =
        SqliteStore::open(&log_in(&directory), bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap();
    for n in 0..10 {
        let mut order = TestOrder::new(&format!("before-{n}"));
        store.append(order.place()).await.unwrap();
        store.append(order.pay(3)).await.unwrap();
    }
    let events = store.read_log(Position::START, PageLimit::events(1_000)).await.unwrap();
    (directory, events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_read_beside_its_server() {
    let directory = tempfile::tempdir().unwrap();
    let path = log_in(&directory);
    let mut server = OtherProcess::serves(&path);
    server.wait_for(4);
    let log = open(&path).await.unwrap();
    let mut seen = 0;
    while seen < 2_000 {
        let reached = server.wait_for(seen + 1);
        let head = assert_whole_commits(&log).await;
        assert!(head >= reached, "{reached} was acknowledged, and the log ends at {head}");
        seen += read(&log, seen).await.len() as u64;
        assert!(seen >= reached);
    }
    // It goes on when the server is gone.
    let reached = seen.max(server.kill());
    let head = assert_whole_commits(&log).await;
    assert!(head >= reached, "{reached} was acknowledged, and the log ends at {head}");
    assert_eq!(read(&log, 0).await.len() as u64, head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_whose_server_was_killed_is_read_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = log_in(&directory);
    let mut server = OtherProcess::serves(&path);
    let reached = server.wait_for(400).max(server.kill());
    let before = files(&directory);
    let log = open(&path).await.unwrap();
    let head = assert_whole_commits(&log).await;
    assert!(head >= reached, "{reached} was acknowledged, and the log ends at {head}");
    let events = read(&log, 0).await;
    assert_eq!(events.len() as u64, head);
    drop(log);
    assert!(files(&directory) == before, "something was written");

    let store = SqliteStore::open(&path, bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap();
    assert_eq!(store.read_log(Position::START, PageLimit::events(100_000)).await, Ok(events));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_a_server_is_read_and_nothing_is_made() {
    let (directory, events) = closed_store().await;
    let before = files(&directory);
    let log = open(&log_in(&directory)).await.unwrap();
    assert_eq!(log.end().await.unwrap(), Position(40));
    assert_eq!(read(&log, 0).await, events);
    assert_eq!(read(&log, 17).await, events[17..]);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), before.len(), "no index either");
    drop(log);
    assert!(files(&directory) == before, "something was written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_may_start_while_its_log_is_read() {
    let (directory, events) = closed_store().await;
    let path = log_in(&directory);
    let log = open(&path).await.unwrap();
    assert_eq!(read(&log, 0).await, events);
    for round in 1..4 {
        let mut server = OtherProcess::serves(&path);
        let reached = server.wait_for(40 + round * 100);
        assert!(log.end().await.unwrap().0 >= reached);
        assert_eq!(read(&log, 0).await[..40], events);
        drop(server);
    }
}

#[tokio::test]
async fn a_page_is_no_longer_than_asked_for() {
    let (directory, _) = closed_store().await;
    let log = open(&log_in(&directory)).await.unwrap();
    assert_eq!(log.read_log(Position(3), PageLimit::events(7)).await.unwrap().len(), 7);
    assert_eq!(log.read_log(Position(3), PageLimit { events: 7, bytes: 1 }).await.unwrap().len(), 1);
    assert_eq!(log.read_log(Position(40), PAGE).await.unwrap(), []);
    assert_eq!(log.read_log(Position(i64::MAX as u64), PAGE).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_not_a_log_is_told_in_one_line_and_nothing_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = log_in(&directory);
    let refused = open(&path).await.err().expect("refused");
    assert!(matches!(refused, SideError::Sqlite(SqliteError::Io { .. })), "{refused}");
    assert!(refused.to_string().starts_with(&format!("cannot use {}: ", path.display())), "{refused}");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);

    for content in [String::new(), "no database at all, but long enough for a header".repeat(100)] {
        fs::write(&path, content).unwrap();
        let refused = open(&path).await.err().expect("refused");
        assert!(matches!(refused, SideError::Sqlite(SqliteError::NotAStore { .. })), "{refused}");
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    }
}

#[tokio::test]
async fn a_damaged_event_is_not_answered() {
    let (directory, _) = closed_store().await;
    let path = log_in(&directory);
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("UPDATE events SET source = 'x' WHERE position = 20").unwrap();
    drop(connection);
    let log = open(&path).await.unwrap();
    assert_eq!(log.read_log(Position(10), PAGE).await.unwrap().len(), 9, "what precedes it");
    let refused = log.read_log(Position(19), PAGE).await.unwrap_err().to_string();
    assert!(
        refused.starts_with("corrupt data: event at position 20: the checksum does not match"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replicas_log_is_read_like_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = log_in(&directory);
    let mut replica = OtherProcess::replicates(&path);
    let reached = replica.wait_for(200);
    let log = open(&path).await.unwrap();
    let head = log.end().await.unwrap().0;
    assert!(head >= reached && head % 40 == 0, "{reached} was acknowledged, and the log ends at {head}");
    assert!(read(&log, 0).await.len() as u64 >= head);
}

#[cfg(feature = "full-tests")]
mod postgres {
    use order_store::{PostgresError, PostgresFault, PostgresStore};
    use test_servers::PostgresServer;

    use super::*;
    use crate::postgres::QUICK_SERVER;

    async fn open(url: &str) -> Result<LogReader, SideError> {
        LogReader::open(&StoreLocation::Postgres(url.to_owned())).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_databases_log_is_read_beside_its_servers() {
        let url = PostgresServer::shared().unwrap().create_database().unwrap();
        let store = PostgresStore::open(&url, bus(), QUICK_SERVER).await.unwrap();
        let log = open(&url).await.unwrap();
        assert_eq!(log.end().await.unwrap(), Position::START);
        assert_eq!(read(&log, 0).await, []);
        let mut order = TestOrder::new("a");
        store.append(order.place()).await.unwrap();
        store.append(order.pay(249)).await.unwrap();
        assert_eq!(log.end().await.unwrap(), Position(250));
        let stream = store
            .read_stream(&order.id, order_application::Version::NONE, PageLimit::events(1_000))
            .await
            .unwrap();
        assert_eq!(read(&log, 0).await, stream);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_store_is_made_where_there_is_none() {
        let url = PostgresServer::shared().unwrap().create_database().unwrap();
        for _ in 0..2 {
            let refused = open(&url).await.err().expect("refused");
            assert!(
                matches!(refused, SideError::Postgres(PostgresError { fault: PostgresFault::NoStore, .. })),
                "{refused}"
            );
        }
    }
}
