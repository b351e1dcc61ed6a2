//! Databases that somebody serves, and that somebody else copies into or restores to; and ways out of what is unfinished.

use std::sync::Arc;
use std::time::Duration;

use order_application::{
    AppendError, Checkpoints, EventLog, LogHistory, PageLimit, Position, StoreError, Version,
};
use order_store::{CopyError, PostgresError, PostgresFault, PostgresOptions, PostgresStore, SideError};
use tokio::time::sleep;

use crate::contract::{bus, take};
use crate::copy::{Place, copy, copy_some};
use crate::order::TestOrder;
use crate::postgres::QUICK_SERVER;
use crate::postgres_fixtures::{database, faults, open, session, sql};
use crate::postgres_gone_back::until;

const STATE: &str = "SELECT state FROM order_service.log";
const UNFINISHED: &str = "the store is the target of an unfinished copy or restore";

async fn state(url: &str) -> String {
    session(url).await.query_one(STATE, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_somebody_serves_is_no_target_and_is_left_alone() {
    let (from, to) = (Place::sqlite(), Place::postgres());
    from.fill().await;
    let store = open(to.url()).await;
    let serving = tokio::spawn({
        let store = Arc::clone(&store);
        async move {
            loop {
                take(&*store, "timers", "somebody").await;
                sleep(Duration::from_millis(100)).await;
            }
        }
    });
    until("it is served", async || store.load("timers").await.is_ok()).await;
    take(&*store, "timers", "somebody").await;
    let refused = copy(&from, &to).await.unwrap_err();
    let CopyError::Target(SideError::Postgres(PostgresError { fault, .. })) = &refused else {
        panic!("{refused}");
    };
    assert!(matches!(fault, PostgresFault::Served { .. }), "{refused}");
    let told = refused.to_string();
    assert!(told.contains("the lease \"timers\" is being renewed, and connected are "), "{told}");
    assert!(told.contains("(order-service)"), "{told}");
    assert_eq!(state(to.url()).await, "ready");
    assert_eq!(store.append(TestOrder::new("a").place()).await, Ok(Position(1)));
    sql(to.url(), "TRUNCATE order_service.events, order_service.orders, order_service.log_times").await;
    serving.abort();
    drop(store);
    copy(&from, &to).await.unwrap();
}

/// Whatever an instance has of the store that was there before, it neither adds to a copy nor reads from half of one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_was_there_before_waits_for_the_end_of_a_copy() {
    let (from, to) = (Place::sqlite(), Place::postgres());
    from.fill().await;
    let store = open(to.url()).await;
    copy_some(&from, &to, 2).await;
    // At once, whether or not the instance has looked.
    for _ in 0..2 {
        match store.append(TestOrder::new("a").place()).await {
            Err(AppendError::Store(StoreError::Unavailable(why))) => {
                assert!(why.contains(UNFINISHED), "{why}")
            }
            other => panic!("{other:?}"),
        }
    }
    until("reads are refused, too", async || {
        store.read_log(Position::START, PageLimit::events(1)).await.is_err()
    })
    .await;
    assert!(matches!(store.check().await, Err(StoreError::Unavailable(why)) if why.contains(UNFINISHED)));
    assert!(store.history() > LogHistory(0), "it remembers what was there before");
    copy(&from, &to).await.unwrap();
    until("it serves the copy", async || store.check().await.is_ok()).await;
    let events = store.read_log(Position::START, PageLimit::events(1_000)).await.unwrap();
    assert_eq!(events, from.content().await.events);
    let mut order = TestOrder::new("a");
    let placed = order_application::Append { history: store.history(), ..order.place() };
    assert_eq!(store.append(placed).await, Ok(Position(121)));
    assert_eq!(store.version(&order.id).await, Ok(Version(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_come_between_the_look_and_the_beginning_of_a_copy_keep_it_from_beginning() {
    let (from, to) = (Place::sqlite(), Place::postgres());
    from.fill().await;
    let store = open(to.url()).await;
    let somebody = session(to.url()).await;
    somebody.batch_execute("BEGIN; SELECT order_service.lock_log_end_v1()").await.unwrap();
    let appending = tokio::spawn(async move { store.append(TestOrder::new("a").place()).await });
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND database = \
                   (SELECT oid FROM pg_database WHERE datname = current_database())";
    let waiting = async || session(to.url()).await.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0);
    until("the append waits", async || waiting().await == 1).await;
    let copying = async { copy(&from, &to).await };
    let letting_go = async {
        until("the copy waits behind it", async || waiting().await == 2).await;
        somebody.batch_execute("COMMIT").await.unwrap();
    };
    let (refused, ()) = futures_util::future::join(copying, letting_go).await;
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.ends_with("it cannot begin a copy: somebody else has written to it meanwhile"),
        "{refused}"
    );
    assert_eq!(appending.await.unwrap(), Ok(Position(1)));
    assert_eq!(state(to.url()).await, "ready");
    assert_eq!(faults(to.url()).await, Vec::<String>::new());
}

/// As docs/operations/postgresql.md has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unfinished_copy_that_is_given_up_can_be_served_as_far_as_it_is() {
    let (from, to) = (Place::sqlite(), Place::postgres());
    from.fill().await;
    copy_some(&from, &to, 2).await;
    let give_up = "UPDATE order_service.log SET state = 'ready', copied_from = NULL";
    sql(to.url(), give_up).await;
    PostgresStore::rebuild(to.url(), &mut |_, _| {}).await.unwrap();
    assert_eq!(faults(to.url()).await, Vec::<String>::new());
    let events = to.content().await.events;
    assert_eq!(events, from.content().await.events[..events.len()]);
    assert!((1..120).contains(&events.len()), "{}", events.len());
    let store = open(to.url()).await;
    store.append(TestOrder::new("later").place()).await.unwrap();
    drop(store);
    assert_eq!(faults(to.url()).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_wants_a_store_that_is_there_makes_none() {
    let url = database();
    let existing = PostgresOptions { create: false, ..QUICK_SERVER };
    let refused = PostgresStore::open(&url, bus(), existing).await.err().expect("refused");
    assert!(matches!(refused.fault, PostgresFault::NoStore), "{refused}");
    let made = "SELECT to_regnamespace('order_service') IS NOT NULL";
    assert!(!session(&url).await.query_one(made, &[]).await.unwrap().get::<_, bool>(0));
    drop(open(&url).await);
    PostgresStore::open(&url, bus(), existing).await.unwrap();
}
