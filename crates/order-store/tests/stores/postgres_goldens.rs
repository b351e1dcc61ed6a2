//! Stores of every schema version that was ever released, as dumps: this release opens each, verifies it, and goes on.
//!
//! A golden is never edited. A new schema version gets its own: `UPDATE=1 cargo test -p order-store --features
//! order-store/full-tests golden` writes what is not there yet.

use std::fs;
use std::path::PathBuf;

use order_application::{
    EventLog, ListQuery, OrderViews, PageLimit, Position, Receipts, StoreError, Unreadable, UnreadableOrder,
    Version, ViewRepair, ViewsState,
};
use order_domain::OrderId;
use order_store::PostgresStore;
use test_servers::PostgresServer;

use crate::contract::{bus, receipt, under};
use crate::order::TestOrder;
use crate::postgres::QUICK_SERVER;
use crate::postgres_fixtures::{session, sql};

const ALL: PageLimit = PageLimit { events: 10_000, bytes: usize::MAX };

/// What each golden holds: these orders with so many events, and two that cannot be read.
const READABLE: [(&str, u64); 3] = [("golden-1", 1), ("golden-2", 4), ("golden-3", 2)];
const NEWER: &str = "golden-newer";
const DAMAGED: &str = "golden-damaged";

const TABLES: [&str; 8] =
    ["migrations", "log", "events", "orders", "order_terms", "log_times", "receipts", "checkpoints"];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/stores/goldens")
}

fn golden(version: i64) -> PathBuf {
    folder().join(format!("postgres-{version}.sql"))
}

async fn database() -> (String, i64) {
    let url = PostgresServer::shared().unwrap().create_database().unwrap();
    let known = PostgresStore::migrate(&url).await.unwrap().known;
    (url, known)
}

async fn fill(url: &str) {
    let store = PostgresStore::open(url, bus(), QUICK_SERVER).await.unwrap();
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
    append.view = order_application::OrderView::Unreadable(UnreadableOrder {
        order_id,
        version,
        why: Unreadable::Newer,
    });
    store.append(append).await.unwrap();
    let mut damaged = TestOrder::new(DAMAGED);
    store.append(damaged.place()).await.unwrap();
    store.append(damaged.pay(1)).await.unwrap();
    store.close().await;
    let damage = "UPDATE order_service.events SET source = 'x' WHERE order_id = 'golden-damaged' AND version = 2; \
                  INSERT INTO order_service.checkpoints (name, position, evidence) VALUES ('relay-1', 3, 'evidence')";
    sql(url, damage).await;
    PostgresStore::rebuild(url, &mut |_, _| {}).await.unwrap();
}

/// The migrations that made the schema, and the rows.
async fn dump(url: &str) -> String {
    let mut files: Vec<_> =
        fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/postgres/migrations"))
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
    files.sort();
    let mut dump = "CREATE SCHEMA order_service;\n\
                    CREATE TABLE order_service.migrations (version bigint PRIMARY KEY, oldest_compatible bigint NOT NULL, \
                    applied_at timestamptz NOT NULL DEFAULT clock_timestamp());\n"
        .to_owned();
    for file in files {
        dump += &fs::read_to_string(file).unwrap();
    }
    let client = session(url).await;
    for table in TABLES {
        let rows = format!(
            "SELECT format('INSERT INTO order_service.{table} SELECT * FROM json_populate_record(NULL::order_service.{table}, \
             %L);', row_to_json(t)) FROM order_service.{table} t ORDER BY 1"
        );
        dump += &format!("DELETE FROM order_service.{table};\n");
        for row in client.query(&rows, &[]).await.unwrap() {
            dump += &format!("{}\n", row.get::<_, &str>(0));
        }
    }
    dump
}

async fn wait_until_current(store: &PostgresStore) {
    while store.views().state != ViewsState::Current {
        tokio::task::yield_now().await;
    }
}

async fn assert_goes_on(golden: &str) {
    let url = PostgresServer::shared().unwrap().create_database().unwrap();
    sql(&url, golden).await;
    let store = PostgresStore::open(&url, bus(), QUICK_SERVER).await.unwrap();
    wait_until_current(&store).await;
    let mut orders = Vec::new();
    for (id, events) in READABLE {
        let mut order = TestOrder::new(id);
        order.replay(&store.read_stream(&order.id, Version::NONE, ALL).await.unwrap());
        assert_eq!(order.version(), Version(events));
        orders.push(order);
    }
    for order in &mut orders {
        assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
        store.append(order.pay(1)).await.unwrap();
        assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
        let receipt = receipt(order.id.as_str(), &order.id, 1, 1);
        assert_eq!(store.find_receipt(&receipt.key).await, Ok(Some(receipt)));
    }
    let of = |id: &str| OrderId::new(id).unwrap();
    assert!(matches!(store.one(&of(NEWER)).await, Err(StoreError::NewerRelease(_))));
    assert!(matches!(store.one(&of(DAMAGED)).await, Err(StoreError::Corrupt(_))));
    store.append(TestOrder::new("later").place()).await.unwrap();
    let page = store.many(&ListQuery::placed_after(Position::START, 10)).await.unwrap();
    assert_eq!((page.orders.len(), page.left_out), (4, 2));

    let report = PostgresStore::verify(&url, &mut |_, _| {}).await.unwrap();
    assert_eq!((report.events, report.orders), (15, 6));
    assert!(
        matches!(&report.faults[..], [damaged, newer] if damaged.contains("event at position 11: the checksum")
            && newer.contains("order golden-newer, event at position 9: unknown event type")),
        "{:?}",
        report.faults
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_golden_store_is_opened_verified_and_continued() {
    let (url, known) = database().await;
    if std::env::var_os("UPDATE").is_some() && !golden(known).exists() {
        fill(&url).await;
        fs::create_dir_all(folder()).unwrap();
        fs::write(golden(known), dump(&url).await).unwrap();
    }
    assert!(golden(known).exists(), "this schema version has no golden: run the test once with UPDATE=1");
    let files = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path());
    for file in files.filter(|file| file.extension().is_some_and(|ending| ending == "sql")) {
        assert_goes_on(&fs::read_to_string(file).unwrap()).await;
    }
}
