//! Reading the log's file from another process than the server's.
//!
//! SQLite reads a file in write-ahead mode together with its `-wal` and `-shm`, and makes them if they are not there. A
//! server that ended well has removed them. So where there is no `-wal`, the file is all there is, and it is read as one
//! that does not change (`immutable`). After each read it is looked at again: if a server has come meanwhile, the page is read
//! once more. Where there is one, whether a server is running or was killed, SQLite reads as always, each page in a transaction of
//! its own.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use order_application::{PageLimit, Position, Receipt, RecordedEvent, StoreError};
use rusqlite::Connection;
use uuid::Uuid;

use crate::checksum::Covered;
use crate::copy::{NamedCheckpoints, RECEIPTS_AT_ONCE, SideError};
use crate::log_reader::{ReceiptSink, StoreMoment};
use crate::sqlite::connection::{has_write_ahead_log, open_from_outside};
use crate::sqlite::log::accepted_losses::{self, ReceiptLook};
use crate::sqlite::log::receipts::{self, Sequence};
use crate::sqlite::log::{LogError, LogKind, check_log, end, entries, follower_checkpoints, identity};
use crate::sqlite::log_path;
use crate::sqlite::loss::{self, Loss};
use crate::sqlite::store_lock::StoreLock;
use crate::sqlite::threads::blocking;
use crate::sqlite_error::SqliteError;

/// Most that one transaction reads.
const LONGEST_PAGE: PageLimit = PageLimit::events(2_000);
/// Times that a page is read because a server has started or ended in the middle.
const MAX_READS: usize = 16;

/// A log that somebody else may be writing to. It is opened anew for each page: that takes little beside reading one.
pub(crate) struct SqliteLogReader {
    path: PathBuf,
    kinds: &'static [LogKind],
}

impl SqliteLogReader {
    /// Opens a log that is there, a store's or a replica's.
    pub(crate) async fn open(path: &Path) -> Result<Self, SideError> {
        Self::open_kind(path, &[LogKind::Store, LogKind::Replica]).await
    }

    /// Opens the log of a store that takes commands.
    pub(crate) async fn open_primary(path: &Path) -> Result<Self, SideError> {
        Self::open_kind(path, &[LogKind::Store]).await
    }

    async fn open_kind(path: &Path, kinds: &'static [LogKind]) -> Result<Self, SideError> {
        log_path::check(path)?;
        let reader = Self { path: path.to_owned(), kinds };
        reader.end().await?;
        Ok(reader)
    }

    pub(crate) async fn identity(&self) -> Result<Uuid, SideError> {
        self.read(|log| Ok(identity(log)?)).await
    }

    /// What the files tell of events and receipts that the log does not have. A server that is running has looked at most of it
    /// before it began.
    pub(crate) async fn losses(&self) -> Result<Vec<String>, SideError> {
        let path = self.path.clone();
        let mut losses = blocking(move || {
            let _lock = match StoreLock::take_to_read(&path) {
                Ok(lock) => lock,
                Err(SqliteError::InUse(_)) => return Ok(Vec::new()),
                Err(error) => return Err(error.into()),
            };
            Ok::<_, SideError>(loss::find(&path)?)
        })
        .await?;
        // If there are several of them, this is one of the others.
        losses.retain(|loss| !matches!(loss, Loss::MissingReceipts { .. }));
        losses.extend(self.missing_receipts().await?);
        Ok(losses.iter().map(ToString::to_string).collect())
    }

    /// The first receipts that are missing between others, whichever they are.
    pub(crate) async fn missing_receipts(&self) -> Result<Option<Loss>, SideError> {
        let mut after = 0;
        loop {
            let look = move |log: &Connection| Ok(accepted_losses::look_after(log, after)?);
            match self.read(look).await? {
                ReceiptLook::Missing(gap) => return Ok(Some(Loss::of_receipts(&self.path, gap))),
                ReceiptLook::AllThereTo(last) => after = last,
                ReceiptLook::End => return Ok(None),
            }
        }
    }

    /// Whether there is a server, or was one that did not end well.
    pub(crate) fn may_be_served(&self) -> bool {
        has_write_ahead_log(&self.path)
    }

