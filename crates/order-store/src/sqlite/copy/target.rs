//! A store that is made by copying. Only its log is written: whoever opens it builds the views.

use std::path::Path;

use async_trait::async_trait;
use order_application::{Receipt, RecordedEvent};
use uuid::Uuid;

use crate::copy::{NamedCheckpoints, SideError, Target, TargetState};
use crate::sqlite::OpenMode;
use crate::sqlite::log::{Log, LogKind};
use crate::sqlite::store_lock::StoreLock;
use crate::sqlite::verify;
use crate::sqlite_error::SqliteError;
use crate::verify::{VerifyProgress, VerifyReport};

/// Chunks between two copies of the write-ahead log into the file, which bound the write-ahead log.
const CHUNKS_PER_WAL_COPY: u32 = 4;

/// Writing a log that nobody else has open. On the caller's thread, so that a copy that is dropped leaves nothing under way.
pub(crate) struct SqliteTarget {
    log: Log,
    chunks: u32,
    _lock: StoreLock,
}

impl SqliteTarget {
    /// Opens the store, creating it if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, SqliteError> {
        let lock = StoreLock::take(path, OpenMode::CREATE)?;
        let log = Log::open(path, &[LogKind::Store, LogKind::Copying], OpenMode::CREATE)?;
        Ok(Self { log, chunks: 0, _lock: lock })
    }

    fn failed(&self) -> impl Fn(rusqlite::Error) -> SideError {
        let failed = SqliteError::sqlite(self.log.path());
        move |error| failed(error).into()
    }
}

#[async_trait]
impl Target for SqliteTarget {
    async fn state(&mut self) -> Result<TargetState, SideError> {
        let (copying, copied_from) = self.log.copy_state().map_err(self.failed())?;
        let (identity, log_end) = (self.log.identity(), self.log.end()?);
        let last_event_id = self.log.event_id_at(log_end)?;
        Ok(TargetState { identity, copying, copied_from, log_end, last_event_id })
    }

    /// It is locked.
    async fn expect_unserved(&mut self) -> Result<(), SideError> {
        Ok(())
    }

    async fn begin(&mut self, source: Uuid) -> Result<(), SideError> {
        self.log.begin_copy(source).map_err(self.failed())
    }

    async fn append(&mut self, events: Vec<RecordedEvent>) -> Result<(), SideError> {
        let mut appended = self.log.append_copied(&events);
        self.chunks += 1;
        if self.chunks.is_multiple_of(CHUNKS_PER_WAL_COPY) {
            appended = appended.and_then(|()| self.log.copy_wal());
        }
        appended.map_err(self.failed())
    }

    async fn delete_receipts(&mut self) -> Result<(), SideError> {
        self.log.delete_receipts().map_err(self.failed())
    }

    async fn add_receipts(&mut self, receipts: &[Receipt]) -> Result<(), SideError> {
        self.log.add_receipts(receipts).and_then(|()| self.log.copy_wal()).map_err(self.failed())
    }

    async fn put_checkpoints(&mut self, checkpoints: &NamedCheckpoints) -> Result<(), SideError> {
        self.log.replace_checkpoints(checkpoints).map_err(self.failed())
    }

    async fn verify(&mut self, progress: VerifyProgress<'_>) -> Result<VerifyReport, SideError> {
        Ok(verify::check(self.log.connection(), self.log.path(), self.log.identity(), &[], progress)?)
    }

    async fn finish(&mut self) -> Result<(), SideError> {
        self.log.finish_copy().map_err(self.failed())
    }
}
