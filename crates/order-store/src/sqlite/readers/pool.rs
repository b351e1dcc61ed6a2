//! Idle connections for readers. There are as many as threads read at once, which the runtime bounds.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use order_application::StoreError;
use rusqlite::Connection;

use crate::sqlite::connection::{open_log_reader, open_reader};
use crate::sqlite::log::LogError;
use crate::sqlite::state::{LogConnection, LogDamage};
use crate::sqlite::views::overlay::FlushCount;
use crate::sqlite::views::{ViewsError, files};
use crate::sqlite_error::is_malformed;

/// Page caches of all kept connections to the views together. Upper levels of the indexes are always in there; how much of
/// the rest decides how many look-ups need the system's cache.
const VIEWS_CACHES_KIB: usize = 80 * 1024;
/// Page cache of one connection to the log, whose pages hardly ever are read twice.
const LOG_CACHE_KIB: u32 = 1024;

/// Connections that are kept for the next reader: one for each thread that looks up, and some for scans.
static MAX_IDLE: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(2, usize::from) + 2);

/// Connections to the log, each read in a transaction of its own.
pub(crate) struct LogPool {
    path: PathBuf,
    idle: Mutex<Vec<LogConnection>>,
    damage: Arc<LogDamage>,
}

impl LogPool {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::default(), damage: Arc::default() }
    }

    /// Where it is told that pages of the log are malformed.
    pub(crate) fn damage(&self) -> Arc<LogDamage> {
        Arc::clone(&self.damage)
    }

    /// Reads events or receipts. A page that is malformed is told: it may be one that the next command is written to.
    pub(crate) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, LogError>,
    ) -> Result<T, StoreError> {
        let answer = self.read(read);
        if let Err(LogError::Sqlite(error)) = &answer
            && is_malformed(error)
        {
            self.damage.found(format!("{}: {error}", self.path.display()));
        }
        Ok(answer?)
    }

    /// The same of checkpoints, on which no order depends.
    pub(crate) fn with_checkpoints<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        Ok(self.read(|log| Ok(read(log)?))?)
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> Result<T, LogError>) -> Result<T, LogError> {
        let idle = lock(&self.idle).pop();
        let open = || Ok(LogConnection::new(open_log_reader(&self.path, LOG_CACHE_KIB)?, &self.damage));
        let connection = idle.map_or_else(open, Ok::<_, LogError>)?;
        // A connection whose read failed is not kept.
        let answer = read(&connection)?;
        keep(&mut lock(&self.idle), connection);
        Ok(answer)
    }

    pub(crate) fn close(&self) {
        lock(&self.idle).clear();
    }
}

/// Connections to the views that hold on to their snapshot as long as it is new enough. To begin and end a transaction takes
/// two locks on the file, which is a third of a look-up.
pub(crate) struct ViewsSnapshots {
    log_path: PathBuf,
    state: Mutex<SnapshotsState>,
}

struct SnapshotsState {
    /// Of the file that is being read.
    number: u64,
    idle: Vec<Snapshot>,
    /// Snapshots from before this are of no use, and keep the write-ahead log from starting anew.
    oldest: Option<FlushCount>,
}

struct Snapshot {
    connection: Connection,
    /// Of the file.
    number: u64,
    /// The flushes that had ended when its transaction began; `None`: it has none.
    taken_after: Option<FlushCount>,
}

impl ViewsSnapshots {
    pub(crate) fn new(log_path: PathBuf, number: u64) -> Self {
        let state = SnapshotsState { number, idle: Vec::new(), oldest: None };
        Self { log_path, state: Mutex::new(state) }
    }

    /// Reads from a snapshot that was taken after so many flushes, or more. Answers with the number of the file, too.
    pub(crate) fn with<T>(
        &self,
        flushed: FlushCount,
        read: impl FnOnce(&Connection) -> Result<T, ViewsError>,
    ) -> (u64, Result<T, ViewsError>) {
        let idle = lock(&self.state).idle.pop();
        let (number, snapshot) = match idle {
            Some(snapshot) => (snapshot.number, Ok(snapshot)),
            None => self.open(),
        };
        let read = || {
            let mut snapshot = snapshot?;
            if snapshot.taken_after.is_none_or(|taken_after| taken_after < flushed) {
                snapshot.end()?;
                // The transaction takes its snapshot at its first read, which is later than the count.
                snapshot.connection.prepare_cached("BEGIN")?.execute(())?;
                snapshot.taken_after = Some(flushed);
            }
            let answer = read(&snapshot.connection)?;
            self.keep(snapshot)?;
            Ok(answer)
        };
        // A connection whose read failed is not kept.
        (number, read())
    }

    /// Opens the file that is being read, again if another takes its place meanwhile: the one before may be gone by then, or
    /// be there without its write-ahead log. Answers with its number, too.
    fn open(&self) -> (u64, rusqlite::Result<Snapshot>) {
        loop {
            let number = self.number();
            let path = files::path(&self.log_path, number);
            let opened = open_reader(&path, (VIEWS_CACHES_KIB / *MAX_IDLE) as u32).and_then(|connection| {
                // SQLite opens the write-ahead log at the first read.
                connection.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))?;
                Ok(Snapshot { connection, number, taken_after: None })
            });
            if self.number() == number {
                return (number, opened);
            }
        }
    }

    fn keep(&self, mut snapshot: Snapshot) -> rusqlite::Result<()> {
        let mut state = lock(&self.state);
        if snapshot.taken_after < state.oldest {
            drop(state);
            snapshot.end()?;
            state = lock(&self.state);
        }
        // Not that of a file whose place another has taken.
        if snapshot.number == state.number {
            keep(&mut state.idle, snapshot);
        }
        Ok(())
    }

    /// Reads from another file from now on. Whoever is reading finishes in the one before.
    pub(crate) fn replace(&self, number: u64) {
        let mut state = lock(&self.state);
        state.number = number;
        let idle = std::mem::take(&mut state.idle);
        drop(state);
        drop(idle);
    }

    /// The number of the file that is being read.
    pub(crate) fn number(&self) -> u64 {
        lock(&self.state).number
    }

    /// Ends the idle snapshots that were taken before; those in use end when they come back.
    pub(crate) fn end_before(&self, flushed: FlushCount) {
        let mut state = lock(&self.state);
        state.oldest = Some(flushed);
        // One that cannot be ended goes with its connection.
        state.idle.retain_mut(|snapshot| snapshot.taken_after >= Some(flushed) || snapshot.end().is_ok());
    }

    pub(crate) fn close(&self) {
        lock(&self.state).idle.clear();
    }
}

impl Snapshot {
    fn end(&mut self) -> rusqlite::Result<()> {
        if self.taken_after.take().is_some() {
            self.connection.prepare_cached("COMMIT")?.execute(())?;
        }
        Ok(())
    }
}

fn keep<T>(idle: &mut Vec<T>, connection: T) {
    if idle.len() < *MAX_IDLE {
        idle.push(connection);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
