//! Copies between stores: nothing changes on the way, and an interrupted copy goes on. What is refused: `copy_refusals.rs`.

use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt;
use order_application::{
    Append, Checkpoint, Checkpoints, Claim, EventContext, ListedOrder, OrderSummary, PageLimit, Position,
    ReceiptKey, RecordedEvent, Version, ViewsProgress,
};
use order_store::{CopyError, CopyReport, CopyStep, PostgresStore, SqliteStore, StoreLocation};
use tempfile::TempDir;
use test_servers::PostgresServer;
use tokio::sync::Notify;

use crate::contract::{Store, bus, list, old_before, receipt, take, under};
use crate::order::TestOrder;
use crate::other_process::OtherProcess;
use crate::postgres::QUICK_SERVER;
use crate::postgres_fixtures::sql;
use crate::sqlite::SMALL_BATCHES;

/// Many chunks of few events.
pub(crate) const SMALL_CHUNKS: PageLimit = PageLimit { events: 7, bytes: 1 << 20 };

/// A store with a name.
pub(crate) struct Place {
    pub(crate) location: StoreLocation,
    _directory: Option<TempDir>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let location = StoreLocation::Sqlite(directory.path().join("orders.db"));
        Self { location, _directory: Some(directory) }
    }

    pub(crate) fn postgres() -> Self {
        let url = PostgresServer::shared().unwrap().create_database().unwrap();
        Self { location: StoreLocation::Postgres(url), _directory: None }
    }

    pub(crate) fn path(&self) -> &Path {
        match &self.location {
            StoreLocation::Sqlite(path) => path,
            StoreLocation::Postgres(_) => panic!("this is no file"),
        }
    }

    pub(crate) fn url(&self) -> &str {
        match &self.location {
            StoreLocation::Sqlite(_) => panic!("this is no database"),
            StoreLocation::Postgres(url) => url,
        }
    }

    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        match &self.location {
            StoreLocation::Sqlite(path) => {
                Arc::new(SqliteStore::open(path, bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap())
            }
            StoreLocation::Postgres(url) => {
                Arc::new(PostgresStore::open(url, bus(), QUICK_SERVER).await.unwrap())
            }
        }
    }

    pub(crate) async fn checkpoints(&self) -> Arc<dyn Checkpoints> {
        match &self.location {
            StoreLocation::Sqlite(path) => {
                Arc::new(SqliteStore::open(path, bus(), SMALL_BATCHES, &ViewsProgress::default()).unwrap())
            }
            StoreLocation::Postgres(url) => {
                Arc::new(PostgresStore::open(url, bus(), QUICK_SERVER).await.unwrap())
            }
        }
    }

    pub(crate) async fn save(&self, name: &str, checkpoint: &Checkpoint) {
        let checkpoints = self.checkpoints().await;
        let epoch = take(&*checkpoints, name, "me").await;
        assert_eq!(checkpoints.save(name, epoch, checkpoint).await, Ok(true));
    }

    pub(crate) async fn content(&self) -> Content {
        let store = self.open().await;
        let events = store.read_log(Position::START, PageLimit::events(10_000)).await.unwrap();
        let views = list(&*store, Position::START, 10_000).await;
        Content { events, views }
    }

    /// 40 orders: each is placed with an awkward context, half of them are paid in the same breath, and all later.
    pub(crate) async fn fill(&self) -> Vec<TestOrder> {
        let store = self.open().await;
        let mut orders: Vec<_> = (0..40).map(|n| TestOrder::new(&format!("order-{n}"))).collect();
        for (n, order) in orders.iter_mut().enumerate() {
            store.append(awkward(order.place(), n)).await.unwrap();
            if n % 2 == 0 {
                store.append(awkward(order.pay(2), n)).await.unwrap();
            }
        }
        for (n, order) in orders.iter_mut().enumerate() {
            store.append(awkward(order.pay(1), n)).await.unwrap();
        }
        orders
    }
}

