//! What the threads of an open store and its readers share.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, OnceLock};

use order_application::figures::WritingFigures;
use order_application::{Position, StoreError};
use rusqlite::Connection;
use uuid::Uuid;

use crate::sqlite::SqliteLimits;
use crate::sqlite::connection::leave_alone_when_closed;
use crate::sqlite::readers::Readers;
use crate::sqlite::view_writer::work::ViewWriterWork;
use crate::sqlite::views::known_keys::KnownKeys;
use crate::sqlite::views::known_orders::KnownOrders;
use crate::sqlite::watched_files::WatchedFiles;

/// One for each open store.
pub(crate) struct StoreState {
    pub(crate) limits: SqliteLimits,
    pub(crate) log_path: PathBuf,
    pub(crate) known_orders: KnownOrders,
    pub(crate) known_keys: KnownKeys,
    pub(crate) readers: Readers,
    /// What tells the log from every other.
    pub(crate) log_identity: Uuid,
    /// The position that reads may go up to: everything below is in the log *and* in the overlay or the views.
    pub(crate) log_end: AtomicU64,
    /// The way to the view writer, with room for one thing to do.
    pub(crate) view_work: SyncSender<ViewWriterWork>,
    pub(crate) health: StoreHealth,
    pub(crate) writing: WritingFigures,
    /// Dropped after all that has connections to them.
    pub(crate) watched_files: WatchedFiles,
}

impl StoreState {
    pub(crate) fn log_end(&self) -> Position {
        Position(self.log_end.load(Ordering::Acquire))
    }

    /// Looks at the log's files. Unless they are what they were and more, nothing is to be copied from one to another.
    pub(crate) fn has_sound_files(&self) -> bool {
        let damage = &self.health.log_damage;
        if !damage.is_found()
            && let Some(what) = self.watched_files.lost()
        {
            // The views may soon be all that knows of the last events. What it is doing already is that, or ends with it.
            let _ = self.view_work.try_send(ViewWriterWork::Flush);
            damage.found(what);
        }
        !damage.is_found()
    }
}

/// Whether the store has stopped for good, or takes no commands any more, and why.
pub(crate) struct StoreHealth {
    pub(crate) stopped: tokio::sync::watch::Sender<Option<String>>,
    pub(crate) log_damage: Arc<LogDamage>,
}

impl StoreHealth {
    pub(crate) fn stop(&self, why: String) {
        tracing::error!(reason = %why, "the store has stopped for good");
        self.stopped.send_if_modified(|stopped| {
            let first = stopped.is_none();
            stopped.get_or_insert(why);
            first
        });
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        match &*self.stopped.borrow() {
            Some(why) => Err(StoreError::Unavailable(why.clone())),
            None => self.log_damage.check(),
        }
    }
}

/// Whether the log's files turned out to be none that may be written to: a page is malformed, or a file has gone. Whatever
/// can be read is served on, so that it can be seen what there is.
///
/// From then on no page is copied into the log's file, which may be somebody else's by now, and the write-ahead log stays.
#[derive(Default)]
pub(crate) struct LogDamage(OnceLock<String>);

impl LogDamage {
    /// Tells of damage; what comes after the first is told to nobody.
    pub(crate) fn found(&self, what: String) {
        if self.0.set(what.clone()).is_ok() {
            tracing::error!(
                what,
                "the log is damaged; no command is taken any more: stop the service, and run `order-service verify` \
                 (docs/OPERATIONS.md, When verify finds faults)"
            );
        }
    }

    pub(crate) fn is_found(&self) -> bool {
        self.0.get().is_some()
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.0.get().map_or(Ok(()), |what| Err(StoreError::Corrupt(what.clone())))
    }
}

/// A connection to the log that knows, when it is closed, whether the log was found damaged.
pub(crate) struct LogConnection {
    connection: Connection,
    damage: Arc<LogDamage>,
}

impl LogConnection {
    pub(crate) fn new(connection: Connection, damage: &Arc<LogDamage>) -> Self {
        Self { connection, damage: Arc::clone(damage) }
    }
}

impl Deref for LogConnection {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for LogConnection {
    fn drop(&mut self) {
        if self.damage.is_found()
            && let Err(error) = leave_alone_when_closed(&self.connection)
        {
            tracing::warn!(%error, "the write-ahead log may be copied into the damaged log");
        }
    }
}
