//! Logs of every schema version that was ever released, as files: this release opens each, verifies it, and goes on.
//!
//! A golden is never edited. A new schema version gets its own: `UPDATE=1 cargo test -p order-store golden` writes what is
//! not there yet.

use std::fs;
use std::path::{Path, PathBuf};

use order_application::{
    EventLog, ListQuery, OrderView, OrderViews, PageLimit, Position, Receipts, StoreError, Unreadable,
    UnreadableOrder, Version, ViewsProgress,
};
use order_store::SqliteStore;

use crate::contract::{bus, receipt, under};
use crate::order::TestOrder;
use crate::sqlite::SMALL_BATCHES;

const ALL: PageLimit = PageLimit::events(10_000);
/// The schema version that this release makes.
const KNOWN: i64 = 4;
/// From this one on, each order's placement has a receipt.
const WITH_RECEIPTS: i64 = 2;

/// What each golden holds: these orders with so many events, and two that cannot be read.
const READABLE: [(&str, u64); 3] = [("golden-1", 1), ("golden-2", 4), ("golden-3", 2)];
const NEWER: &str = "golden-newer";
const DAMAGED: &str = "golden-damaged";

fn golden(version: i64) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stores/goldens");
    folder.join(format!("sqlite-{version}.db"))
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap()
}

async fn fill(path: &Path) {
    let store = open(path);
    for (id, events) in READABLE {
        let mut order = TestOrder::new(id);
        store.append(under(id, order.place())).await.unwrap();
        if events > 1 {
            store.append(order.pay(events - 1)).await.unwrap();
        }
    }
    let mut newer = TestOrder::new(NEWER);
    store.append(newer.place()).await.unwrap();
    let mut append = newer.pay(1);
    append.events[0].event_type = "order.planted.v1".into();
    let (order_id, version) = (append.order_id.clone(), Version(2));
    append.view = OrderView::Unreadable(UnreadableOrder { order_id, version, why: Unreadable::Newer });
    store.append(append).await.unwrap();
    let mut damaged = TestOrder::new(DAMAGED);
    store.append(damaged.place()).await.unwrap();
    store.append(damaged.pay(1)).await.unwrap();
    drop(store);
    let log = rusqlite::Connection::open(path).unwrap();
    log.execute_batch(
        "UPDATE events SET source = 'x' WHERE order_id = 'golden-damaged' AND version = 2;
         INSERT INTO checkpoints (name, epoch, position, evidence) VALUES ('relay-1', 1, 3, 'evidence');
         PRAGMA journal_mode = delete; VACUUM;",
    )
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_golden_log_is_opened_verified_and_gone_on_with() {
    if !golden(KNOWN).exists() && std::env::var_os("UPDATE").is_some() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("orders.db");
        fill(&path).await;
        fs::copy(path, golden(KNOWN)).unwrap();
    }
    for version in 1..=KNOWN {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("orders.db");
        fs::copy(golden(version), &path).unwrap();
        let store = open(&path);
        for (id, events) in READABLE {
            let mut order = TestOrder::new(id);
            for event in store.read_stream(&order.id, Version::NONE, ALL).await.unwrap() {
                order.state = Some(order_application::codec::replay(order.state.take(), &event).unwrap());
            }
            assert_eq!(order.version(), Version(events));
            assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
            store.append(order.pay(1)).await.unwrap();
            assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
            if version >= WITH_RECEIPTS {
                let receipt = receipt(id, &order.id, 1, 1);
                assert_eq!(store.find_receipt(&receipt.key).await, Ok(Some(receipt)));
            }
            store.append(under(&format!("new-{id}"), order.pay(1))).await.unwrap();
        }
        let newer = store.one(&TestOrder::new(NEWER).id).await;
        assert!(matches!(newer, Err(StoreError::NewerRelease(_))), "{newer:?}");
        let damaged = store.one(&TestOrder::new(DAMAGED).id).await;
        assert!(matches!(damaged, Err(StoreError::Corrupt(_))), "{damaged:?}");
        store.append(TestOrder::new("new").place()).await.unwrap();
        let page = store.many(&ListQuery::placed_after(Position::START, 100)).await.unwrap();
        assert_eq!((page.orders.len(), page.left_out), (4, 2));
        let log = store.read_log(Position(10), ALL).await;
        assert!(matches!(log, Err(StoreError::Corrupt(_))), "{log:?}");
        drop(store);
        let faults = SqliteStore::verify(&path, &mut |_, _| {}).unwrap().faults;
        assert!(
            matches!(&faults[..], [damaged, newer] if damaged.contains("event at position 11: the checksum")
                && newer.contains("order.planted.v1")),
            "{faults:?}"
        );
    }
}
