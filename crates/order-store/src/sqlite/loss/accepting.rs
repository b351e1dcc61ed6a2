//! What becomes of files from which something is missing, if that is accepted: nothing is deleted that nothing else has.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::sqlite::connection::{companion, real_path};
use crate::sqlite::loss::Loss;
use crate::sqlite::loss::log_file::LogFile;
use crate::sqlite::loss::write_ahead_log::WriteAheadLog;
use crate::sqlite::views::files as views_files;
use crate::sqlite_error::SqliteError;

/// Keeps SQLite from a write-ahead log that does not belong to the log, or from what is behind damage in it: it is renamed,
/// or kept whole under another name, and not deleted.
pub(super) fn set_aside(log_path: &Path, losses: &[Loss]) -> Result<(), SqliteError> {
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
