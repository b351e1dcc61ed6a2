//! Whether the files of a store belong together, and whether something knows of events that the log does not have. Looked at
//! before SQLite opens any of them.
//!
//! SQLite believes what it finds: it deletes a write-ahead log beside an empty file, copies one of another time or of another
//! store over a file that was restored, plays a journal back that somebody has left, and takes the first frame that it cannot
//! read for the end. Each of these loses events that were acknowledged, and the next ones would be given their positions once
//! more. So a store is opened only if nothing tells that it has lost something, or if whoever opens it accepts that.
//!
//! | file | holds |
//! |---|---|
//! | `kinds.rs` | what there is to be told |
//! | `write_ahead_log.rs` | the write-ahead log, read without SQLite |
//! | `log_file.rs` | the log's file, held against it |
//! | `comparison.rs` | the log as it is alone, held against what it is with its write-ahead log |
//! | `witnesses.rs` | what views and checkpoints know of |
//! | `known_orders.rs` | some of the orders that views have |
//! | `receipts.rs` | the newest receipts, held against the orders |
//! | `accepting.rs` | what becomes of files from which something is missing, if that is accepted |
//!
//! What nothing else knows of cannot be noticed: a write-ahead log that ends early, or whose last transaction is damaged, looks
//! as after a crash.

mod accepting;
mod comparison;
mod kinds;
mod known_orders;
mod log_file;
pub(crate) mod receipts;
#[cfg(test)]
mod tests;
mod witnesses;
mod write_ahead_log;

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use order_application::Position;
use uuid::Uuid;

use crate::sqlite::connection::{companion, real_path};
use crate::sqlite::log::finished_wals::WalEnd;
use crate::sqlite::loss::log_file::LogFile;
use crate::sqlite::loss::write_ahead_log::WriteAheadLog;
use crate::sqlite::outside::OutsideFile;
use crate::sqlite::views::files as views_files;
use crate::sqlite::views::progress::ViewsOrigin;
use crate::sqlite_error::SqliteError;

pub use kinds::Loss;

/// Refuses a store that has lost something. If that is accepted, what cannot be used is set aside, and all of it is told.
pub(crate) fn check(log_path: &Path, accept: bool) -> Result<(), SqliteError> {
    #[cfg(feature = "planted-faults")]
    if crate::sqlite::planted_faults::is_planted("unchecked-files") {
        return Ok(());
    }
    let mut told = find(log_path)?;
    if told.is_empty() {
        return Ok(());
    }
    if !accept {
        return Err(SqliteError::Lost { path: log_path.to_owned(), losses: told });
    }
    accepting::look_at_the_rest(log_path, &told)?;
    warn_of(&told, &[]);
    // One may have hidden another.
    for _ in 0..MAX_ROUNDS {
        accepting::set_aside(log_path, &told)?;
        let left = find(log_path)?;
        if left == told {
            break;
        }
        warn_of(&left, &told);
        told = left;
    }
    Ok(())
}

/// How often it is looked again at what is left when something was set aside: there are not so many kinds of files.
const MAX_ROUNDS: usize = 8;

fn warn_of(losses: &[Loss], told: &[Loss]) {
    for loss in losses.iter().filter(|loss| !told.contains(loss)) {
        tracing::warn!(%loss, "events are missing, and it is accepted");
    }
}

/// All that tells that something was lost. Nothing is changed, and nothing is left behind.
pub(crate) fn find(log_path: &Path) -> Result<Vec<Loss>, SqliteError> {
    let wal_path = companion(&real_path(log_path), "-wal");
    let Some(log) = LogFile::open(log_path).map_err(SqliteError::io(log_path))? else {
        return without_log(log_path, &wal_path);
    };
    let wal = WriteAheadLog::read(&wal_path, log.page_bytes).map_err(SqliteError::io(&wal_path))?;
    let mut mismatches = log.mismatches(&wal_path, &wal).map_err(SqliteError::io(&wal_path))?;
    // SQLite is not to meet any of these files open: when one is closed, all locks on it are gone.
    drop(log);
    let has_wal = wal.recovered.is_some();
    let is_named = |losses: &[Loss]| losses.iter().any(Loss::is_of_other_wal);
    // Damage may have hidden whose it is.
    if has_wal && !is_named(&mismatches) && comparison::is_of_another(log_path) {
        mismatches.push(Loss::OtherWal { wal: wal_path.clone() });
    }
    if !is_named(&mismatches) && has_ended(log_path, &wal) {
        mismatches.push(Loss::EarlierWal { wal: wal_path });
    }
    let with_wal = !is_named(&mismatches);
    let mut losses = Vec::new();
    if let Some(journal) = journal(log_path)?
        && (has_wal || comparison::has_tables(log_path))
    {
        losses.push(journal);
    }
    losses.extend(mismatches);
    losses.extend(witnesses::losses(log_path, with_wal)?);
    Ok(losses)
}

