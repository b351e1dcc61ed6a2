//! A store that is copied, locked as by a server.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use order_application::{PageLimit, Position, RecordedEvent};
use uuid::Uuid;

use crate::copy::{NamedCheckpoints, ReceiptPage, SideError, Source};
use crate::sqlite::OpenMode;
use crate::sqlite::log::{Log, LogKind, entries, follower_checkpoints, receipts};
use crate::sqlite::readers::LogPool;
use crate::sqlite::store_lock::StoreLock;
use crate::sqlite::threads::blocking;
use crate::sqlite_error::SqliteError;

/// Reading a log that nobody writes to.
pub(crate) struct SqliteSource {
    identity: Uuid,
    end: Position,
    log: Arc<LogPool>,
    _lock: StoreLock,
}

impl SqliteSource {
    /// Opens a store that is there.
    pub(crate) fn open(path: &Path) -> Result<Self, SqliteError> {
        let lock = StoreLock::take(path, OpenMode::EXISTING)?;
        let log = Log::open(path, &[LogKind::Store], OpenMode::EXISTING)?;
        let pool = Arc::new(LogPool::new(path.to_owned()));
        Ok(Self { identity: log.identity(), end: log.end()?, log: pool, _lock: lock })
    }
}

#[async_trait]
impl Source for SqliteSource {
    fn identity(&self) -> Uuid {
        self.identity
    }

    async fn log_end(&self) -> Result<Position, SideError> {
        Ok(self.end)
    }

    async fn events(
        &self,
        after: Position,
        up_to: Position,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, SideError> {
        let log = Arc::clone(&self.log);
        Ok(blocking(move || log.with(|log| entries::events(log, after, up_to, limit))).await?)
    }

    async fn receipts(&self, after: Option<&ReceiptPage>, limit: usize) -> Result<ReceiptPage, SideError> {
        let after = after.and_then(|page| page.last_number).unwrap_or_default();
        let (receipts, last_number) =
            self.log.with(|log| receipts::after(log, after, receipts::MAX_SEQUENCE, limit))?;
        Ok(ReceiptPage { receipts, last_number })
    }

    async fn checkpoints(&self) -> Result<NamedCheckpoints, SideError> {
        Ok(self.log.with_checkpoints(follower_checkpoints::load_all)?)
    }
}
