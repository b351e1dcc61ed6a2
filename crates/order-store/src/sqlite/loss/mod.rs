//! Whether the files of a store belong together, and whether something knows of events that the log does not have. Looked at
//! before SQLite opens any of them.
//!
//! SQLite believes what it finds: it deletes a write-ahead log beside an empty file, copies one of another time over a file
//! that was restored, and takes the first frame that it cannot read for the end. Each of these loses events that were
//! acknowledged, and the next ones would be given their positions once more. So a store is opened only if nothing tells
//! that it has lost something, or if whoever opens it accepts that.
//!
//! | file | holds |
//! |---|---|
//! | `write_ahead_log.rs` | the write-ahead log, read without SQLite |
//! | `log_file.rs` | the log's file, held against it |
//! | `witnesses.rs` | what views and checkpoints know of |
//!
//! What nothing else knows of cannot be noticed: a write-ahead log that ends early, or whose last transaction is damaged, looks
//! as after a crash.

mod log_file;
#[cfg(test)]
mod tests;
mod witnesses;
mod write_ahead_log;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use order_application::Position;
use uuid::Uuid;

use crate::sqlite::connection::{companion, real_path};
use crate::sqlite::loss::log_file::LogFile;
use crate::sqlite::loss::write_ahead_log::WriteAheadLog;
use crate::sqlite::views::files as views_files;
use crate::sqlite_error::SqliteError;

/// What tells that events are missing that were acknowledged, or will be once SQLite has opened the files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// There is no log, or nothing in its file, beside files that were made of one.
    #[error(
        "the log {} is {}, and there is {}{}",
        log.display(),
        if *is_empty { "empty" } else { "missing" },
        list(leftovers),
        known.map_or(String::new(), |known| format!(", which knows of {}", events(known.0)))
    )]
    MissingLog {
        /// Where the log should be.
        log: PathBuf,
        /// The file is there, without a byte.
        is_empty: bool,
        /// The files beside it.
        leftovers: Vec<PathBuf>,
        /// How far the log went at least, if one of them tells.
        known: Option<Position>,
    },
    /// The log's file has lost its end.
    #[error("the log {} was cut: of its {of} pages it has {pages}", log.display())]
    CutLog {
        /// The log.
        log: PathBuf,
        /// Whole pages that are there.
        pages: u64,
        /// Pages that there were.
        of: u64,
    },
    /// A frame of the write-ahead log is not what was written, and what was synced after it is there.
    #[error("the write-ahead log {} is damaged at its frame {frame}, and later commits follow", wal.display())]
    BrokenWal {
        /// The write-ahead log.
        wal: PathBuf,
        /// The first frame that cannot be read, from 1.
        frame: u64,
    },
    /// The write-ahead log's header is not what was written, and the log lacks what follows it.
    #[error("the header of the write-ahead log {} is damaged, and the log lacks what follows it", wal.display())]
    WalWithoutHeader {
        /// The write-ahead log.
        wal: PathBuf,
    },
    /// The log has pages that came after all that the write-ahead log has.
    #[error("the write-ahead log {} is from an earlier time than the log beside it", wal.display())]
    EarlierWal {
        /// The write-ahead log.
        wal: PathBuf,
    },
    /// The write-ahead log goes on from a longer log.
    #[error(
        "the write-ahead log {} is from a later time than the log beside it: {missing_pages} pages are in neither",
        wal.display()
    )]
    LaterWal {
        /// The write-ahead log.
        wal: PathBuf,
        /// Pages between what the log has and what the write-ahead log has.
        missing_pages: u64,
    },
    /// The write-ahead log is of a database that is not ours.
    #[error("the write-ahead log {} is of another file than the log beside it", wal.display())]
    OtherWal {
        /// The write-ahead log.
        wal: PathBuf,
    },
    /// Views have events that the log does not have.
    #[error(
        "the views {} end at position {position}, and the log ends at position {end}: {}",
        views.display(),
        missing(position.0 - end.0)
    )]
    ViewsAhead {
        /// The views.
        views: PathBuf,
        /// Where they end.
        position: Position,
        /// Where the log ends.
        end: Position,
    },
    /// Views end with an event that the log does not have there.
    #[error(
        "the views {} are of another history: they end with event {event_id} at position {position}, which the log does \
         not have there",
        views.display()
    )]
    OtherHistory {
        /// The views.
        views: PathBuf,
        /// Where they end.
        position: Position,
        /// The event there.
        event_id: Uuid,
    },
    /// Views of another log are there, which had more events.
    #[error(
        "the views {} are of another log, which had positions up to {position}, and this one ends at position {end}",
        views.display()
    )]
    LongerLog {
        /// The views.
        views: PathBuf,
        /// Where they end.
        position: Position,
        /// Where this log ends.
        end: Position,
    },
    /// Views have receipts that the log does not have.
    #[error(
        "the views {} have receipts up to number {last}, and the log's last is number {newest}",
        views.display()
    )]
    ReceiptsAhead {
        /// The views.
        views: PathBuf,
        /// The last receipt that they have.
        last: u64,
        /// The last receipt that the log has.
        newest: u64,
    },
    /// The receipt that views end with is another's in the log.
    #[error(
        "the views {} are of another history: they end with the receipt number {last}, which is under another key in the log",
        views.display()
    )]
    OtherReceipt {
        /// The views.
        views: PathBuf,
        /// The last receipt that they have.
        last: u64,
    },
    /// Somebody has followed the log further than it goes.
    #[error(
        "the checkpoint {name:?} is at position {position}, and the log ends at position {end}: {}",
        missing(position.0 - end.0)
    )]
    CheckpointAhead {
        /// The checkpoint's name.
        name: Box<str>,
        /// How far it has come.
        position: Position,
        /// Where the log ends.
        end: Position,
    },
}

