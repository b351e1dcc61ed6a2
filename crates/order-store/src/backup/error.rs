//! Why a backup cannot be made, read or restored. Each is one line for whoever asked for it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use order_application::Position;

use crate::copy::{CopyError, SideError};

/// What is wrong with the directory of a backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupDirError {
    /// It has files that no backup has.
    #[error("{} is no backup, and it has {file:?}; name an empty directory, or one that is not there", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// One of the files.
        file: String,
    },
    /// There is none to be read.
    #[error("{} is no backup: it has no manifest.json; name the directory that `order-service backup` was given", .0.display())]
    NotABackup(PathBuf),
    /// None was ever finished.
    #[error("{} is a backup that was never finished; run `order-service backup` again, it goes on where it was", .0.display())]
    Unfinished(PathBuf),
    /// Another process makes or reads it.
    #[error("{} is in use by another backup or restore; let that one end first", .0.display())]
    InUse(PathBuf),
    /// A later release made it.
    #[error(
        "{} was made by a newer release (format {found}, and this one knows up to {known}); use that release",
        path.display()
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The latest that this release knows.
        known: u64,
    },
    /// A file is not what was written.
    #[error("{}: {what}; this backup cannot be trusted, take another", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The disk is full, or a quota is exhausted.
    #[error(
        "no space left for {}; make space and run the same command again, it goes on where it was. What was finished before is whole",
        .0.display()
    )]
    Full(PathBuf),
    /// A file or the directory cannot be read or written.
    #[error("cannot use {}: {cause}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
}

impl BackupDirError {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |cause| {
            if matches!(cause.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
                return Self::Full(path.to_owned());
            }
            Self::Io { path: path.to_owned(), cause }
        }
    }

    /// Whether a file is not what was written. All else is none of the backup's.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }
}

/// Why a backup was not made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store cannot be read.
    #[error("the store: {0}")]
    Store(SideError),
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] BackupDirError),
    /// The directory has the backup of another log.
    #[error("{} is the backup of another store; name an empty directory, or one that is not there", .0.display())]
    OtherLog(PathBuf),
    /// The log does not continue what was backed up.
    #[error(
        "{} has events up to position {backed_up}, and there the store has {found}: it has lost events, or was restored \
         from an older copy. Nothing was changed. Keep this backup, and name an empty directory for another",
        path.display()
    )]
    OtherHistory {
        /// The directory.
        path: PathBuf,
        /// How far it goes.
        backed_up: Position,
        /// What the log has there.
        found: &'static str,
    },
}

/// Told from what goes wrong with the store, which is read at the same time.
impl From<SideError> for BackupError {
    fn from(error: SideError) -> Self {
        match error {
            SideError::Backup(error) => Self::Directory(error),
            error @ (SideError::Sqlite(_) | SideError::Postgres(_) | SideError::Store(_)) => {
                Self::Store(error)
            }
        }
    }
}

/// Why a backup was not restored. What was written of the store by then is an unfinished copy, which no server opens.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup cannot be read.
    #[error(transparent)]
    Directory(#[from] BackupDirError),
    /// It does not go as far as was asked for.
    #[error("the backup ends at position {0}; name that one or an earlier one, or a later backup")]
    EndsBefore(Position),
    /// It begins after what was asked for.
    #[error("the backup has no event from before that time; name a later time")]
    BeginsAfter,
    /// The store is the one that was backed up.
    #[error("the backup is of this very store, which has its orders; name an empty target")]
    OntoItself,
    /// It cannot be written to the store.
    #[error(transparent)]
    Copy(CopyError),
}

impl From<CopyError> for RestoreError {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Source(SideError::Backup(error)) => Self::Directory(error),
            CopyError::SameStore => Self::OntoItself,
            error @ (CopyError::Source(_)
            | CopyError::Target(_)
            | CopyError::CopyOfAnother
            | CopyError::InService { .. }
            | CopyError::OtherContent { .. }
            | CopyError::SourceGrows) => Self::Copy(error),
        }
    }
}
