//! Copying a store into another, of the same kind or not.
//!
//! A copy has the source's events as they are: positions, ids, versions, times, data, contexts; and its receipts. Views are
//! derived, so the target makes its own.
//!
//! [`run`] goes on where an interrupted run of the same copy stopped, at whatever moment that was:
//!
//! 1. [`begin`]: the target is empty, or holds the beginning of the source. From now until the end it says of itself that
//!    it is an unfinished copy, and no server opens it.
//! 2. [`events`]: the log, chunk by chunk, each in one transaction of the target. If the source has grown meanwhile, it
//!    goes on until both are level.
//! 3. [`receipts`]: what was answered under clients' keys; and [`copy_checkpoints`]: how far those who follow the log have
//!    come.
//! 4. The target is checked from end to end, as `verify` does, and the source must not have grown meanwhile.
//! 5. Only then may the target be served.
//!
//! To copy another kind of content: a file beside `events.rs` that finds out how much of it the target has and adds the
//! rest; what it needs of a store as methods of [`Source`] and [`Target`]; a line in [`run`]; its check in each store's
//! `verify`.

mod begin;
mod events;
mod receipts;
mod sides;

use order_application::{PageLimit, Position, StoreError};
use uuid::Uuid;

use crate::backup::BackupDirError;
use crate::counted::counted;
use crate::postgres_error::PostgresError;
use crate::sqlite_error::SqliteError;
use crate::verify::VerifyReport;

pub(crate) use receipts::RECEIPTS_AT_ONCE;
pub(crate) use sides::{NamedCheckpoints, ReceiptPage, Source, Target, TargetState};

/// What a copy reads, holds in memory and writes at a time.
pub const COPY_CHUNK: PageLimit = PageLimit { events: 10_000, bytes: 8 * 1024 * 1024 };

/// What a copy is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyStep {
    /// Adding to the target.
    Copying,
    /// Checking what is there now.
    Checking,
}

/// What a copy did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyReport {
    /// Events that this run added.
    pub copied: u64,
    /// Events that an earlier run had added.
    pub found: u64,
    /// The check of the target. If it is not sound, the target stays an unfinished copy.
    pub check: VerifyReport,
}

/// Why a copy cannot be made or finished. Each is one line for whoever started it.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source cannot be read.
    #[error("the source: {0}")]
    Source(SideError),
    /// The target cannot be written.
    #[error("the target: {0}")]
    Target(SideError),
    /// Both names mean one store.
    #[error("source and target are the same store")]
    SameStore,
    /// The target is the unfinished copy of something else.
    #[error("the target is an unfinished copy or restore of another store; name an empty target")]
    CopyOfAnother,
    /// The target has its own orders.
    #[error("the target has {} and is no unfinished copy or restore; name an empty target", counted(events.0, "event"))]
    InService {
        /// How many.
        events: Position,
    },
    /// What the target has is not how the source begins.
    #[error(
        "the target has other content: the source does not have its event {event_id} at position {position}; name an empty \
         target"
    )]
    OtherContent {
        /// The target's last event.
        event_id: Uuid,
        /// Where it is.
        position: Position,
    },
    /// Servers still add to the source.
    #[error(
        "the source keeps growing; stop its servers, and run the same copy again, it goes on where it stopped"
    )]
    SourceGrows,
}

/// What is wrong with a store that is copied from or to, or that is read from outside.
#[derive(Debug, thiserror::Error)]
pub enum SideError {
    /// A SQLite store cannot be opened, read or written.
    #[error(transparent)]
    Sqlite(#[from] SqliteError),
    /// The same for PostgreSQL.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// A page cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A backup cannot be read or written.
    #[error(transparent)]
    Backup(#[from] BackupDirError),
}

/// Told what is done now, how much of it, and how much there is in all.
pub(crate) type CopyProgress<'a> = &'a mut (dyn FnMut(CopyStep, u64, u64) + Send);

/// Copies one store into the other, or the rest of it.
pub(crate) async fn run(
    source: &dyn Source,
    target: &mut dyn Target,
    chunk: PageLimit,
    progress: CopyProgress<'_>,
) -> Result<CopyReport, CopyError> {
    let found = begin::begin(source, target).await?;
    let reached = events::copy(source, target, found, chunk, progress).await?;
    // The followers of a finished copy may have gone on by themselves, and its clients have sent keys.
    if target.state().await.map_err(CopyError::Target)?.copying {
        receipts::copy(source, target).await?;
        copy_checkpoints(source, target).await?;
    }

    let mut check_progress = |done, total| progress(CopyStep::Checking, done, total);
    let check = target.verify(&mut check_progress).await.map_err(CopyError::Target)?;
    let report = CopyReport { copied: reached.0 - found.0, found: found.0, check };
    if report.check.is_sound() {
        if source.log_end().await.map_err(CopyError::Source)? != reached {
            return Err(CopyError::SourceGrows);
        }
        target.finish().await.map_err(CopyError::Target)?;
    }
    Ok(report)
}

/// How far those who follow the log have come; their leases stay behind. They are few, and may have changed in any way
/// since an earlier run, so all that the source has takes the place of what is there.
async fn copy_checkpoints(source: &dyn Source, target: &mut dyn Target) -> Result<(), CopyError> {
    let checkpoints = source.checkpoints().await.map_err(CopyError::Source)?;
    target.put_checkpoints(&checkpoints).await.map_err(CopyError::Target)
}