#[derive(Debug, PartialEq)]
pub(crate) struct Content {
    pub(crate) events: Vec<RecordedEvent>,
    pub(crate) views: Vec<ListedOrder>,
}

fn awkward(mut append: Append, n: usize) -> Append {
    for event in &mut append.events {
        event.context = EventContext::new(
            &format!("corr \u{1F4E6} \"{n}\"\n"),
            n.is_multiple_of(3).then_some(""),
            (n % 3 == 1).then_some("\\N"),
        );
        event.source = n.is_multiple_of(5).then(|| "/\t".into());
    }
    append
}

pub(crate) async fn copy(from: &Place, to: &Place) -> Result<CopyReport, CopyError> {
    order_store::copy(&from.location, &to.location, SMALL_CHUNKS, &mut |_, _, _| {}).await
}

/// Copies so many chunks, and is then gone.
pub(crate) async fn copy_some(from: &Place, to: &Place, chunks: usize) {
    let enough = Notify::new();
    let mut done = 0;
    let mut progress = |step, _, _| {
        assert_eq!(step, CopyStep::Copying, "it was not interrupted");
        done += 1;
        if done == chunks {
            enough.notify_one();
        }
    };
    let copy = order_store::copy(&from.location, &to.location, SMALL_CHUNKS, &mut progress);
    tokio::select! {
        biased;
        () = enough.notified() => {}
        result = copy => panic!("it was not interrupted: {result:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_copy_has_every_event_and_view_as_it_was() {
    let first = Place::sqlite();
    first.fill().await;
    let original = first.content().await;
    let mut from = first;
    for to in [Place::postgres(), Place::sqlite(), Place::sqlite(), Place::postgres(), Place::postgres()] {
        let report = copy(&from, &to).await.unwrap();
        assert_eq!((report.copied, report.found, report.check.faults), (120, 0, vec![]));
        assert_eq!(to.content().await, original);
        from = to;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_has_the_receipts_that_its_source_has_now() {
    for (from, to) in [
        (Place::sqlite(), Place::postgres()),
        (Place::postgres(), Place::sqlite()),
        (Place::postgres(), Place::postgres()),
        (Place::sqlite(), Place::sqlite()),
    ] {
        let store = from.open().await;
        let mut order = TestOrder::new("a");
        store.append(order.place()).await.unwrap();
        let old = receipt("old", &order.id, 1, 0);
        store.keep_receipt(old.clone()).await.unwrap();
        store.append(under("with events", order.pay(1))).await.unwrap();
        // More than one page, all of one time.
        let more = (0..5_100_u32).map(|n| store.keep_receipt(receipt(&n.to_string(), &order.id, 1, 9)));
        for kept in futures_util::stream::iter(more).buffered(100).collect::<Vec<_>>().await {
            kept.unwrap();
        }
        for _ in 0..9 {
            store.append(order.pay(1)).await.unwrap();
        }
        drop(store);
        copy_some(&from, &to, 1).await;
        let store = from.open().await;
        assert_eq!(store.trim_receipts(old_before(1), 2).await.map(|trimmed| trimmed.receipts), Ok(1));
        drop(store);
        copy(&from, &to).await.unwrap();
        let (original, copy) = (from.open().await, to.open().await);
        assert_eq!(copy.find_receipt(&old.key).await, Ok(None));
        for text in (0..5_100_u32).map(|n| n.to_string()).chain(["with events".to_owned()]) {
            let key = ReceiptKey::new(None, &text);
            let found = copy.find_receipt(&key).await;
            assert!(matches!(found, Ok(Some(_))), "{text}: {found:?}");
            assert_eq!(found, original.find_receipt(&key).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_goes_on_with_new_orders_and_old_ones() {
    for to in [Place::sqlite(), Place::postgres()] {
        let from = Place::sqlite();
        let mut orders = from.fill().await;
        copy(&from, &to).await.unwrap();
        let store = to.open().await;
        let mut new = TestOrder::new("new");
        assert_eq!(store.append(new.place()).await, Ok(Position(121)));
        assert_eq!(store.append(orders[3].pay(1)).await, Ok(Position(122)));
        assert_eq!(store.one(&orders[3].id).await, Ok(Some(orders[3].summary())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_copy_goes_on_where_it_stopped() {
    for (from, to) in [
        (Place::sqlite(), Place::postgres()),
        (Place::postgres(), Place::sqlite()),
        (Place::postgres(), Place::postgres()),
        (Place::sqlite(), Place::sqlite()),
    ] {
        from.fill().await;
        copy_some(&from, &to, 3).await;
        copy_some(&from, &to, 4).await;
        let report = copy(&from, &to).await.unwrap();
        assert!(report.found >= 7 * 7, "it began anew: {report:?}");
        assert_eq!((report.found + report.copied, report.check.faults), (120, vec![]));
        assert_eq!(to.content().await, from.content().await);
    }
}

/// Views that were copied with the first chunks are older than the events that come with the last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_may_have_grown_when_the_copy_goes_on() {
    for (from, to) in [(Place::sqlite(), Place::postgres()), (Place::postgres(), Place::sqlite())] {
        let mut orders = from.fill().await;
        copy_some(&from, &to, 15).await;
        let store = from.open().await;
        for order in &mut orders {
            store.append(order.pay(1)).await.unwrap();
        }
        drop(store);
        let report = copy(&from, &to).await.unwrap();
        assert_eq!((report.check.events, report.check.faults), (160, vec![]));
        assert_eq!(to.content().await, from.content().await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_complete_may_be_run_again() {
    for (from, to) in [(Place::sqlite(), Place::postgres()), (Place::postgres(), Place::sqlite())] {
        from.fill().await;
        copy(&from, &to).await.unwrap();
        let report = copy(&from, &to).await.unwrap();
        assert_eq!((report.copied, report.found), (0, 120));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_store_can_be_copied() {
    for (from, to) in [(Place::sqlite(), Place::postgres()), (Place::postgres(), Place::sqlite())] {
        drop(from.open().await);
        let report = copy(&from, &to).await.unwrap();
        assert_eq!((report.copied, report.check.events), (0, 0));
        to.fill().await;
    }
}

/// What it has taken by then is the beginning of what it takes when the server is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_in_service_is_copied_once_its_server_pauses() {
    for to in [Place::sqlite(), Place::postgres()] {
        let from = Place::sqlite();
        let mut server = OtherProcess::serves(from.path());
        server.wait_for(400);
        copy_some(&from, &to, 3).await;
        let reached = server.wait_for(2_000);
        server.pause();
        let report = copy(&from, &to).await.unwrap();
        assert!(report.found > 0 && report.found + report.copied >= reached, "{report:?}");
        assert_eq!(report.check.faults, [""; 0]);
        server.kill();
        // What it was just committing when it paused may be there afterwards.
        let (copied, original) = (to.content().await.events, from.content().await.events);
        assert!(copied.len() as u64 >= reached && original.starts_with(&copied), "{}", copied.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_makes_its_own_views_whatever_became_of_the_sources() {
    let from = Place::postgres();
    from.fill().await;
    let original = from.content().await;
    for damage in [
        "UPDATE order_service.log SET outdated_from = 1",
        "UPDATE order_service.log SET projection = 99",
        "UPDATE order_service.orders SET total_cents = 1, version = 1; DELETE FROM order_service.orders WHERE key < 9",
    ] {
        sql(from.url(), damage).await;
        for to in [Place::sqlite(), Place::postgres()] {
            copy(&from, &to).await.unwrap();
            assert_eq!(to.content().await, original, "{damage}");
        }
    }
}

/// A run may have ended when it had made the views, and not yet said that the copy is finished.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_of_an_unfinished_copy_are_made_anew() {
    let (from, to) = (Place::sqlite(), Place::postgres());
    from.fill().await;
    copy(&from, &to).await.unwrap();
    let unfinished = "UPDATE order_service.log SET state = 'copying'; \
                      UPDATE order_service.orders SET key = key + 1000 WHERE key > 60";
    sql(to.url(), unfinished).await;
    copy(&from, &to).await.unwrap();
    assert_eq!(to.content().await, from.content().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_to_what_a_newer_release_has_opened_tells_that_release_to_make_views_anew() {
    let (from, to) = (Place::sqlite(), Place::postgres());
    from.fill().await;
    PostgresStore::migrate(to.url()).await.unwrap();
    sql(to.url(), "UPDATE order_service.log SET projection = 99").await;
    copy(&from, &to).await.unwrap();
    sql(
        to.url(),
        "DO $$ BEGIN ASSERT (SELECT projection = 99 AND outdated_from = 1 FROM order_service.log); END $$",
    )
    .await;
}

/// Views of a source in service are newer than the events that are copied with them; in the end all is level.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_in_service_is_copied_once_it_pauses() {
    let (from, to) = (Place::postgres(), Place::postgres());
    let mut orders = from.fill().await;
    let store = from.open().await;
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for order in &mut orders {
                store.append(order.pay(1)).await.unwrap();
                store.append(TestOrder::new(&format!("{}-more", order.id)).place()).await.unwrap();
            }
            orders
        }
    });
    let first = copy(&from, &to).await;
    assert!(matches!(first, Ok(_) | Err(CopyError::SourceGrows)), "{first:?}");
    let orders = writer.await.unwrap();
    if first.is_err() {
        copy(&from, &to).await.unwrap();
        assert_eq!(to.content().await, from.content().await);
    }
    let summary: Option<OrderSummary> = store.one(&orders[0].id).await.unwrap();
    assert_eq!(summary.unwrap().version, Version(5));
}

fn at(position: u64, evidence: Option<&str>) -> Checkpoint {
    Checkpoint { position: Position(position), evidence: evidence.map(Box::from) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_are_copied_and_leases_are_not() {
    for (from, to) in [
        (Place::sqlite(), Place::postgres()),
        (Place::postgres(), Place::sqlite()),
        (Place::postgres(), Place::postgres()),
        (Place::sqlite(), Place::sqlite()),
    ] {
        from.fill().await;
        from.save("kafka", &at(5, Some("early"))).await;
        copy_some(&from, &to, 3).await;
        let long = "{\"\u{1F4E6}\": '\n'}".repeat(10_000);
        let saved = [("kafka", at(120, Some(&long))), ("nats", at(0, None)), ("", at(7, Some("")))];
        for (name, checkpoint) in &saved {
            from.save(name, checkpoint).await;
        }
        take(&*from.checkpoints().await, "never saved", "me").await;
        copy(&from, &to).await.unwrap();

        let copied = to.checkpoints().await;
        for (name, checkpoint) in &saved {
            assert_eq!(copied.load(name).await, Ok(Some(checkpoint.clone())));
            assert_eq!(from.checkpoints().await.load(name).await, Ok(Some(checkpoint.clone())));
            let claim = copied.claim(name, "somebody else", None).await;
            assert!(matches!(claim, Ok(Claim::Granted(_))), "{claim:?}");
        }
        assert_eq!(copied.load("never saved").await, Ok(None));
    }
}

/// Followers of the copy may have gone on since, while no order was placed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_of_a_finished_copy_are_left_alone() {
    for (from, to) in [(Place::sqlite(), Place::postgres()), (Place::postgres(), Place::sqlite())] {
        from.fill().await;
        from.save("kafka", &at(5, None)).await;
        copy(&from, &to).await.unwrap();
        to.save("kafka", &at(120, Some("of the copy"))).await;
        copy(&from, &to).await.unwrap();
        assert_eq!(to.checkpoints().await.load("kafka").await, Ok(Some(at(120, Some("of the copy")))));
    }
}
