//! Up to where a backup is restored.

use order_application::Position;
use order_domain::Timestamp;

use super::directory::BackupDir;
use super::manifest::{FinishedRun, Manifest};
use super::part::EventReader;
use super::{BackupDirError, RestoreError};

/// How much of a backup is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// All of it.
    End,
    /// The event at this position is the last.
    Position(Position),
    /// What comes before the first event that is later. A clock that was ahead may have made one long before others.
    Time(Timestamp),
}

impl Until {
    /// The last position that is restored.
    pub(super) fn find(
        self,
        dir: &BackupDir,
        manifest: &Manifest,
        run: &FinishedRun,
    ) -> Result<Position, RestoreError> {
        let end = Position(run.last_position);
        match self {
            Self::End => Ok(end),
            Self::Position(position) if position <= end => Ok(position),
            Self::Position(_) => Err(RestoreError::EndsBefore(end)),
            Self::Time(time) => match first_after(dir, manifest, time)? {
                Some(Position(1)) => Err(RestoreError::BeginsAfter),
                Some(position) => Ok(Position(position.0 - 1).min(end)),
                None => Ok(end),
            },
        }
    }
}

/// The first event that is later than a time.
fn first_after(
    dir: &BackupDir,
    manifest: &Manifest,
    time: Timestamp,
) -> Result<Option<Position>, BackupDirError> {
    let Some(part) = manifest.events.iter().find(|part| part.latest > time) else { return Ok(None) };
    let mut events = EventReader::open(dir, part)?;
    while let Some(event) = events.next()? {
        if event.time > time {
            return Ok(Some(event.position));
        }
    }
    Ok(None)
}
