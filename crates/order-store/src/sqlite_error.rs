//! Why the files of a SQLite store cannot be used, and what SQLite's errors mean.

use std::io;
use std::path::{Path, PathBuf};

use order_application::StoreError;
use rusqlite::ErrorCode;

use crate::sqlite::Loss;
use crate::sqlite_trouble;

/// Why the files of a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SqliteError {
    /// Another process has it open.
    #[error("{} is in use by another process; a store is one process's at a time, so stop that one first", .0.display())]
    InUse(PathBuf),
    /// Its file has other names as well, under which another server might open it.
    #[error(
        "{} has {links} names (hard links); a store's file has one, so remove the others, or copy it",
        path.display()
    )]
    Linked {
        /// The store's log.
        path: PathBuf,
        /// How many names it has.
        links: u64,
    },
    /// Its files do not belong together, or something knows of acknowledged events that the log does not have.
    #[error(
        "acknowledged events are missing, or would be lost: {}. Nothing was changed. Copy all files of {} to a safe place \
         first; docs/OPERATIONS.md (When the start is refused) says what has most likely happened. Then restore files that \
         belong together: those of a backup, and none of these beside them. Or, if that is not to be had, let \
         `order-service serve --accept-loss` go on with what can still be read. (A replica's files may be removed: it is \
         built anew.)",
        losses.iter().map(Loss::to_string).collect::<Vec<_>>().join("; "),
        path.display()
    )]
    Lost {
        /// The store's log.
        path: PathBuf,
        /// What tells.
        losses: Vec<Loss>,
    },
    /// The loss was accepted, and there is nothing to go on with.
    #[error(
        "the loss cannot be accepted, since nothing can be read of what is left of {} ({why}): {}. Nothing was changed. Restore a \
         backup (docs/OPERATIONS.md, Restore), and keep these files: they may have what the backup does not have",
        path.display(),
        losses.iter().map(Loss::to_string).collect::<Vec<_>>().join("; ")
    )]
    NothingLeft {
        /// The store's log.
        path: PathBuf,
        /// What tells of the loss.
        losses: Vec<Loss>,
        /// What SQLite said.
        why: String,
    },
    /// A later release wrote it.
    #[error(
        "{} was written by a newer release (schema {found}, and this one knows up to {known}); use that release",
        path.display()
    )]
    Newer {
        /// The store's log.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The latest schema version that this release knows.
        known: i64,
    },
    /// An earlier release wrote it, and whoever only reads does not change it.
    #[error(
        "{} was written by an earlier release (schema {found}, and this one needs {known}); start its server with this one once",
        path.display()
    )]
    Older {
        /// The store's log.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The schema version of this release.
        known: i64,
    },
    /// It is some other file.
    #[error("{}", sqlite_trouble::no_store(.0))]
    NotAStore(PathBuf),
    /// `copy` or `restore` has not finished.
    #[error(
        "{} is the target of an unfinished copy or restore; run the same command again, it goes on where it stopped",
        .0.display()
    )]
    Copying(PathBuf),
    /// Its log is a copy of another's, and takes no commands.
    #[error("{} is a replica's; serve it with `order-service replica`", .0.display())]
    Replica(PathBuf),
    /// It has a log of its own, and is no place for another's.
    #[error("{} is an order store with a log of its own, not a replica's; name another file for the replica", .0.display())]
    NotAReplica(PathBuf),
    /// The directory or a file cannot be read or written.
    #[error("cannot use {}: {cause}{}", path.display(), sqlite_trouble::owner_hint(cause))]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// SQLite could not read or write a file.
    #[error("{}", sqlite_trouble::told(path, cause))]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        cause: rusqlite::Error,
    },
    /// It was to stop while it was being opened.
    #[error("the opening was stopped")]
    Stopped,
    /// What is stored is not what was written.
    #[error(
        "{}: {what}; `order-service verify` tells all that is wrong, and docs/OPERATIONS.md (When verify finds faults) what \
         to do",
        path.display()
    )]
    Corrupt {
        /// The store's log.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
}

impl SqliteError {
    pub(crate) fn sqlite(path: &Path) -> impl Fn(rusqlite::Error) -> Self {
        move |cause| match cause.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotAStore(path.to_owned()),
            _ => Self::Sqlite { path: path.to_owned(), cause },
        }
    }

    pub(crate) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |cause| Self::Io { path: path.to_owned(), cause }
    }

    pub(crate) fn missing(path: &Path) -> Self {
        Self::io(path)(io::Error::new(io::ErrorKind::NotFound, "there is no such file"))
    }

    /// A read's error: what is in the file may not be what was written.
    pub(crate) fn damaged_or_failed(path: &Path, error: rusqlite::Error) -> Self {
        if is_damage(&error) {
            return Self::Corrupt { path: path.to_owned(), what: error.to_string() };
        }
        Self::sqlite(path)(error)
    }

    /// Why a log or its views could not be read: because of what is in there, or for a reason that may pass.
    pub(crate) fn read(path: &Path) -> impl Fn(StoreError) -> Self {
        move |error| match error {
            StoreError::Corrupt(what) | StoreError::DamagedView(what) | StoreError::NewerRelease(what) => {
                Self::Corrupt { path: path.to_owned(), what }
            }
            StoreError::Overloaded
            | StoreError::Unavailable(_)
            | StoreError::OutcomeUnknown(_)
            | StoreError::StorageFull => Self::Io { path: path.to_owned(), cause: io::Error::other(error) },
        }
    }
}

/// A read's error, as readers see it.
pub(crate) fn read_error(error: &rusqlite::Error) -> StoreError {
    let why = error.to_string();
    if is_damage(error) { StoreError::Corrupt(why) } else { StoreError::Unavailable(why) }
}

/// Whether an error says that what is in the file is not what was written, and not that the file could not be read.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    match error.sqlite_error_code() {
        // The statements are fixed, so an error in one is a schema that has been damaged.
        Some(
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown | ErrorCode::TooBig,
        ) => true,
        Some(_) => false,
        // A value that is of no type that was ever written; not one that was asked with, and that no row can have.
        None => !matches!(error, rusqlite::Error::ToSqlConversionFailure(_)),
    }
}

/// Whether an error says that a page of the file is not what was written.
pub(crate) fn is_malformed(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}
