//! Two releases on one database: this one, and a newer one that is planted in another process
//! (`src/postgres/planted_faults.rs`).

use std::env;
use std::process::Command;

use order_application::codec::{self, CodecError};
use order_application::{
    Append, EventLog, OrderView, OrderViews, PageLimit, StoreError, Version, ViewRepair, ViewsState,
};
use order_domain::CustomerId;
use order_store::{PostgresFault, PostgresStore};
use test_servers::PostgresServer;

use crate::contract::bus;
use crate::order::TestOrder;
use crate::postgres::QUICK_SERVER;
use crate::postgres_fixtures::{faults, sql};

const ALL: PageLimit = PageLimit { events: 10_000, bytes: usize::MAX };

/// Tell the other process which database, and what to do.
const DATABASE: &str = "ORDER_STORE_TEST_DATABASE";
const JOB: &str = "ORDER_STORE_TEST_RELEASE_JOB";

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(url, bus(), QUICK_SERVER).await.unwrap()
}

/// A view that is sound and not what this release makes of the events.
fn forged(mut append: Append) -> Append {
    let mut summary = append.view.clone().into_summary().unwrap();
    summary.customer_id = CustomerId::new("somebody-else").unwrap();
    append.view = OrderView::Readable(summary);
    append
}

/// Has a newer release do something, and waits for its end.
fn newer_release(release: &str, url: &str, job: &str) {
    let ended = Command::new(env::current_exe().unwrap())
        .args(["--exact", "postgres_releases::the_newer_release_does_what_it_is_told"])
        .env("ORDER_SERVICE_PLANTED_FAULT", release)
        .env(DATABASE, url)
        .env(JOB, job)
        .output()
        .unwrap();
    assert!(ended.status.success(), "{ended:?}");
}

/// In the test run itself there is nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newer_release_does_what_it_is_told() {
    let (Ok(url), Ok(job)) = (env::var(DATABASE), env::var(JOB)) else { return };
    if job == "verify" {
        PostgresStore::migrate(&url).await.unwrap();
        let faults = faults(&url).await;
        let fault =
            "order of-older: an earlier release made its view, `order-service rebuild` makes it right: ";
        assert!(matches!(&faults[..], [found] if found.starts_with(fault)), "{faults:?}");
        return;
    }
    let store = open(&url).await;
    while store.views().state != ViewsState::Current {
        tokio::task::yield_now().await;
    }
    match job.as_str() {
        "pay" => {
            let mut placed = TestOrder::new("of-both");
            placed.replay(&store.read_stream(&placed.id, Version::NONE, ALL).await.unwrap());
            store.append(placed.pay(1)).await.unwrap();
            let mut newer = TestOrder::new("newer");
            store.append(newer.place()).await.unwrap();
            store.append(newer.pay(1)).await.unwrap();
        }
        "look" => {
            for id in ["of-both", "newer", "older"] {
                let mut order = TestOrder::new(id);
                order.replay(&store.read_stream(&order.id, Version::NONE, ALL).await.unwrap());
                assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
            }
            assert_eq!(faults(&url).await, Vec::<String>::new());
        }
        "change" => {
            let mut order = TestOrder::new("of-newer");
            store.append(order.place()).await.unwrap();
            sql(
                &url,
                "CREATE TABLE before AS SELECT * FROM order_service.orders WHERE order_id = 'of-newer'",
            )
            .await;
            store.append(order.pay(1)).await.unwrap();
        }
        "open" => {}
        other => panic!("no such job: {other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_release_serves_beside_a_newer_one_all_that_it_knows() {
    let url = PostgresServer::shared().unwrap().create_database().unwrap();
    let (before, mut older, mut of_both) =
        (open(&url).await, TestOrder::new("older"), TestOrder::new("of-both"));
    before.append(older.place()).await.unwrap();
    before.append(of_both.place()).await.unwrap();
    assert_eq!(before.are_of_newer_release().await, Ok(false));
    newer_release("newer-release", &url, "pay");
    assert_eq!(before.are_of_newer_release().await, Ok(true));

    let after = open(&url).await;
    for store in [&before, &after] {
        assert_eq!(store.check().await, Ok(()));
        store.append(older.pay(1)).await.unwrap();
        assert_eq!(store.one(&older.id).await, Ok(Some(older.summary())));
        let stream = store.read_stream(&of_both.id, Version::NONE, ALL).await.unwrap();
        let replayed = stream.iter().try_fold(None, |order, event| codec::replay(order, event).map(Some));
        assert!(matches!(replayed, Err(CodecError::NewerEvent(_))), "{replayed:?}");
    }
    // What the older one wrote meanwhile is rebuilt, and what it rebuilds it does not take from the newer one.
    PostgresStore::rebuild(&url, &mut |_, _| {}).await.unwrap();
    newer_release("newer-release", &url, "look");

    // Rows that are damaged or lost are repaired as well as this release can, and then as well as the newer one can.
    for damage in ["UPDATE order_service.orders SET total_cents = 1", "TRUNCATE order_service.orders"] {
        sql(&url, damage).await;
        PostgresStore::rebuild(&url, &mut |_, _| {}).await.unwrap();
        assert_eq!(after.one(&older.id).await, Ok(Some(older.summary())));
        let one = after.one(&of_both.id).await;
        assert!(matches!(one, Err(StoreError::NewerRelease(_))), "{one:?}");
        newer_release("newer-release", &url, "look");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verify_finds_what_an_earlier_release_made_otherwise_and_leaves_what_a_newer_one_made() {
    let url = PostgresServer::shared().unwrap().create_database().unwrap();
    open(&url).await.append(forged(TestOrder::new("of-older").place())).await.unwrap();
    newer_release("newer-release", &url, "verify");
    newer_release("newer-release", &url, "change");
    let of_view =
        |faults: Vec<String>| faults.iter().any(|fault| fault.starts_with("order of-newer: its view"));
    let after_payment = faults(&url).await;
    assert!(!of_view(after_payment.clone()), "{after_payment:?}");
    // But not one that is behind.
    sql(
        &url,
        "DELETE FROM order_service.orders WHERE order_id = 'of-newer'; \
         INSERT INTO order_service.orders SELECT * FROM before",
    )
    .await;
    let behind = faults(&url).await;
    assert!(of_view(behind.clone()), "{behind:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_release_stops_beside_a_newer_one_that_it_cannot_run_with() {
    let url = PostgresServer::shared().unwrap().create_database().unwrap();
    let before = open(&url).await;
    let mut order = TestOrder::new("older");
    before.append(order.place()).await.unwrap();
    newer_release("breaking-release", &url, "open");
    let refused = PostgresStore::open(&url, bus(), QUICK_SERVER).await.err().expect("refused");
    assert!(matches!(refused.fault, PostgresFault::Newer { .. }), "{refused}");
    assert!(matches!(before.check().await, Err(StoreError::NewerRelease(_))));
    assert!(before.append(order.pay(1)).await.is_err());
}
