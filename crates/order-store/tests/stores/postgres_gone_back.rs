//! A database that goes back to an earlier state under a store that is open, or becomes another one.

use std::sync::Arc;
use std::time::Duration;

use order_application::{
    Append, AppendError, EventLog, LogHistory, PageLimit, Position, StoreError, Subscription, Version,
};
use order_domain::OrderId;
use order_store::{PostgresOptions, PostgresStore};
use test_servers::PostgresServer;
use tokio::time::{Instant, sleep};

use crate::contract::bus;
use crate::order::TestOrder;
use crate::postgres_fixtures::{database, open, sql};

const ALL: PageLimit = PageLimit { events: 10_000, bytes: usize::MAX };
/// What the log has after it has gone back.
const LATER: LogHistory = LogHistory(1);

/// Waits until something is so, which a look of the store twice a second brings about.
pub(crate) async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[track_caller]
fn assert_refused(outcome: Result<Position, AppendError>, why: &str) {
    match outcome {
        Err(AppendError::Store(StoreError::Unavailable(told))) => assert!(told.contains(why), "{told}"),
        other => panic!("{other:?}"),
    }
}

/// Two databases: one that a store was open on, and what it was like before the last events.
struct Swapped<'a> {
    server: &'a PostgresServer,
    name: String,
    older: String,
}

impl<'a> Swapped<'a> {
    /// A copy of a database that nobody is connected to.
    fn copied(server: &'a PostgresServer, url: &str) -> Self {
        let (_, name) = url.rsplit_once('/').unwrap();
        let older = format!("{name}_older");
        server.query(&format!("CREATE DATABASE {older} TEMPLATE {name}")).unwrap();
        Self { server, name: name.to_owned(), older }
    }

    /// Gives the older one the name of the other, and that one the name `later`.
    fn swap(&self, later: &str) {
        let Self { server, name, older } = self;
        for statement in [
            format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
            format!(
                "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = '{name}'"
            ),
            format!("ALTER DATABASE {name} RENAME TO {later}"),
            format!("ALTER DATABASE {older} RENAME TO {name}"),
            format!("ALTER DATABASE {later} ALLOW_CONNECTIONS true"),
        ] {
            server.query(&statement).unwrap();
        }
    }
}

