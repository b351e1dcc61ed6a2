//! A store from a backup: a copy, which is no store that a server opens until all is there and has been checked.

use std::path::Path;

use order_application::{PageLimit, Position};
use order_domain::Timestamp;

use super::directory::BackupDir;
use super::source::BackupSource;
use super::until::Until;
use super::{BackupDirError, RestoreError};
use crate::copy::{self, COPY_CHUNK, CopyError, CopyReport, CopyStep};
use crate::store_location::{StoreLocation, open_target};

/// Bounds of what a restore holds in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreLimits {
    /// Events that are read and written at a time.
    pub chunk: PageLimit,
    /// Orders with events that are left out, of which it is known at a time from which version on. Where there are more of
    /// these events, receipts and what is left out are gone through several times. An order takes about a hundred bytes.
    pub undone_orders: u64,
}

impl Default for RestoreLimits {
    fn default() -> Self {
        Self { chunk: COPY_CHUNK, undone_orders: 1_000_000 }
    }
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// What was written, and the check of it. If it is not sound, no server opens the store.
    pub copy: CopyReport,
    /// The last event that was restored.
    pub position: Position,
    /// When the backup was made.
    pub made_at: Timestamp,
    /// What its service gave as the source of its events.
    pub event_source: String,
    /// Receipts that were left out, since they tell of what comes after that event.
    pub receipts_left_out: u64,
    /// Followers that had gone beyond that event.
    pub followers_ahead: Vec<String>,
}

/// Makes a store from a backup, or goes on with one that was cut short. Nobody opens it before it is whole and has been
/// checked. For whom it is to be called, and `progress`: as for [`copy`](crate::copy()).
///
/// # Errors
/// See [`RestoreError`]. Faults that the check of the store finds are in the report.
pub async fn restore(
    directory: &Path,
    to: &StoreLocation,
    until: Until,
    limits: RestoreLimits,
    progress: &mut (dyn FnMut(CopyStep, u64, u64) + Send),
) -> Result<RestoreReport, RestoreError> {
    let (dir, manifest) = BackupDir::open_to_read(directory)?;
    let run = manifest.finished.clone();
    let run = run.ok_or_else(|| BackupDirError::Unfinished(directory.to_owned()))?;
    // Before anything is made.
    manifest.files().try_for_each(|part| dir.check_length(part))?;
    let position = until.find(&dir, &manifest, &run)?;
    let (made_at, event_source) = (run.made_at, run.event_source.clone());
    let source = BackupSource::new(dir, manifest, run, (position, limits.undone_orders));
    let mut target = open_target(to).await.map_err(CopyError::Target)?;
    let copy = copy::run(&source, &mut *target, limits.chunk, progress).await?;
    Ok(RestoreReport {
        copy,
        position,
        made_at,
        event_source,
        receipts_left_out: source.receipts_left_out(),
        followers_ahead: source.followers_ahead(),
    })
}
