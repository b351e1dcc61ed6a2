//! The default store: SQLite, with the log first and disposable views behind it.
//!
//! * **The log** (`orders.db`) is the truth. The path to an acknowledgement only appends to it, in sequence, in one
//!   thread, many appends to a transaction ([`writer`], [`log`]).
//! * **The views** (`orders.views.N.db`) are derived from it: the index of orders and the rows of lists. They are written
//!   behind the log in large sorted batches ([`view_writer`], [`views`]) and may be deleted at any time.
//! * **The overlay** holds in memory what the views do not have yet ([`overlay`]). Reads look there first, so that no
//!   answer is ever behind an acknowledged append.
//!
//! Why: an index over random ids, updated in the path to an acknowledgement, costs a page write for every order. Sorted
//! batches share pages between orders, and nobody waits for them.

mod build;
mod catch_up;
mod checkpointer;
mod checkpoints;
mod connection;
mod copy;
mod known_orders;
mod log;
mod log_reader;
mod opening;
mod overlay;
#[cfg(feature = "planted-faults")]
mod planted_faults;
mod pool;
mod queue;
mod readers;
mod rebuild;
mod rebuilds;
mod replica;
mod row;
mod space;
mod verify;
mod view_writer;
mod views;
mod writer;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use order_application::{
    Append, AppendError, EventBus, EventLog, ListQuery, OrderPage, OrderSummary, OrderView, OrderViews,
    PageLimit, Position, RecordedEvent, StoreError, Version, ViewRepair, ViewsProgress, ViewsState,
    ViewsStatus,
};
use order_domain::OrderId;

use build::OnUnreadable;
use catch_up::CaughtUp;
use connection::DirectoryLock;
use known_orders::{Filling, KnownOrders};
use log::{Log, LogKind};
use opening::OpenedViews;
use overlay::Overlay;
use readers::Readers;
use rebuild::Rebuilder;
use rebuilds::Rebuilds;
use uuid::Uuid;

use crate::rebuild_report::RebuildReport;
use crate::replication::takes_no_commands;

pub use connection::OpenError;
pub(crate) use copy::{SqliteSource, SqliteTarget};
#[cfg(feature = "planted-faults")]
pub(crate) use log::migrations::Migration as LogMigration;
pub(crate) use log_reader::SqliteLogReader;

/// Bounds of the store. The defaults fit a process of 256 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteLimits {
    /// Most appends that wait for the writer.
    pub queued_appends: usize,
    /// Most bytes of event data that wait for the writer.
    pub queued_bytes: usize,
    /// Bytes of changes in the overlay, about, that start a write to the views. The more orders are written together, the
    /// more of them share a page of the index.
    pub view_batch_bytes: usize,
    /// Most bytes of changes in the overlay, about, beyond those that are being written; then commands are shed.
    pub overlay_bytes: usize,
    /// Pages in the log's write-ahead log that make the writer finish a checkpoint.
    pub wal_pages: u64,
    /// Bytes, about, that views take beside the page caches while they are made anew.
    pub rebuild_bytes: usize,
}

impl Default for SqliteLimits {
    fn default() -> Self {
        Self {
            queued_appends: 8_192,
            queued_bytes: 16 * 1024 * 1024,
            view_batch_bytes: 20 * 1024 * 1024,
            overlay_bytes: 60 * 1024 * 1024,
            wal_pages: 2_048,
            rebuild_bytes: 32 * 1024 * 1024,
        }
    }
}

/// Orders in SQLite files.
pub struct SqliteStore {
    shared: Arc<Shared>,
    writer: writer::Writer,
    view_writer: view_writer::ViewWriter,
    checkpointer: checkpointer::Checkpointer,
    rebuilder: Rebuilder,
    filling: Filling,
    is_replica: bool,
    /// Held to the end: it keeps other servers off the files.
    _lock: DirectoryLock,
}

/// What the store's threads and its readers share.
struct Shared {
    limits: SqliteLimits,
    overlay: Overlay,
    known_orders: KnownOrders,
    readers: Readers,
    rebuilds: Arc<Rebuilds>,
    /// What tells the log from every other.
    log_identity: Uuid,
    /// The position that reads may go up to: everything below is in the log *and* in the overlay or the views.
    head: AtomicU64,
    health: Health,
}

impl Shared {
    fn head(&self) -> Position {
        Position(self.head.load(Ordering::Acquire))
    }
}