/// Whether the log says that its write-ahead log, or what has the beginning of one, had come to its end when a server stopped.
fn has_ended(log_path: &Path, wal: &WriteAheadLog) -> bool {
    let Some(turn) = wal.turn else { return false };
    let Ok(alone) = OutsideFile::open_alone(log_path, log_path) else { return false };
    // A log of an earlier release has none.
    let ends = WalEnd::all(&alone.connection).unwrap_or_default();
    ends.iter().any(|end| end.is_after(turn, wal.recovered_frames))
}

/// The last look before a log is made or views are removed, whatever was looked at before: views that know of events of another
/// log stay, and no new one is begun beside any. `log`: what it is and where it ends, if there is one.
pub(crate) fn refuse_views_of_another(
    log_path: &Path,
    log: Option<(Uuid, Position)>,
) -> Result<(), SqliteError> {
    for number in views_files::numbers(log_path)? {
        let views = views_files::path(log_path, number);
        let Some(known) = witnesses::known_to_views(log_path, &views) else { continue };
        let ViewsOrigin { log_identity, position, .. } = known.origin;
        let loss = match log {
            None => Loss::without_tables(log_path, views, position),
            Some((identity, end)) if identity != log_identity && position > Position::START => {
                Loss::OtherLog { views, position, end }
            }
            Some(_) => continue,
        };
        return Err(SqliteError::Lost { path: log_path.to_owned(), losses: vec![loss] });
    }
    Ok(())
}

/// What a first start writes in place before it goes on in the write-ahead log. If it is killed then, its journal stays, and
/// the page may be anything.
const FIRST_PAGE_BYTES: u64 = 4096;

/// What is wrong where there is no log, or a file in its place that is none.
fn without_log(log_path: &Path, wal_path: &Path) -> Result<Vec<Loss>, SqliteError> {
    let bytes = length(log_path)?;
    let mut losses = Vec::new();
    if bytes.is_some_and(|bytes| bytes > FIRST_PAGE_BYTES) {
        losses.extend(journal(log_path)?);
    }
    let mut leftovers = Vec::new();
    if length(wal_path)?.unwrap_or_default() > 0 {
        leftovers.push(wal_path.to_owned());
    }
    let mut known = None;
    for number in numbers_if_there(log_path)? {
        let path = views_files::path(log_path, number);
        // Also views that have no event: the log had its tables before there were any.
        let position = witnesses::known_to_views(log_path, &path).map(|known| known.origin.position);
        known = known.max(position.filter(|position| *position > Position::START));
        leftovers.push(path);
    }
    if !leftovers.is_empty() {
        let log = log_path.to_owned();
        losses.push(match bytes {
            // SQLite takes a single byte for nothing as well.
            None | Some(0 | 1) => Loss::MissingLog { log, is_empty: bytes.is_some(), leftovers, known },
            Some(_) => Loss::NoDatabase { log, leftovers, known },
        });
    }
    Ok(losses)
}

/// The rollback journal that SQLite would play back. A store has one only before there is anything in its log. One that begins with
/// a zero is none: SQLite leaves it so where it keeps the file.
fn journal(log_path: &Path) -> Result<Option<Loss>, SqliteError> {
    let journal = companion(&real_path(log_path), "-journal");
    let mut first = [0];
    let read = fs::File::open(&journal).and_then(|mut file| file.read(&mut first));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SqliteError::io(&journal)(error)),
        Ok(_) => Ok((first != [0]).then_some(Loss::Journal { journal })),
    }
}

/// How long a file is, if it is there.
fn length(path: &Path) -> Result<Option<u64>, SqliteError> {
    match fs::metadata(path) {
        Ok(file) => Ok(Some(file.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(SqliteError::io(path)(error)),
    }
}

fn numbers_if_there(log_path: &Path) -> Result<Vec<u64>, SqliteError> {
    if views_files::directory(log_path).is_dir() { views_files::numbers(log_path) } else { Ok(Vec::new()) }
}
