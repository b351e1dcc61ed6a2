//! What becomes of files from which something is missing, if that is accepted: nothing is deleted that nothing else has.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::sqlite::connection::{companion, real_path};
use crate::sqlite::loss::Loss;
use crate::sqlite::loss::log_file::LogFile;
use crate::sqlite::loss::write_ahead_log::WriteAheadLog;
use crate::sqlite::outside::OutsideFile;
use crate::sqlite::views::files as views_files;
use crate::sqlite_error::{SqliteError, is_malformed};

/// What a start for which a loss is accepted goes through as a whole, to find out what is missing in the middle.
const READ_AT_THE_START: [&str; 5] = [
    "SELECT count(*) FROM sqlite_schema",
    "SELECT identity FROM log",
    "SELECT count(*) FROM events",
    "SELECT count(*) FROM receipts",
    "SELECT count(*) FROM checkpoints",
];

/// Looks whether SQLite could read anything of what would be left. If not, nothing is renamed or cut for it: whoever looks for what
/// was lost finds the files as they were.
pub(super) fn look_at_the_rest(log_path: &Path, losses: &[Loss]) -> Result<(), SqliteError> {
    // Then a new log is made.
    if losses.iter().any(|loss| matches!(loss, Loss::MissingLog { .. })) {
        return Ok(());
    }
    let is_left_alone = losses.iter().any(Loss::is_of_other_wal);
    let open = if is_left_alone { OutsideFile::open_alone } else { OutsideFile::open };
    let read = |rest: OutsideFile| {
        let failed = SqliteError::sqlite(log_path);
        READ_AT_THE_START
            .iter()
            .try_for_each(|all| rest.connection.query_row(all, (), |_| Ok(())).map_err(&failed))
    };
    let why = match open(log_path, log_path).and_then(read) {
        Err(SqliteError::Sqlite { cause, .. }) if is_malformed(&cause) => cause.to_string(),
        Err(SqliteError::NotAStore(_)) => "it is no database".to_owned(),
        // Whoever opens it for good says what else stands in the way.
        Ok(()) | Err(_) => return Ok(()),
    };
    Err(SqliteError::NothingLeft { path: log_path.to_owned(), losses: losses.to_vec(), why })
}

/// Keeps SQLite from a journal, from a write-ahead log that does not belong to the log or has none beside it, and from what is behind
/// damage in one: it is renamed, or kept whole under another name, and not deleted.
pub(super) fn set_aside(log_path: &Path, losses: &[Loss]) -> Result<(), SqliteError> {
    for loss in losses {
        if let Loss::Journal { journal } = loss {
            let kept = free_name(journal);
            rename(journal, &kept).map_err(SqliteError::io(journal))?;
            tracing::warn!(path = %kept.display(), "the rollback journal was kept under another name");
        }
    }
    let wal = companion(&real_path(log_path), "-wal");
    let kept = free_name(&wal);
    if keep_wal(log_path, &wal, &kept, losses).map_err(SqliteError::io(&wal))? {
        tracing::warn!(path = %kept.display(), "the write-ahead log was kept under another name");
    }
    Ok(())
}

/// Answers whether anything had to be kept.
fn keep_wal(log_path: &Path, wal: &Path, kept: &Path, losses: &[Loss]) -> io::Result<bool> {
    if !wal.exists() {
        return Ok(false);
    }
    if losses.iter().any(Loss::is_of_other_wal) {
        rename(wal, kept)?;
        return Ok(true);
    }
    let is_broken = losses.iter().any(|loss| matches!(loss, Loss::BrokenWal { .. }));
    // SQLite may find all that it needs there, or copy it into what is none and delete it.
    let has_no_database = losses.iter().any(|loss| matches!(loss, Loss::NoDatabase { .. }));
    if !is_broken && !has_no_database {
        return Ok(false);
    }
    fs::copy(wal, kept)?;
    File::open(kept)?.sync_all()?;
    if is_broken {
        cut(log_path, wal)?;
    }
    File::open(views_files::directory(wal))?.sync_all()?;
    Ok(true)
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    File::open(views_files::directory(from))?.sync_all()
}

/// A name beside a file that no other has that was set aside before.
fn free_name(path: &Path) -> PathBuf {
    let mut kept = companion(path, ".lost");
    let mut taken = 1;
    while kept.exists() {
        taken += 1;
        kept = companion(path, &format!(".lost.{taken}"));
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