impl Loss {
    /// Whether SQLite would pour a write-ahead log into a log that it does not belong to, or drop it.
    pub(crate) fn is_of_other_wal(&self) -> bool {
        match self {
            Self::MissingLog { .. }
            | Self::WalWithoutHeader { .. }
            | Self::EarlierWal { .. }
            | Self::LaterWal { .. }
            | Self::OtherWal { .. } => true,
            Self::CutLog { .. }
            | Self::BrokenWal { .. }
            | Self::ViewsAhead { .. }
            | Self::OtherHistory { .. }
            | Self::LongerLog { .. }
            | Self::ReceiptsAhead { .. }
            | Self::OtherReceipt { .. }
            | Self::CheckpointAhead { .. } => false,
        }
    }
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ")
}

fn missing(count: u64) -> String {
    format!("{} {} missing", events(count), if count == 1 { "is" } else { "are" })
}

fn events(count: u64) -> String {
    if count == 1 { "1 event".to_owned() } else { format!("{count} events") }
}

/// Refuses a store that has lost something. If that is accepted, what cannot be used is set aside, and all of it is told.
pub(crate) fn check(log_path: &Path, accept: bool) -> Result<(), SqliteError> {
    #[cfg(feature = "planted-faults")]
    if crate::sqlite::planted_faults::is_planted("unchecked-files") {
        return Ok(());
    }
    let losses = find(log_path)?;
    if losses.is_empty() {
        return Ok(());
    }
    if !accept {
        return Err(SqliteError::Lost { path: log_path.to_owned(), losses });
    }
    for loss in &losses {
        tracing::warn!(%loss, "events are missing, and it is accepted");
    }
    set_aside(log_path, &losses)
}

