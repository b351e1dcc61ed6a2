//! A store that is copied, locked as by a server.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use order_application::{OrderView, PageLimit, Position, RecordedEvent};
use order_domain::OrderId;
use uuid::Uuid;

use crate::copy::{CountedEnd, NamedCheckpoints, PlacedView, SideError, Source};
use crate::sqlite::SqliteLimits;
use crate::sqlite::directory_lock::DirectoryLock;
use crate::sqlite::log::{Log, LogKind, entries, follower_checkpoints};
use crate::sqlite::readers::{MAX_LIST_ROWS, Readers};
use crate::sqlite::rebuild::opening;
use crate::sqlite::threads::blocking;
use crate::sqlite_error::SqliteError;

/// Reading a store that nobody writes to.
pub(crate) struct SqliteSource {
    identity: Uuid,
    end: CountedEnd,
    readers: Arc<Readers>,
    _lock: DirectoryLock,
}

impl SqliteSource {
    /// Opens a store that is there, and brings its views up to its log, as a server does when it starts.
    pub(crate) fn open(path: &Path) -> Result<Self, SqliteError> {
        if !path.exists() {
            return Err(SqliteError::missing(path));
        }
        let lock = DirectoryLock::take(path)?;
        let log = Log::open(path, &[LogKind::Store])?;
        let end = log.counted_end().map_err(SqliteError::sqlite(path))?;
        let limits = SqliteLimits::default();
        let opened = opening::open_views(&log, &limits, &mut |_, _| ControlFlow::Continue(()))?;
        let readers = Arc::new(opened.readers);
        Ok(Self { identity: log.identity(), end, readers, _lock: lock })
    }
}

#[async_trait]
impl Source for SqliteSource {
    fn identity(&self) -> Uuid {
        self.identity
    }

    async fn log_end(&self) -> Result<Position, SideError> {
        Ok(self.end.log_end)
    }

    async fn counted_end(&self) -> Result<CountedEnd, SideError> {
        Ok(self.end)
    }

    async fn events(
        &self,
        after: Position,
        up_to: Position,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, SideError> {
        let readers = Arc::clone(&self.readers);
        Ok(blocking(move || readers.log.with(|log| entries::events(log, after, up_to, limit))).await?)
    }

    async fn checkpoints(&self) -> Result<NamedCheckpoints, SideError> {
        Ok(self.readers.log.with(|log| Ok(follower_checkpoints::load_all(log)?))?)
    }

    async fn views_placed(&self, after: Position, up_to: Position) -> Result<Vec<PlacedView>, SideError> {
        let readers = Arc::clone(&self.readers);
        // There are no more orders than positions.
        let limit = usize::try_from(up_to.0 - after.0).unwrap_or(usize::MAX).min(MAX_LIST_ROWS);
        let rows = blocking(move || readers.rows(after, limit)).await?;
        let placed = rows.into_iter().map(|(key, view)| (Position(key), view));
        Ok(placed.filter(|(position, _)| *position <= up_to).collect())
    }

    async fn views_of(&self, order_ids: &[OrderId]) -> Result<Vec<OrderView>, SideError> {
        let (readers, order_ids) = (Arc::clone(&self.readers), order_ids.to_vec());
        let look_up = move || {
            let found = order_ids.iter().map(|order_id| readers.view(order_id));
            found.filter_map(Result::transpose).collect()
        };
        Ok(blocking(look_up).await?)
    }
}
