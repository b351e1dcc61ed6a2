//! Reading the log's file from another process than the server's.
//!
//! SQLite reads a file in write-ahead mode together with its `-wal` and `-shm`, and makes them if they are not there. A
//! server that ended well has removed them. So where there is no `-wal`, the file is all there is, and it is read as one
//! that does not change (`immutable`). After each read it is looked at again: if a server has come meanwhile, the file is
//! opened anew and the page read once more. Where there is one, whether a server is running or was killed, SQLite reads
//! as always, each page in a transaction of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use order_application::{PageLimit, Position, RecordedEvent, StoreError};
use rusqlite::Connection;

use crate::copy::SideError;
use crate::sqlite::connection::{has_write_ahead_log, open_from_outside};
use crate::sqlite::log::{LogError, LogKind, check_log, end, entries};
use crate::sqlite::threads::blocking;
use crate::sqlite_error::OpenError;

/// Most that one transaction reads.
const LONGEST_PAGE: PageLimit = PageLimit::events(2_000);
/// Times that a page is read because a server has started or ended in the middle.
const MAX_READS: usize = 16;

/// A log that somebody else may be writing to.
pub(crate) struct SqliteLogReader(Arc<OutsideLog>);

struct OutsideLog {
    path: PathBuf,
    opened: Mutex<Option<OpenedLog>>,
}

struct OpenedLog {
    connection: Connection,
    /// What the file was when it was taken for one that does not change; `None`: it has a write-ahead log.
    unchanging: Option<FileState>,
}

/// Tells whether a file has been written to.
#[derive(PartialEq, Eq)]
struct FileState {
    bytes: u64,
    modified: SystemTime,
}

impl SqliteLogReader {
    /// Opens a log that is there.
    pub(crate) async fn open(path: &Path) -> Result<Self, SideError> {
        let reader = Self(Arc::new(OutsideLog { path: path.to_owned(), opened: Mutex::default() }));
        reader.end().await?;
        Ok(reader)
    }

    pub(crate) async fn end(&self) -> Result<Position, SideError> {
        self.read(|log| Ok(end(log)?)).await
    }

    pub(crate) async fn read_log(
        &self,
        after: Position,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, SideError> {
        let events = limit.events.min(LONGEST_PAGE.events);
        let limit = PageLimit { events, bytes: limit.bytes.min(LONGEST_PAGE.bytes) };
        self.read(move |log| entries::events(log, after, end(log)?, limit)).await
    }

    /// Not on the runtime's own threads.
    async fn read<T: Send + 'static>(
        &self,
        read: impl Fn(&Connection) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, SideError> {
        let file = Arc::clone(&self.0);
        blocking(move || file.read(&read)).await
    }
}

impl OutsideLog {
    fn read<T>(&self, read: &dyn Fn(&Connection) -> Result<T, LogError>) -> Result<T, SideError> {
        let mut kept = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..MAX_READS {
            let opened = match kept.take() {
                Some(opened) => opened,
                None => self.open()?,
            };
            let answer = read(&opened.connection);
            // Whatever was read: it may be half of one state and half of another.
            if !opened.is_as_it_was(&self.path)? {
                continue;
            }
            let answer = answer.map_err(StoreError::from)?;
            *kept = Some(opened);
            return Ok(answer);
        }
        Err(StoreError::Unavailable("servers start and end all the while".to_owned()).into())
    }

    fn open(&self) -> Result<OpenedLog, OpenError> {
        loop {
            let state = FileState::of(&self.path)?;
            let unchanging = (!has_write_ahead_log(&self.path)).then_some(state);
            let connection = open_from_outside(&self.path, unchanging.is_some());
            let connection = connection.map_err(OpenError::sqlite(&self.path))?;
            let checked = check_log(&connection, &self.path, &[LogKind::Store, LogKind::Replica]);
            let opened = OpenedLog { connection, unchanging };
            if opened.is_as_it_was(&self.path)? {
                return checked.map(|()| opened);
            }
        }
    }
}

impl OpenedLog {
    fn is_as_it_was(&self, path: &Path) -> Result<bool, OpenError> {
        match &self.unchanging {
            Some(state) => Ok(FileState::of(path)? == *state && !has_write_ahead_log(path)),
            None => Ok(true),
        }
    }
}

impl FileState {
    fn of(path: &Path) -> Result<Self, OpenError> {
        let state = || {
            let metadata = std::fs::metadata(path)?;
            Ok(Self { bytes: metadata.len(), modified: metadata.modified()? })
        };
        state().map_err(OpenError::io(path))
    }
}
