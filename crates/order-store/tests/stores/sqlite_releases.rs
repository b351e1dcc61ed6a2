//! Two releases in turns on one file: this one, and a later one that is planted in another process
//! (`src/planted_release.rs`).

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use order_application::{
    EventLog, ListQuery, OrderViews, PageLimit, Position, StoreError, Version, ViewsProgress,
};
use order_store::{SqliteError, SqliteStore};

use crate::contract::bus;
use crate::order::TestOrder;
use crate::sqlite::{SMALL_BATCHES, rebuilt};

const ALL: PageLimit = PageLimit::events(10_000);

/// Tell the other process which store, and what to do.
const STORE: &str = "ORDER_STORE_TEST_FILE";
const JOB: &str = "ORDER_STORE_TEST_FILE_JOB";

fn open(path: &Path) -> Result<SqliteStore, SqliteError> {
    SqliteStore::open(path, bus(), SMALL_BATCHES, &ViewsProgress::default())
}

/// Has a later release do something, and waits for its end.
fn later_release(release: &str, path: &Path, job: &str) {
    let ended = Command::new(env::current_exe().unwrap())
        .args(["--exact", "sqlite_releases::the_later_release_does_what_it_is_told"])
        .envs([
            ("ORDER_SERVICE_PLANTED_FAULT", release.as_ref()),
            (STORE, path.as_os_str()),
            (JOB, job.as_ref()),
        ])
        .output()
        .unwrap();
    assert!(ended.status.success(), "{ended:?}");
}

async fn order(store: &SqliteStore, id: &str) -> TestOrder {
    let mut order = TestOrder::new(id);
    for event in store.read_stream(&order.id, Version::NONE, ALL).await.unwrap() {
        order.state = Some(order_application::codec::replay(order.state.take(), &event).unwrap());
    }
    order
}

/// In the test run itself there is nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_later_release_does_what_it_is_told() {
    let (Ok(path), Ok(job)) = (env::var(STORE), env::var(JOB)) else { return };
    let path = PathBuf::from(path);
    let store = open(&path).unwrap();
    rebuilt(&store, "views").await;
    match job.as_str() {
        "pay" => {
            let mut of_both = order(&store, "of-both").await;
            store.append(of_both.pay(1)).await.unwrap();
            let mut newer = TestOrder::new("newer");
            store.append(newer.place()).await.unwrap();
            store.append(newer.pay(1)).await.unwrap();
        }
        "look" => {
            for id in ["of-both", "newer", "older"] {
                let order = order(&store, id).await;
                assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
            }
            drop(store);
            assert_eq!(SqliteStore::verify(&path, &mut |_, _| {}).unwrap().faults, Vec::<String>::new());
        }
        "open" => {}
        other => panic!("no such job: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_release_goes_on_with_what_a_later_one_has_written_and_the_later_one_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("orders.db");
    let store = open(&path).unwrap();
    let mut older = TestOrder::new("older");
    store.append(older.place()).await.unwrap();
    store.append(TestOrder::new("of-both").place()).await.unwrap();
    drop(store);
    // The upgrade: the views are those of an earlier projection, and rebuilt.
    later_release("newer-release", &path, "pay");
    let numbered = |number| directory.path().join(format!("orders.views.{number}.db")).exists();
    assert!(!numbered(1) && numbered(2));

    // The way back.
    let store = open(&path).unwrap();
    store.append(older.pay(1)).await.unwrap();
    assert_eq!(store.one(&older.id).await, Ok(Some(older.summary())));
    rebuilt(&store, "views").await;
    for id in ["of-both", "newer"] {
        let one = store.one(&TestOrder::new(id).id).await;
        assert!(matches!(one, Err(StoreError::NewerRelease(_))), "{one:?}");
    }
    let page = store.many(&ListQuery::placed_after(Position::START, 10)).await.unwrap();
    assert_eq!((page.orders.len(), page.left_out), (1, 2));
    drop(store);
    let faults = SqliteStore::verify(&path, &mut |_, _| {}).unwrap().faults;
    assert_eq!(faults.len(), 2, "{faults:?}");

    later_release("newer-release", &path, "look");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_release_refuses_a_file_that_a_later_one_has_changed_too_much() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("orders.db");
    drop(open(&path).unwrap());
    later_release("breaking-release", &path, "open");
    let before = fs::read(&path).unwrap();
    let refused = open(&path).err().expect("refused");
    assert!(matches!(refused, SqliteError::Newer { found: 5, known: 4, .. }), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), before);
}
