//! The default store: SQLite, with the log first and disposable views behind it.
//!
//! * **The log** (`orders.db`) is the truth. The path to an acknowledgement only appends to it, in sequence, in one
//!   thread, many appends to a transaction ([`writer`], [`log`]).
//! * **The views** (`orders.views.N.db`) are derived from it: the index of orders and the rows of lists. They are written
//!   behind the log in large sorted batches ([`view_writer`], [`views`]) and may be deleted at any time.
//! * **The overlay** holds in memory what the views do not have yet ([`views::overlay`]). Reads look there first, so that no
//!   answer is ever behind an acknowledged append.
//!
//! Why: an index over random ids, updated in the path to an acknowledgement, costs a page write for every order. Sorted
//! batches share pages between orders, and nobody waits for them.

mod connection;
mod copy;
mod disk_space;
mod file_watcher;
mod log;
mod log_path;
mod loss;
mod outside;
#[cfg(feature = "planted-faults")]
mod planted_faults;
mod ports;
mod readers;
mod rebuild;
mod rebuild_requests;
mod state;
mod store_lock;
mod threads;
mod verify;
mod view_writer;
mod views;
mod wal_format;
mod watched_files;
mod watched_wal;
mod writer;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use order_application::figures::WritingFigures;
use order_application::{EventBus, ViewsProgress, ViewsState, ViewsStatus};

use crate::DEFAULT_QUEUE_WAIT;
use crate::rebuild_report::RebuildReport;
use crate::sqlite_error::SqliteError;
use file_watcher::FileWatcher;
use log::{Log, LogKind, accepted_losses};
use rebuild::build::BuildProgress;
use rebuild::catch_up::CaughtUp;
use rebuild::folding::OnUnreadable;
use rebuild::opening;
use state::{StoreHealth, StoreState};
use store_lock::StoreLock;
use threads::StoreThread;
use view_writer::work::ViewWriterWork;
use views::files;
use views::known_keys::KnownKeys;
use views::known_orders::KnownOrders;
use watched_files::WatchedFiles;
use writer::LogWriter;

pub(crate) use connection::companion;
pub(crate) use copy::{SqliteSource, SqliteTarget};
#[cfg(feature = "planted-faults")]
pub(crate) use log::migrations::LogMigration;
pub(crate) use log::outside_reader::SqliteLogReader;
pub use loss::Loss;
#[cfg(feature = "planted-faults")]
pub(crate) use planted_faults::is_planted;
pub(crate) use threads::blocking;
pub(crate) use views::files::{directory, is_of_views};

/// Bounds of the store. The defaults fit a process of 256 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteLimits {
    /// Most appends that wait for the writer.
    pub queued_appends: usize,
    /// Most bytes of event data that wait for the writer.
    pub queued_bytes: usize,
    /// How long an append waits for the writer at most; then it is refused, and never written.
    pub queue_wait: Duration,
    /// Bytes of changes in the overlay, about, that start a write to the views. The more orders are written together, the
    /// more of them share a page of the index.
    pub view_batch_bytes: usize,
    /// Most bytes of changes in the overlay, about, beyond those that are being written; then commands are shed.
    pub overlay_bytes: usize,
    /// Pages in the log's write-ahead log that make the writer finish a checkpoint.
    pub wal_pages: u64,
    /// Bytes, about, that views take beside the page caches while they are rebuilt.
    pub rebuild_bytes: usize,
}

impl Default for SqliteLimits {
    fn default() -> Self {
        Self {
            queued_appends: 8_192,
            queued_bytes: 16 * 1024 * 1024,
            queue_wait: DEFAULT_QUEUE_WAIT,
            view_batch_bytes: 20 * 1024 * 1024,
            overlay_bytes: 60 * 1024 * 1024,
            wal_pages: 2_048,
            rebuild_bytes: 32 * 1024 * 1024,
        }
    }
}

/// What may be done to open a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenMode {
    /// Where there is none, one is made.
    pub create: bool,
    /// One is opened from which acknowledged events are missing, as something still knows (see [`Loss`]). What knows of them
    /// then gives way.
    pub accept_loss: bool,
}

impl OpenMode {
    /// For whoever serves.
    pub const CREATE: Self = Self { create: true, accept_loss: false };
    /// For whoever does something with a store that is there.
    pub const EXISTING: Self = Self { create: false, accept_loss: false };
}

/// Orders in SQLite files.
pub struct SqliteStore {
    shared: Arc<StoreState>,
    writer: LogWriter,
    view_writer: StoreThread,
    rebuilder: StoreThread,
    file_watcher: FileWatcher,
    is_replica: bool,
    /// Held to the end: it keeps other servers off the files.
    _lock: StoreLock,
}

impl SqliteStore {
    /// Opens the log at `path`, creating it if it is not there, and brings the views up to it. If views have to be built
    /// first, `progress` is told how far they are.
    ///
    /// Blocks while the views catch up: at most a batch after a crash, the whole log when the views were deleted. Must be
    /// called on a tokio runtime, which then hands out the answers to appends.
    ///
    /// # Errors
    /// See [`SqliteError`].
    pub fn open(
        path: &Path,
        bus: Arc<dyn EventBus>,
        limits: SqliteLimits,
        progress: &ViewsProgress,
    ) -> Result<Self, SqliteError> {
        Self::open_as(path, bus, limits, progress, OpenMode::CREATE)
    }

    /// The same, with what may be done for it.
    ///
    /// # Errors
    /// See [`SqliteError`].
    pub fn open_as(
        path: &Path,
        bus: Arc<dyn EventBus>,
        limits: SqliteLimits,
        progress: &ViewsProgress,
        mode: OpenMode,
    ) -> Result<Self, SqliteError> {
        Self::open_kind(path, bus, limits, (LogKind::Store, mode), progress)
    }