/// All that tells that something was lost. Nothing is changed, and nothing is left behind.
pub(crate) fn find(log_path: &Path) -> Result<Vec<Loss>, SqliteError> {
    let wal_path = companion(&real_path(log_path), "-wal");
    if let Some(losses) = without_log(log_path, &wal_path)? {
        return Ok(losses);
    }
    let Some(log) = LogFile::open(log_path).map_err(SqliteError::io(log_path))? else {
        return Ok(Vec::new());
    };
    let wal = WriteAheadLog::read(&wal_path, log.page_bytes).map_err(SqliteError::io(&wal_path))?;
    let mismatch = log.mismatch(&wal_path, &wal).map_err(SqliteError::io(&wal_path))?;
    // SQLite is not to meet any of these files open: when one is closed, all locks on it are gone.
    drop(log);
    let with_wal = !mismatch.as_ref().is_some_and(Loss::is_of_other_wal);
    let mut losses: Vec<_> = mismatch.into_iter().collect();
    losses.extend(witnesses::losses(log_path, with_wal)?);
    Ok(losses)
}

/// What is wrong where there is no log; `None` if there is one.
fn without_log(log_path: &Path, wal_path: &Path) -> Result<Option<Vec<Loss>>, SqliteError> {
    let length = |path: &Path| match fs::metadata(path) {
        Ok(file) => Ok(Some(file.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SqliteError::io(path)(error)),
    };
    let is_empty = match length(log_path)? {
        Some(0) => true,
        None => false,
        Some(_) => return Ok(None),
    };
    let mut leftovers = Vec::new();
    if length(wal_path)?.unwrap_or_default() > 0 {
        leftovers.push(wal_path.to_owned());
    }
    let mut known = None;
    for number in numbers_if_there(log_path)? {
        let path = views_files::path(log_path, number);
        let position = witnesses::known_to_views(log_path, &path).map(|progress| progress.position);
        // Of a store that never had an event nothing is lost.
        if position != Some(Position::START) {
            leftovers.push(path);
        }
        known = known.max(position.filter(|position| *position > Position::START));
    }
    if leftovers.is_empty() {
        return Ok(Some(Vec::new()));
    }
    Ok(Some(vec![Loss::MissingLog { log: log_path.to_owned(), is_empty, leftovers, known }]))
}

fn numbers_if_there(log_path: &Path) -> Result<Vec<u64>, SqliteError> {
    if views_files::directory(log_path).is_dir() { views_files::numbers(log_path) } else { Ok(Vec::new()) }
}

/// Keeps SQLite from a write-ahead log that does not belong to the log, or from what is behind damage in it: it is renamed,
/// or kept whole under another name, and not deleted.
fn set_aside(log_path: &Path, losses: &[Loss]) -> Result<(), SqliteError> {
    let wal = companion(&real_path(log_path), "-wal");
    let kept = free_name(&wal);
    let set_aside = || -> io::Result<bool> {
        if !wal.exists() {
            return Ok(false);
        }
        if losses.iter().any(Loss::is_of_other_wal) {
            fs::rename(&wal, &kept)?;
        } else if losses.iter().any(|loss| matches!(loss, Loss::BrokenWal { .. })) {
            fs::copy(&wal, &kept)?;
            File::open(&kept)?.sync_all()?;
            cut(log_path, &wal)?;
        } else {
            return Ok(false);
        }
        File::open(views_files::directory(&wal))?.sync_all()?;
        Ok(true)
    };
    if set_aside().map_err(SqliteError::io(&wal))? {
        tracing::warn!(path = %kept.display(), "the write-ahead log was kept under another name");
    }
    Ok(())
}

/// A name beside a write-ahead log that no other has that was set aside before.
fn free_name(wal: &Path) -> PathBuf {
    let mut kept = companion(wal, ".lost");
    let mut taken = 1;
    while kept.exists() {
        taken += 1;
        kept = companion(wal, &format!(".lost.{taken}"));
    }
    kept
}

/// Cuts a write-ahead log behind the last commit that recovery takes: what is written next must not be followed by what looks
/// as if it had been lost.
fn cut(log_path: &Path, wal_path: &Path) -> io::Result<()> {
    let Some(log) = LogFile::open(log_path)? else { return Ok(()) };
    let recovered = WriteAheadLog::read(wal_path, log.page_bytes)?.recovered;
    let wal = OpenOptions::new().write(true).open(wal_path)?;
    wal.set_len(recovered.map_or(0, |recovered| recovered.end))?;
    wal.sync_all()
}
