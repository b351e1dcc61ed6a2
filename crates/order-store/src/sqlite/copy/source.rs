//! A store that is copied: locked as by a server, or read beside the one that has it.

use std::path::Path;

use async_trait::async_trait;
use order_application::{PageLimit, Position, RecordedEvent};
use uuid::Uuid;

use crate::copy::{NamedCheckpoints, ReceiptPage, SideError, Source};
use crate::sqlite::OpenMode;
use crate::sqlite::log::outside_reader::SqliteLogReader;
use crate::sqlite::log::{Log, LogKind};
use crate::sqlite::store_lock::StoreLock;
use crate::sqlite_error::SqliteError;

/// Reading a log from outside of whatever serves from it. Not for the process that does: see
/// [`LogReader`](crate::LogReader).
pub(crate) struct SqliteSource {
    identity: Uuid,
    log: SqliteLogReader,
    /// `None`: another process has it.
    _lock: Option<StoreLock>,
}

impl SqliteSource {
    /// Opens a store that is there.
    pub(crate) async fn open(path: &Path) -> Result<Self, SideError> {
        let lock = match StoreLock::take(path, OpenMode::EXISTING) {
            Ok(lock) => {
                // An earlier release's is brought up, which a server has done with one that it serves.
                Log::open(path, &[LogKind::Store], OpenMode::EXISTING)?;
                Some(lock)
            }
            Err(SqliteError::InUse(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let log = SqliteLogReader::open_primary(path).await?;
        if let Some(loss) = log.missing_receipts().await? {
            return Err(SqliteError::Lost { path: path.to_owned(), losses: vec![loss] }.into());
        }
        Ok(Self { identity: log.identity().await?, log, _lock: lock })
    }
}

#[async_trait]
impl Source for SqliteSource {
    fn identity(&self) -> Uuid {
        self.identity
    }

    async fn log_end(&self) -> Result<Position, SideError> {
        self.log.end().await
    }

    async fn events(
        &self,
        after: Position,
        up_to: Position,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, SideError> {
        let (mut events, mut bytes) = (Vec::new(), 0);
        let mut reached = after;
        // A page of the reader is shorter than what a copy writes at a time.
        while reached < up_to && events.len() < limit.events && bytes < limit.bytes {
            let missing = usize::try_from(up_to.0 - reached.0).unwrap_or(usize::MAX);
            let room =
                PageLimit { events: missing.min(limit.events - events.len()), bytes: limit.bytes - bytes };
            let page = self.log.read_log(reached, room).await?;
            let Some(last) = page.last() else { break };
            reached = last.position;
            bytes += page.iter().map(|event| event.data.len()).sum::<usize>();
            events.extend(page);
        }
        Ok(events)
    }

    async fn receipts(&self, after: Option<&ReceiptPage>, limit: usize) -> Result<ReceiptPage, SideError> {
        let after = after.and_then(|page| page.last_number).unwrap_or_default();
        let (receipts, last_number) = self.log.receipts(after, limit).await?;
        Ok(ReceiptPage { receipts, last_number })
    }

    async fn checkpoints(&self) -> Result<NamedCheckpoints, SideError> {
        self.log.checkpoints().await
    }
}