    pub(crate) async fn end(&self) -> Result<Position, SideError> {
        self.read(|log| Ok(end(log)?)).await
    }

    pub(crate) async fn read_log(
        &self,
        after: Position,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, SideError> {
        let limit = at_most_longest(limit);
        self.read(move |log| entries::events(log, after, end(log)?, limit)).await
    }

    /// See [`LogReader::collect`](crate::LogReader).
    pub(crate) async fn collect<T: Default + Send + 'static>(
        &self,
        after: Position,
        limit: PageLimit,
        add: fn(&mut T, &Covered<'_>),
    ) -> Result<T, SideError> {
        let limit = at_most_longest(limit);
        self.read(move |log| entries::collect(log, after, end(log)?, limit, add)).await
    }

    /// The store at one moment: see [`LogReader::moment`](crate::LogReader). Receipts are numbered as they are committed, so
    /// those of that moment can be read a page at a time afterwards.
    pub(crate) async fn moment(&self, sink: ReceiptSink<'_>) -> Result<StoreMoment, SideError> {
        let (moment, newest) = self.read(read_moment).await?;
        let mut after = 0;
        while after < newest {
            let page = move |log: &Connection| receipts::after(log, after, newest, RECEIPTS_AT_ONCE);
            let (receipts, last) = self.read(page).await?;
            sink(&receipts)?;
            after = last.unwrap_or(newest);
        }
        Ok(moment)
    }

    /// Receipts that came after a number, and the number of the last of them.
    pub(crate) async fn receipts(
        &self,
        after: Sequence,
        limit: usize,
    ) -> Result<(Vec<Receipt>, Option<Sequence>), SideError> {
        self.read(move |log| receipts::after(log, after, receipts::MAX_SEQUENCE, limit)).await
    }

    pub(crate) async fn checkpoints(&self) -> Result<NamedCheckpoints, SideError> {
        self.read(|log| Ok(follower_checkpoints::load_all(log)?)).await
    }

    /// Not on the runtime's own threads.
    async fn read<T: Send + 'static>(
        &self,
        read: impl Fn(&Connection) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, SideError> {
        let (path, kinds) = (self.path.clone(), self.kinds);
        blocking(move || read_whole(&path, kinds, &read)).await
    }
}

fn at_most_longest(limit: PageLimit) -> PageLimit {
    let events = limit.events.min(LONGEST_PAGE.events);
    PageLimit { events, bytes: limit.bytes.min(LONGEST_PAGE.bytes) }
}

/// Where the log ends and how far its followers are, and the number of the newest receipt, in one snapshot.
fn read_moment(log: &Connection) -> Result<(StoreMoment, Sequence), LogError> {
    let snapshot = log.unchecked_transaction()?;
    let moment =
        StoreMoment { end: end(&snapshot)?, checkpoints: follower_checkpoints::load_all(&snapshot)? };
    let newest = receipts::newest(&snapshot)?.unwrap_or_default();
    Ok((moment, newest))
}

/// Reads again as long as what was read may be half of one state and half of another.
fn read_whole<T>(
    path: &Path,
    kinds: &[LogKind],
    read: &dyn Fn(&Connection) -> Result<T, LogError>,
) -> Result<T, SideError> {
    for _ in 0..MAX_READS {
        let state = file_state(path)?;
        let is_unchanging = !has_write_ahead_log(path);
        let log = open_from_outside(path, is_unchanging).map_err(SqliteError::sqlite(path))?;
        let checked = check_log(&log, path, kinds);
        let answer = checked.map(|()| read(&log));
        if !is_unchanging || file_state(path)? == state && !has_write_ahead_log(path) {
            return Ok(answer?.map_err(StoreError::from)?);
        }
    }
    Err(StoreError::Unavailable("servers start and end all the while".to_owned()).into())
}

/// Tells whether a file has been written to: its length, and when that was.
fn file_state(path: &Path) -> Result<(u64, SystemTime), SqliteError> {
    let state = std::fs::metadata(path).and_then(|file| Ok((file.len(), file.modified()?)));
    state.map_err(SqliteError::io(path))
}