/// Whether the store has stopped for good, and why.
struct Health {
    stopped: tokio::sync::watch::Sender<Option<String>>,
}

impl Health {
    fn stop(&self, why: String) {
        tracing::error!(reason = %why, "the store has stopped for good");
        self.stopped.send_if_modified(|stopped| {
            let first = stopped.is_none();
            stopped.get_or_insert(why);
            first
        });
    }

    fn check(&self) -> Result<(), StoreError> {
        match &*self.stopped.borrow() {
            Some(why) => Err(StoreError::Unavailable(why.clone())),
            None => Ok(()),
        }
    }
}

impl SqliteStore {
    /// Opens the log at `path`, creating it if it is not there, and brings the views up to it.
    ///
    /// Blocks while the views catch up: at most a batch after a crash, the whole log when the views were deleted. Must be
    /// called on a tokio runtime, which then hands out the answers to appends.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path, bus: Arc<dyn EventBus>, limits: SqliteLimits) -> Result<Self, OpenError> {
        Self::open_kind(path, bus, limits, LogKind::Store, &ViewsProgress::default())
    }

    /// The same; if views have to be built first, `progress` is told how far they are.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_telling(
        path: &Path,
        bus: Arc<dyn EventBus>,
        limits: SqliteLimits,
        progress: &ViewsProgress,
    ) -> Result<Self, OpenError> {
        Self::open_kind(path, bus, limits, LogKind::Store, progress)
    }

    /// Opens a replica's store as [`open`](Self::open) does any other. It takes no commands, only what
    /// [`replicate`](order_application::ReplicaStore::replicate) brings. Its file says that it is a replica's.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_replica(
        path: &Path,
        bus: Arc<dyn EventBus>,
        limits: SqliteLimits,
    ) -> Result<Self, OpenError> {
        Self::open_kind(path, bus, limits, LogKind::Replica, &ViewsProgress::default())
    }

    /// The same; if views have to be built first, `progress` is told how far they are.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_replica_telling(
        path: &Path,
        bus: Arc<dyn EventBus>,
        limits: SqliteLimits,
        progress: &ViewsProgress,
    ) -> Result<Self, OpenError> {
        Self::open_kind(path, bus, limits, LogKind::Replica, progress)
    }

    fn open_kind(
        path: &Path,
        bus: Arc<dyn EventBus>,
        limits: SqliteLimits,
        kind: LogKind,
        progress: &ViewsProgress,
    ) -> Result<Self, OpenError> {
        let lock = DirectoryLock::take(path)?;
        let log = Log::open(path, &[kind])?;
        let opened = opening::open_views(&log, &limits, &mut |done, total| {
            let (done, total) = (Some(done), Some(total));
            progress.tell(ViewsStatus { state: ViewsState::Rebuilding, detail: None, done, total });
            ControlFlow::Continue(())
        })?;
        let OpenedViews { end, caught_up: CaughtUp { views, overlay, readers }, rebuilds } = opened;
        let known_orders = KnownOrders::new(readers.hash_seed());
        let (stopped, _) = tokio::sync::watch::channel(None);
        let shared = Arc::new(Shared {
            limits,
            overlay,
            known_orders,
            readers,
            rebuilds,
            log_identity: log.identity(),
            head: AtomicU64::new(end.0),
            health: Health { stopped },
        });

        let view_writer = view_writer::ViewWriter::start(Arc::clone(&shared), path, views)?;
        let checkpointer = checkpointer::Checkpointer::start(Arc::clone(&shared), path)?;
        let writer = writer::Writer::start(
            Arc::clone(&shared),
            log,
            bus,
            view_writer.signal(),
            checkpointer.signal(),
        )?;
        let rebuilder = Rebuilder::start(Arc::clone(&shared), path, view_writer.signal())?;
        let filling = Filling::start(Arc::clone(&shared))?;
        let is_replica = kind == LogKind::Replica;
        Ok(Self { shared, writer, view_writer, checkpointer, rebuilder, filling, is_replica, _lock: lock })
    }

    /// Makes all views of the store at `path` anew, with the server stopped. `progress` is told events done and events in
    /// all.
    ///
    /// # Errors
    /// See [`OpenError`]. An event that cannot be read is one where there are views, which then stay; without any, its order
    /// alone is refused.
    pub fn rebuild(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<RebuildReport, OpenError> {
        if !path.exists() {
            return Err(OpenError::missing(path));
        }
        let _lock = DirectoryLock::take(path)?;
        let log = Log::open(path, &[LogKind::Store, LogKind::Replica])?;
        let mut progress = |done, total| {
            progress(done, total);
            ControlFlow::Continue(())
        };
        let memory = SqliteLimits::default().rebuild_bytes;
        let has_views = !views::files::numbers(path)?.is_empty();
        let unreadable = if has_views { OnUnreadable::GiveUp } else { OnUnreadable::Quarantine };
        let (views, built) = opening::build_anew(&log, unreadable, memory, &mut progress)?;
        let events = views.progress().position.0;
        Ok(RebuildReport { events, orders: built.orders, unreadable: built.unreadable })
    }

    /// Waits until the store has stopped for good (a failed write or fsync), and says why.
    pub async fn stopped(&self) -> String {
        let mut stopped = self.shared.health.stopped.subscribe();
        match stopped.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => unreachable!("invariant: the sender lives as long as the store"),
        }
    }

    /// Finishes what is queued, writes the views and closes the files. Appends that come later are refused.
    pub fn close(&self) {
        // First those who may be waiting for the others.
        self.rebuilder.finish();
        self.filling.finish();
        self.writer.finish();
        self.view_writer.finish();
        self.checkpointer.finish();
        self.shared.readers.close();
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close();
    }
}

