//! A backup of each format that was ever released, as a directory: this release restores each, and writes the same bytes
//! for the same store.
//!
//! A golden is never edited. A new format gets its own: `UPDATE=1 cargo test -p order-store golden` writes what is not
//! there yet.

use std::fs;
use std::path::{Path, PathBuf};

use order_application::{Checkpoint, Checkpoints, EventLog, PageLimit, Position, Receipts, ViewsProgress};
use order_domain::Timestamp;
use order_store::{
    BackupDirError, BackupOptions, RestoreLimits, RestoreReport, SqliteStore, StoreLocation, Until,
    verify_backup,
};

use crate::contract::{bus, receipt, take, under};
use crate::order::TestOrder;
use crate::sqlite::SMALL_BATCHES;

/// The format that this release writes.
const KNOWN: u64 = 1;
const MADE_AT: Timestamp = Timestamp::from_micros(1_780_000_000_123_456);
const READABLE: [(&str, u64); 3] = [("golden-1", 1), ("golden-2", 4), ("golden-3", 2)];

fn golden(format: u64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores/goldens").join(format!("backup-{format}"))
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap()
}

fn checkpoint() -> Checkpoint {
    Checkpoint { position: Position(6), evidence: Some("{\"é\": 1}".into()) }
}

async fn fill(path: &Path) {
    let store = open(path);
    for (id, events) in READABLE {
        let mut order = TestOrder::new(id);
        store.append(under(id, order.place())).await.unwrap();
        if events > 1 {
            let mut append = order.pay(events - 1);
            append.events[0].source = Some("/elsewhere".into());
            store.append(append).await.unwrap();
        }
    }
    let epoch = take(&store, "relay-1", "me").await;
    assert_eq!(store.save("relay-1", epoch, &checkpoint()).await, Ok(true));
}

async fn back_up(from: &Path, to: &Path) {
    let options = BackupOptions { event_source: "/shop".to_owned(), made_at: MADE_AT, part_bytes: 1_000 };
    let from = StoreLocation::Sqlite(from.to_owned());
    order_store::backup(&from, to, options, &mut |_, _| {}).await.unwrap();
}

async fn restore(from: &Path, to: &Path) -> RestoreReport {
    let to = StoreLocation::Sqlite(to.to_owned());
    order_store::restore(from, &to, Until::End, RestoreLimits::default(), &mut |_, _, _| {}).await.unwrap()
}

fn parts(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let parts = entries.filter(|path| path.extension().is_some_and(|extension| extension == "part"));
    let mut parts: Vec<_> = parts
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect();
    parts.sort();
    parts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_golden_backup_is_restored_and_the_newest_is_what_is_written() {
    if !golden(KNOWN).exists() && std::env::var_os("UPDATE").is_some() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("orders.db");
        fill(&path).await;
        back_up(&path, &golden(KNOWN)).await;
        fs::remove_file(golden(KNOWN).join("backup.lock")).unwrap();
    }
    for format in 1..=KNOWN {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("orders.db");
        let report = verify_backup(&golden(format), &mut |_, _| {}).unwrap();
        assert_eq!((report.events, report.orders, report.faults), (7, 3, vec![]));
        let restored = restore(&golden(format), &path).await;
        assert_eq!((restored.event_source.as_str(), restored.made_at), ("/shop", MADE_AT));
        let store = open(&path);
        let events = store.read_log(Position::START, PageLimit::events(100)).await.unwrap();
        assert_eq!(events.len(), 7);
        assert_eq!(events[2].source.as_deref(), Some("/elsewhere"));
        for (id, _) in READABLE {
            let expected = receipt(id, &TestOrder::new(id).id, 1, 1);
            assert_eq!(store.find_receipt(&expected.key).await, Ok(Some(expected)));
        }
        assert_eq!(store.load("relay-1").await, Ok(Some(checkpoint())));
        drop(store);
        if format == KNOWN {
            let again = directory.path().join("again");
            back_up(&path, &again).await;
            let (again, golden) = (parts(&again), parts(&golden(format)));
            assert!(golden.len() > 2 && again == golden, "other bytes are written");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_later_format_is_refused_by_its_number() {
    let directory = tempfile::tempdir().unwrap();
    for part in fs::read_dir(golden(KNOWN)).unwrap() {
        let part = part.unwrap();
        fs::copy(part.path(), directory.path().join(part.file_name())).unwrap();
    }
    let manifest = directory.path().join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap().replace("\"format\": 1", "\"format\": 2");
    let (covered, _) = text.rsplit_once(",\n  \"checksum\": ").unwrap();
    let checksum = twox_hash::XxHash3_64::oneshot(covered.as_bytes()).to_le_bytes();
    let digits: String = checksum.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(&manifest, format!("{covered},\n  \"checksum\": \"01{digits}\"\n}}\n")).unwrap();
    let refused = verify_backup(directory.path(), &mut |_, _| {});
    assert!(matches!(refused, Err(BackupDirError::Newer { found: 2, known: 1, .. })), "{refused:?}");
}