    /// Opens a replica's store as [`open`](Self::open) does any other. It takes no commands, only what
    /// [`replicate`](order_application::ReplicaStore::replicate) brings. Its file says that it is a replica's.
    ///
    /// # Errors
    /// See [`SqliteError`].
    pub fn open_replica(
        path: &Path,
        bus: Arc<dyn EventBus>,
        limits: SqliteLimits,
        progress: &ViewsProgress,
    ) -> Result<Self, SqliteError> {
        Self::open_kind(path, bus, limits, (LogKind::Replica, OpenMode::CREATE), progress)
    }

    fn open_kind(
        path: &Path,
        bus: Arc<dyn EventBus>,
        limits: SqliteLimits,
        (kind, mode): (LogKind, OpenMode),
        progress: &ViewsProgress,
    ) -> Result<Self, SqliteError> {
        let lock = StoreLock::take(path, mode)?;
        let log = Log::open(path, &[kind], mode)?;
        let mut tell = |done, total| {
            let (done, total) = (Some(done), Some(total));
            progress.tell(ViewsStatus { state: ViewsState::Rebuilding, detail: None, done, total });
            ControlFlow::Continue(())
        };
        let CaughtUp { views, readers } = if mode.accept_loss {
            open_what_is_left(&log, &limits, &mut tell)?
        } else {
            opening::open_views(&log, &limits, false, &mut tell)?
        };
        log.forget_losses_beyond_end().map_err(SqliteError::sqlite(path))?;
        let known_orders = KnownOrders::new(readers.hash_seed);
        let known_keys = KnownKeys::new(readers.hash_seed, &views.progress().receipts);
        let (stopped, _) = tokio::sync::watch::channel(None);
        let (view_work, work) = std::sync::mpsc::sync_channel(1);
        let health = StoreHealth { stopped, log_damage: readers.log.damage() };
        let log_end = log.end()?;
        let watched_files = WatchedFiles::of(path, lock.log_file())?;
        let shared = Arc::new(StoreState {
            limits,
            log_path: path.to_owned(),
            known_orders,
            known_keys,
            readers,
            log_identity: log.identity(),
            log_end: AtomicU64::new(log_end.0),
            view_work,
            health,
            writing: WritingFigures::default(),
            watched_files,
        });

        let view_writer = view_writer::start(Arc::clone(&shared), work, views)?;
        let has_more = accepted_losses::has_more_than_newest(log.connection());
        let looks_at_receipts = has_more.map_err(SqliteError::sqlite(path))?;
        let writer = LogWriter::start(Arc::clone(&shared), log, bus)?;
        let rebuilder = rebuild::start(Arc::clone(&shared), looks_at_receipts)?;
        let file_watcher = FileWatcher::start(Arc::clone(&shared))?;
        let is_replica = kind == LogKind::Replica;
        Ok(Self { shared, writer, view_writer, rebuilder, file_watcher, is_replica, _lock: lock })
    }

    /// Rebuilds all views of the store at `path`, with the server stopped. `progress` is told events done and events in
    /// all.
    ///
    /// # Errors
    /// See [`SqliteError`]. An event that cannot be read is one where there are views, which then stay; without any, its order
    /// alone is refused.
    pub fn rebuild(path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<RebuildReport, SqliteError> {
        let _lock = StoreLock::take(path, OpenMode::EXISTING)?;
        let log = Log::open(path, &[LogKind::Store, LogKind::Replica], OpenMode::EXISTING)?;
        let mut progress = |done, total| {
            progress(done, total);
            ControlFlow::Continue(())
        };
        let memory = SqliteLimits::default().rebuild_bytes;
        let has_views = !files::numbers(path)?.is_empty();
        let unreadable = if has_views { OnUnreadable::GiveUp } else { OnUnreadable::Quarantine };
        let report = opening::build_all(&log, unreadable, memory, &mut progress)?.report;
        log.note_wal_end();
        Ok(report)
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
        self.file_watcher.stop();
        // First those who may be waiting for the others.
        self.shared.readers.rebuilds.finish();
        self.rebuilder.join();
        self.writer.finish();
        // It is not there any more if it has stopped.
        let _ = self.shared.view_work.send(ViewWriterWork::Finish);
        self.view_writer.join();
        self.shared.readers.close();
        self.shared.watched_files.close();
    }
}

/// Followers that have gone beyond the end of a log whose loss is accepted would never go on.
fn forget_lost_checkpoints(log: &Log) -> Result<(), SqliteError> {
    let forgotten = log.forget_checkpoints_after(log.end()?).map_err(SqliteError::sqlite(log.path()))?;
    if forgotten > 0 {
        tracing::warn!(checkpoints = forgotten, "checkpoints beyond the end of the log are forgotten");
    }
    Ok(())
}

/// Opens views whatever the log has lost. What is missing in the middle is told once, and not again at each start.
fn open_what_is_left(
    log: &Log,
    limits: &SqliteLimits,
    tell: BuildProgress<'_>,
) -> Result<CaughtUp, SqliteError> {
    tracing::warn!(
        "--accept-loss is set: leave it out once the store is as it should be, or the next loss is accepted, too"
    );
    let caught_up = log.with_losses_accepted(|gaps| {
        let caught_up = opening::open_views(log, limits, true, tell)?;
        if gaps > 0 {
            tracing::warn!(
                gaps,
                "what is missing in the middle of the log, or of its receipts, is told no more"
            );
        }
        Ok(caught_up)
    })?;
    forget_lost_checkpoints(log)?;
    Ok(caught_up)
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close();
    }
}
