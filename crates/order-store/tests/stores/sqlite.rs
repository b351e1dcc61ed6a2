use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use order_application::{Checkpoints, EventBus, ViewRepair, ViewsProgress, ViewsState};
use order_store::{Loss, OpenMode, SqliteError, SqliteLimits, SqliteStore};
use tempfile::TempDir;

use crate::contract::{Fixture, ReplicaFixture, Store, StoreOfReplica, bus, contract_suite, replica_suite};

/// Views are written every few orders, so that every test meets the overlay, a batch on its way, and the file.
pub(crate) const SMALL_BATCHES: SqliteLimits = SqliteLimits {
    queued_appends: 8_192,
    queued_bytes: 16 * 1024 * 1024,
    // Tests share a machine, and none of theirs is to be refused for that.
    queue_wait: PATIENCE,
    view_batch_bytes: 2_500,
    overlay_bytes: 60 * 1024 * 1024,
    wal_pages: 64,
    rebuild_bytes: 20_000,
};

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the views are whole and current; `what` was wrong with them is told if they never are.
pub(crate) async fn rebuilt(store: &SqliteStore, what: &str) {
    let start = Instant::now();
    while store.views().state != ViewsState::Current {
        assert!(start.elapsed() < PATIENCE, "{what}: {:?}", store.views());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until the views in a file have turned out damaged, which is noticed in its own time, and others are served.
pub(crate) async fn replaced(store: &SqliteStore, views: &Path, what: &str) {
    let start = Instant::now();
    while views.exists() {
        assert!(start.elapsed() < PATIENCE, "{what}: {:?}", store.views());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    rebuilt(store, what).await;
}

/// What keeps a store from being opened.
pub(crate) fn losses(log: &Path) -> Vec<Loss> {
    match SqliteStore::open(log, bus(), SMALL_BATCHES, &ViewsProgress::default()) {
        Err(SqliteError::Lost { losses, .. }) => losses,
        Err(error) => panic!("refused for another reason: {error}"),
        Ok(_) => panic!("it was opened"),
    }
}

/// Opens a store for whoever knows that it has lost something.
pub(crate) fn open_with_loss(log: &Path) -> Result<SqliteStore, SqliteError> {
    let mode = OpenMode { accept_loss: true, ..OpenMode::CREATE };
    SqliteStore::open_as(log, bus(), SMALL_BATCHES, &ViewsProgress::default(), mode)
}

struct Sqlite {
    directory: TempDir,
    store: Arc<SqliteStore>,
}

impl Sqlite {
    fn path(directory: &TempDir) -> PathBuf {
        directory.path().join("orders.db")
    }

    fn open_in(directory: TempDir, bus: Arc<dyn EventBus>, limits: SqliteLimits) -> Self {
        let store = SqliteStore::open(&Self::path(&directory), bus, limits, &ViewsProgress::default());
        Self { directory, store: Arc::new(store.unwrap()) }
    }
}

impl Fixture for Sqlite {
    fn open(bus: Arc<dyn EventBus>) -> Self {
        Self::open_in(tempfile::tempdir().unwrap(), bus, SMALL_BATCHES)
    }

    fn open_without_queue_wait() -> Self {
        let limits = SqliteLimits { queue_wait: Duration::ZERO, ..SMALL_BATCHES };
        Self::open_in(tempfile::tempdir().unwrap(), bus(), limits)
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    fn checkpoints(&self) -> Arc<dyn Checkpoints> {
        self.store.clone()
    }

    fn reopen(self, bus: Arc<dyn EventBus>) -> Self {
        let Self { directory, store } = self;
        drop(store);
        Self::open_in(directory, bus, SMALL_BATCHES)
    }
}

contract_suite!(Sqlite);

/// The negative control of one rule. In some runs nothing waits too long, and the rule has nothing to look at.
#[cfg(feature = "planted-faults")]
#[test]
fn a_store_that_writes_what_it_has_refused_is_caught() {
    const MOST_RUNS: usize = 50;
    let rule = "sqlite::what_is_refused_because_it_waited_too_long_is_never_written";
    let mut runs = (0..MOST_RUNS).map(|_| {
        let mut run = std::process::Command::new(std::env::current_exe().unwrap());
        run.args(["--exact", rule]).env("ORDER_SERVICE_PLANTED_FAULT", "late-but-written");
        run.output().unwrap()
    });
    let caught = runs.find(|run| !run.status.success()).expect("the rule never noticed");
    let said = String::from_utf8_lossy(&caught.stdout).into_owned();
    assert!(said.contains("order-"), "{said}");
}

struct SqliteReplica {
    directory: TempDir,
    store: Arc<SqliteStore>,
}

fn open_replica(directory: TempDir, bus: Arc<dyn EventBus>) -> SqliteReplica {
    let store =
        SqliteStore::open_replica(&Sqlite::path(&directory), bus, SMALL_BATCHES, &ViewsProgress::default())
            .unwrap();
    SqliteReplica { directory, store: Arc::new(store) }
}

impl ReplicaFixture for SqliteReplica {
    fn open(bus: Arc<dyn EventBus>) -> Self {
        open_replica(tempfile::tempdir().unwrap(), bus)
    }

    fn store(&self) -> Arc<dyn StoreOfReplica> {
        self.store.clone()
    }

    fn reopen(self, bus: Arc<dyn EventBus>) -> Self {
        let Self { directory, store } = self;
        drop(store);
        open_replica(directory, bus)
    }

    fn ordinary() -> (Arc<dyn StoreOfReplica>, Option<TempDir>) {
        let Sqlite { directory, store } = <Sqlite as Fixture>::open(bus());
        (store, Some(directory))
    }
}

mod replica {
    super::replica_suite!(super::SqliteReplica);
}
