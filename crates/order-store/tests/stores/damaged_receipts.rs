//! Receipts that are not what was written answer nothing, and `verify` finds them.

use order_application::{AppendError, EventLog, Receipts, StoreError, ViewsProgress};
use order_store::SqliteStore;

use crate::contract::{bus, receipt, under};
use crate::order::TestOrder;
use crate::sqlite::SMALL_BATCHES;

/// What may become of a receipt's row.
const DAMAGES: [&str; 5] =
    ["version = 2", "order_id = 'b'", "answer = 'accepted'", "fingerprint = key", "checksum = fingerprint"];

async fn assert_answers_nothing(store: &impl Receipts, damage: &str) {
    let key = receipt("k", &TestOrder::new("a").id, 1, 1).key;
    let found = store.find_receipt(&key).await;
    assert!(matches!(found, Err(StoreError::Corrupt(_))), "{damage}: {found:?}");
    let kept = store.keep_receipt(receipt("k", &TestOrder::new("a").id, 1, 1)).await;
    assert!(matches!(kept, Err(StoreError::Corrupt(_))), "{damage}: {kept:?}");
}

fn assert_found(faults: &[String], damage: &str) {
    let found = faults.iter().filter(|fault| fault.contains("a receipt, which says that it is of order"));
    assert_eq!((found.count(), faults.len()), (1, 1), "{damage}: {faults:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_receipt_answers_nothing_and_verify_finds_it() {
    for damage in DAMAGES {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("orders.db");
        let open = || SqliteStore::open(&path, bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap();
        let store = open();
        store.append(under("k", TestOrder::new("a").place())).await.unwrap();
        store.append(under("l", TestOrder::new("c").place())).await.unwrap();
        drop(store);
        let sql = format!("UPDATE receipts SET {damage} WHERE order_id = 'a'");
        rusqlite::Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
        assert_found(&SqliteStore::verify(&path, &mut |_, _| {}).unwrap().faults, damage);
        assert_answers_nothing(&open(), damage).await;
    }
}

/// Each is what was written, under the other's number: neither key is a new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_whose_numbers_were_exchanged_answer_nothing_and_verify_finds_them() {
    let exchange = "UPDATE receipts SET sequence = sequence + 100 WHERE sequence IN (2, 3); \
        UPDATE receipts SET sequence = 3 WHERE sequence = 102; UPDATE receipts SET sequence = 2 WHERE sequence = 103";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("orders.db");
    let open = || SqliteStore::open(&path, bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap();
    let store = open();
    let keys = ["k", "l", "m", "n"];
    for key in keys {
        store.append(under(key, TestOrder::new(key).place())).await.unwrap();
    }
    drop(store);
    rusqlite::Connection::open(&path).unwrap().execute_batch(exchange).unwrap();
    let faults = SqliteStore::verify(&path, &mut |_, _| {}).unwrap().faults;
    assert_eq!(faults, ["views: the index of receipts lacks 2 of them"]);
    let store = open();
    for key in keys {
        let receipt = receipt(key, &TestOrder::new(key).id, 1, 1);
        let found = store.find_receipt(&receipt.key).await;
        if ["l", "m"].contains(&key) {
            assert!(matches!(found, Err(StoreError::Corrupt(_))), "{key}: {found:?}");
            let again = store.append(under(key, TestOrder::new("again").place())).await;
            assert!(matches!(again, Err(AppendError::Store(StoreError::Corrupt(_)))), "{key}: {again:?}");
        } else {
            assert_eq!(found, Ok(Some(receipt)));
        }
    }
    drop(store);
    // The number alone says nothing: views that are made anew find them.
    std::fs::remove_file(directory.path().join("orders.views.1.db")).unwrap();
    let store = open();
    for key in keys {
        let receipt = receipt(key, &TestOrder::new(key).id, 1, 1);
        assert_eq!(store.find_receipt(&receipt.key).await, Ok(Some(receipt)));
    }
}

#[cfg(feature = "full-tests")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_is_on_postgresql() {
    use order_store::PostgresStore;
    use test_servers::PostgresServer;

    use crate::postgres::QUICK_SERVER;
    use crate::postgres_fixtures::sql;

    for damage in DAMAGES {
        let url = PostgresServer::shared().unwrap().create_database().unwrap();
        let store = PostgresStore::open(&url, bus(), QUICK_SERVER).await.unwrap();
        store.append(under("k", TestOrder::new("a").place())).await.unwrap();
        store.append(under("l", TestOrder::new("c").place())).await.unwrap();
        sql(&url, &format!("UPDATE order_service.receipts SET {damage} WHERE order_id = 'a'")).await;
        assert_found(&PostgresStore::verify(&url, &mut |_, _| {}).await.unwrap().faults, damage);
        assert_answers_nothing(&store, damage).await;
    }
}
