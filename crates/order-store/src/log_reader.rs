//! Reading a store's log from another process, beside whoever serves from it.

use order_application::{PageLimit, Position, Receipt, RecordedEvent};
use uuid::Uuid;

use crate::checksum::Covered;
use crate::copy::{NamedCheckpoints, SideError, Source};
use crate::postgres::PostgresSource;
use crate::sqlite::SqliteLogReader;
use crate::store_location::StoreLocation;

/// Reads a log, and nothing else: it takes no lock that a server would miss, makes no file and runs no migration. It
/// sees whole commits only.
///
/// Not for the process that serves from the same SQLite store: when one of its file handles is closed, POSIX drops all locks
/// that the process has on the file.
pub struct LogReader(StoreReader);

enum StoreReader {
    Sqlite(SqliteLogReader),
    Postgres(PostgresSource),
}

/// What a store has beside its log, at one moment.
pub(crate) struct StoreMoment {
    /// The last event that was committed.
    pub(crate) end: Position,
    /// How far those who follow the log had come.
    pub(crate) checkpoints: NamedCheckpoints,
}

/// Takes receipts, some at a time.
pub(crate) type ReceiptSink<'a> = &'a mut (dyn FnMut(&[Receipt]) -> Result<(), SideError> + Send);

impl LogReader {
    /// Opens the log of a store or of a replica, whether or not it is being served.
    ///
    /// # Errors
    /// See [`SideError`]: there is none, it is an unfinished copy, or it is of another release.
    pub async fn open(location: &StoreLocation) -> Result<Self, SideError> {
        Ok(Self(match location {
            StoreLocation::Sqlite(path) => StoreReader::Sqlite(SqliteLogReader::open(path).await?),
            StoreLocation::Postgres(url) => StoreReader::Postgres(PostgresSource::open(url).await?),
        }))
    }

    /// The same, of a store that takes commands.
    ///
    /// # Errors
    /// See [`SideError`].
    pub(crate) async fn open_primary(location: &StoreLocation) -> Result<Self, SideError> {
        Ok(Self(match location {
            StoreLocation::Sqlite(path) => StoreReader::Sqlite(SqliteLogReader::open_primary(path).await?),
            StoreLocation::Postgres(url) => StoreReader::Postgres(PostgresSource::open(url).await?),
        }))
    }

    /// What tells the log from every other.
    pub(crate) async fn identity(&self) -> Result<Uuid, SideError> {
        match &self.0 {
            StoreReader::Sqlite(log) => log.identity().await,
            StoreReader::Postgres(log) => Ok(log.identity()),
        }
    }

    /// What `add` makes of such a page, event by event: for whoever wants what rows have, and not events.
    pub(crate) async fn collect<T: Default + Send + 'static>(
        &self,
        after: Position,
        limit: PageLimit,
        add: fn(&mut T, &Covered<'_>),
    ) -> Result<T, SideError> {
        match &self.0 {
            StoreReader::Sqlite(log) => log.collect(after, limit, add).await,
            StoreReader::Postgres(_) => {
                let mut collected = T::default();
                for event in self.read_log(after, limit).await? {
                    add(&mut collected, &Covered::of(&event));
                }
                Ok(collected)
            }
        }
    }

    /// Whether a server may be working on the same disk and processors. A database shares out its own.
    pub(crate) fn may_be_served(&self) -> bool {
        match &self.0 {
            StoreReader::Sqlite(log) => log.may_be_served(),
            StoreReader::Postgres(_) => false,
        }
    }

    /// The store at one moment: those receipts that were committed with the events up to its end, or before, go to
    /// `receipts`, but for old ones that are just being deleted.
    pub(crate) async fn moment(&self, receipts: ReceiptSink<'_>) -> Result<StoreMoment, SideError> {
        match &self.0 {
            StoreReader::Sqlite(log) => log.moment(receipts).await,
            StoreReader::Postgres(log) => log.moment(receipts).await,
        }
    }

    /// What tells that acknowledged events are missing from the log, a sentence for each; `verify` says more.
    ///
    /// # Errors
    /// See [`SideError`].
    pub async fn losses(&self) -> Result<Vec<String>, SideError> {
        match &self.0 {
            StoreReader::Sqlite(log) => log.losses().await,
            StoreReader::Postgres(log) => log.losses().await,
        }
    }

    /// The position of the newest event; [`Position::START`] while there is none.
    ///
    /// # Errors
    /// See [`SideError`].
    pub async fn end(&self) -> Result<Position, SideError> {
        match &self.0 {
            StoreReader::Sqlite(log) => log.end().await,
            StoreReader::Postgres(log) => log.log_end().await,
        }
    }

    /// A page of the log with positions above `after`, ascending; empty at the end. It may have fewer events than `limit`
    /// says: a long page would keep the server from starting its write-ahead log anew.
    ///
    /// # Errors
    /// See [`SideError`].
    pub async fn read_log(&self, after: Position, limit: PageLimit) -> Result<Vec<RecordedEvent>, SideError> {
        match &self.0 {
            StoreReader::Sqlite(log) => log.read_log(after, limit).await,
            StoreReader::Postgres(log) => log.events(after, Position(i64::MAX.cast_unsigned()), limit).await,
        }
    }

    /// The id of the event at a position. `None` at the start of the log, and where it has no event.
    ///
    /// # Errors
    /// See [`SideError`].
    pub async fn id_at(&self, position: Position) -> Result<Option<Uuid>, SideError> {
        let Some(before) = position.0.checked_sub(1) else { return Ok(None) };
        let page = self.read_log(Position(before), PageLimit::events(1)).await?;
        Ok(page.first().filter(|event| event.position == position).map(|event| event.id))
    }
}
