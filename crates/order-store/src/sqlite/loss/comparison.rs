//! The log's file alone, held against what it is together with its write-ahead log.
//!
//! That has other content for pages of the file. If it is of another store, or of a copy whose pages are elsewhere, the two
//! together are neither. But whatever of the log is in the file stays there: what it is, and its events.

use std::path::Path;

use order_application::Position;

use crate::sqlite::log;
use crate::sqlite::outside::OutsideFile;
use crate::sqlite_error::is_damage;

/// Events that are compared, spread over all that the file has.
const COMPARED_EVENTS: u64 = 32;
/// Events that are compared beside these, each twice as far from the end as the one before.
const LATE_EVENTS: u32 = 16;

/// Whether a write-ahead log takes something away that the file has, and so is of another.
pub(super) fn is_of_another(log_path: &Path) -> bool {
    let (alone, with_wal) =
        (OutsideFile::open_alone(log_path, log_path), OutsideFile::open(log_path, log_path));
    // Whoever opens it for good says why that cannot be done.
    let (Ok(alone), Ok(with_wal)) = (alone, with_wal) else { return false };
    let (alone, with_wal) = (&alone.connection, &with_wal.connection);
    if has_other(log::identity(alone).ok(), log::identity(with_wal)) {
        return true;
    }
    let end = log::end(alone).unwrap_or(Position::START);
    spread_positions(end).any(|position| {
        let there = log::event_id_at(alone, position).ok().flatten();
        has_other(there.map(Some), log::event_id_at(with_wal, position))
    })
}

/// Whether there are tables in the file, or what cannot be read.
pub(super) fn has_tables(log_path: &Path) -> bool {
    let alone = OutsideFile::open_alone(log_path, log_path);
    !alone.is_ok_and(|alone| log::is_empty(&alone.connection).unwrap_or_default())
}

/// A file of which a part was copied when the process was killed may not be readable alone. That proves nothing.
fn has_other<T: PartialEq>(alone: Option<T>, with_wal: rusqlite::Result<T>) -> bool {
    alone.is_some_and(|alone| match with_wal {
        Ok(with_wal) => with_wal != alone,
        Err(error) => is_damage(&error),
    })
}

/// The first, the last, some between, and some shortly before the end: what was lost is more often there.
pub(super) fn spread_positions(end: Position) -> impl Iterator<Item = Position> {
    let end = end.0;
    let steps = COMPARED_EVENTS.min(end).saturating_sub(1);
    let between =
        (1..steps).map(move |step| 1 + (u128::from(end - 1) * u128::from(step) / u128::from(steps)) as u64);
    let ends = (end > 0).then_some([1, end]).into_iter().flatten();
    let late = (0..LATE_EVENTS).filter_map(move |power| end.checked_sub(1 << power)).filter(|at| *at > 0);
    ends.chain(between).chain(late).map(Position)
}