#[async_trait]
impl EventLog for SqliteStore {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        if self.is_replica {
            return Err(takes_no_commands());
        }
        self.shared.health.check()?;
        #[cfg(feature = "planted-faults")]
        let append = crate::planted_release::write(append);
        let outcome = self.writer.submit(append)?;
        // The writer answers every append that it took, unless it died half-way.
        outcome.await.unwrap_or_else(|_| Err(StoreError::OutcomeUnknown(WRITER_ENDED.to_owned()).into()))
    }

    async fn read_stream(
        &self,
        order_id: &OrderId,
        after: Version,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let positions =
            self.shared.readers.stream_positions(&self.shared.overlay, order_id, after, limit.events)?;
        if positions.len() <= MAX_INLINE_ROWS {
            return self.shared.readers.events_at(order_id, &positions, limit.bytes);
        }
        let (shared, order_id) = (Arc::clone(&self.shared), order_id.clone());
        blocking(move || shared.readers.events_at(&order_id, &positions, limit.bytes)).await
    }

    async fn read_log(&self, after: Position, limit: PageLimit) -> Result<Vec<RecordedEvent>, StoreError> {
        let head = self.shared.head();
        if after >= head {
            return Ok(Vec::new());
        }
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.readers.log_page(after, head, limit)).await
    }

    async fn end(&self) -> Result<Position, StoreError> {
        Ok(self.shared.head())
    }

    async fn version(&self, order_id: &OrderId) -> Result<Version, StoreError> {
        let head = self.shared.readers.order_head(&self.shared.overlay, order_id)?;
        Ok(head.map_or(Version::NONE, |head| head.version))
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.shared.health.check()
    }
}

#[async_trait]
impl OrderViews for SqliteStore {
    async fn one(&self, order_id: &OrderId) -> Result<Option<OrderSummary>, StoreError> {
        self.shared.readers.view(&self.shared.overlay, order_id)?.map(OrderView::into_summary).transpose()
    }

    async fn many(&self, query: &ListQuery) -> Result<OrderPage, StoreError> {
        let (shared, query) = (Arc::clone(&self.shared), *query);
        blocking(move || shared.readers.list(&shared.overlay, &query)).await
    }
}

#[async_trait]
impl ViewRepair for SqliteStore {
    /// All views are made anew: the damage that was found is seldom all that there is.
    async fn mend(&self, _: &[OrderId], _: &[Position], why: &str) -> Result<(), StoreError> {
        self.shared.rebuilds.want(why, true);
        Ok(())
    }

    fn views(&self) -> ViewsStatus {
        self.shared.rebuilds.status()
    }
}

/// What is said of a job that the writer did not come to answer.
const WRITER_ENDED: &str = "the store's writer ended";

/// Rows that are read on the caller's thread. A look-up of a few pages that are most likely in memory is cheaper than
/// handing it to another thread; a scan is not.
const MAX_INLINE_ROWS: usize = 32;

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(read)
        .await
        .unwrap_or_else(|e| Err(StoreError::Unavailable(format!("a read ended early: {e}"))))
}