async fn open_with(url: &str, bus: Arc<order_bus::InProcessBus>) -> Arc<PostgresStore> {
    Arc::new(PostgresStore::open(url, bus, crate::postgres::QUICK_SERVER).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_appended_to_an_order_as_only_a_lost_history_had_it() {
    let url = database();
    let store = open(&url).await;
    let mut order = TestOrder::new("a");
    store.append(order.place()).await.unwrap();
    store.append(order.pay(1)).await.unwrap();
    // Under the same version something else has happened.
    sql(&url, "UPDATE order_service.events SET id = gen_random_uuid() WHERE position = 2").await;
    assert_refused(store.append(order.pay(1)).await, "gone back");
    assert_eq!(store.history(), LATER);
    // Whoever was told so before decides once more.
    let other = TestOrder::new("b").place();
    assert_refused(store.append(other.clone()).await, "gone back");
    assert_eq!(store.append(Append { history: LATER, ..other }).await, Ok(Position(3)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_lost_its_last_events_is_noticed_by_whoever_appends_or_reads_or_by_nobody() {
    for by in 0..3 {
        let url = database();
        let store = open(&url).await;
        let mut order = TestOrder::new("a");
        store.append(order.place()).await.unwrap();
        store.append(order.pay(2)).await.unwrap();
        sql(&url, "DELETE FROM order_service.events WHERE position > 1").await;
        match by {
            0 => assert_refused(store.append(TestOrder::new("b").place()).await, "gone back"),
            1 => assert!(store.read_stream(&order.id, Version::NONE, ALL).await.is_err()),
            _ => until("it is noticed", async || store.history() == LATER).await,
        }
        assert_eq!(store.history(), LATER, "{by}");
        assert_eq!(store.read_log(Position::START, ALL).await.map(|page| page.len()), Ok(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_under_the_same_name_is_another_history_for_appends_and_for_those_who_follow() {
    let url = database();
    let first = open(&url).await;
    let mut order = TestOrder::new("a");
    first.append(order.place()).await.unwrap();
    first.close().await;
    drop(first);
    let databases = Swapped::copied(PostgresServer::shared().unwrap(), &url);

    let bus = bus();
    let store = open_with(&url, bus.clone()).await;
    let mut subscription = Subscription::new(store.clone(), &*bus, Position::START);
    store.append(order.pay(1)).await.unwrap();
    let mut seen = 0;
    while seen < 2 {
        seen += subscription.next().await.unwrap().unwrap().len();
    }
    databases.swap(&format!("{}_later", databases.name));

    assert_refused(store.append(order.pay(1)).await, "gone back");
    assert_eq!(store.history(), LATER);
    // As many events as before, and others.
    let mut instead = TestOrder::new("a");
    drop(instead.place());
    for _ in 0..2 {
        store.append(Append { history: LATER, ..instead.pay(1) }).await.unwrap();
    }
    let told = subscription.next().await;
    assert!(matches!(told, Err(StoreError::Unavailable(_))), "{told:?}");
    let mut anew = Subscription::new(store.clone(), &*bus, Position(1));
    assert_eq!(anew.next().await.unwrap().unwrap().len(), 2);
    assert_eq!(store.check().await, Ok(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_log_under_the_same_name_is_not_used_and_the_right_one_is_again() {
    let server = PostgresServer::shared().unwrap();
    let url = database();
    let other = database();
    open(&other).await.close().await;
    let store = open(&url).await;
    store.append(TestOrder::new("a").place()).await.unwrap();
    let (_, name) = url.rsplit_once('/').unwrap();
    let (_, older) = other.rsplit_once('/').unwrap();
    until("nobody is connected to it", async || {
        let connected = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{older}'");
        server.query(&connected).unwrap() == "0"
    })
    .await;
    let later = format!("{name}_later");
    Swapped { server, name: name.to_owned(), older: older.to_owned() }.swap(&later);

    assert_refused(store.append(TestOrder::new("b").place()).await, "another log");
    let told = store.check().await;
    assert!(matches!(&told, Err(StoreError::Unavailable(why)) if why.contains("another log")), "{told:?}");
    assert!(store.read_log(Position::START, ALL).await.is_err());

    Swapped { server, name: name.to_owned(), older: later }.swap(older);
    until("it is used again", async || store.check().await.is_ok()).await;
    assert_eq!(store.append(TestOrder::new("b").place()).await, Ok(Position(2)));
    assert_eq!(store.history(), LogHistory(0));
}

/// Somebody makes a new store in the place of the old one, and no connection ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_is_made_anew_is_not_served() {
    let url = database();
    let store = open(&url).await;
    store.append(TestOrder::new("a").place()).await.unwrap();
    sql(&url, "DROP SCHEMA order_service CASCADE").await;
    PostgresStore::migrate(&url).await.unwrap();
    for order in ["b", "c"] {
        let outcome = store.append(TestOrder::new(order).place()).await;
        assert!(matches!(outcome, Err(AppendError::Store(StoreError::Unavailable(_)))), "{outcome:?}");
    }
    until("it is told", async || {
        matches!(store.check().await, Err(StoreError::Unavailable(why)) if why.contains("another log"))
    })
    .await;
    let found = open(&url).await.end().await;
    assert_eq!(found, Ok(Position::START));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_has_come_to_lose_what_it_acknowledges_is_not_used_until_it_is_set_right() {
    let server = PostgresServer::start(test_servers::PostgresOptions::durable()).unwrap();
    let url = server.create_database().unwrap();
    let options = PostgresOptions { queue_wait: Duration::from_secs(30), ..PostgresOptions::DEFAULT };
    let store = PostgresStore::open(&url, bus(), options).await.unwrap();
    store.append(TestOrder::new("a").place()).await.unwrap();
    let (_, name) = url.rsplit_once('/').unwrap();
    let set = |setting: &str| {
        server.query(&format!("ALTER DATABASE {name} {setting}")).unwrap();
        let end = format!(
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        server.query(&end).unwrap();
    };
    set("SET synchronous_commit = off");
    assert_refused(store.append(TestOrder::new("b").place()).await, "synchronous_commit=off");
    let told = store.check().await;
    assert!(
        matches!(&told, Err(StoreError::Unavailable(why)) if why.contains("synchronous_commit=off")),
        "{told:?}"
    );
    set("RESET synchronous_commit");
    until("it is used again", async || store.check().await.is_ok()).await;
    assert_eq!(store.append(TestOrder::new("c").place()).await, Ok(Position(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_a_trigger_leaves_out_is_not_acknowledged() {
    let url = database();
    let store = open(&url).await;
    sql(
        &url,
        "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN RETURN CASE WHEN new.order_id <> ''skipped'' THEN new END; END'; \
         CREATE TRIGGER skip BEFORE INSERT ON order_service.events FOR EACH ROW EXECUTE FUNCTION skip()",
    )
    .await;
    assert_refused(store.append(TestOrder::new("skipped").place()).await, "took 0 of 1 events");
    assert_eq!(store.version(&OrderId::new("skipped").unwrap()).await, Ok(Version::NONE));
    assert_eq!(store.append(TestOrder::new("kept").place()).await, Ok(Position(1)));
}
