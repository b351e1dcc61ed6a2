//! Which write-ahead logs have come to their end: what they had is in the log's file, and they were deleted when a server stopped. If the
//! beginning of one comes back, over that of the one in use, SQLite takes nothing of what is behind it.
//!
//! Salts alone do not tell which of two files is older: the first ones of each are random. So it is noted in the log, by the last commit
//! before the end, how far its write-ahead log had come.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};

use crate::sqlite::connection::{companion, real_path};
use crate::sqlite::log::Log;
use crate::sqlite::wal_format::{HEADER_BYTES, WalHeader};

/// Ends that are kept.
const KEPT: u64 = 8;
/// Turns that others than the writer have ended with the file, as `PRAGMA wal_checkpoint(TRUNCATE)` does, which the header does not count.
/// With more of them an end is not taken for that of the same file. With any number of them a file that is new would be, now and then.
const UNCOUNTED_TURNS: u32 = 64;

const NOTE: &str = "INSERT INTO finished_wals (turn, salt, frames) VALUES (?1, ?2, ?3)";
const FORGET: &str =
    "DELETE FROM finished_wals WHERE sequence <= (SELECT max(sequence) FROM finished_wals) - ?1";
const ALL: &str = "SELECT turn, salt, frames FROM finished_wals";

/// A turn of a write-ahead log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WalTurn {
    number: u32,
    salt: u32,
}

impl WalTurn {
    pub(crate) fn of(header: &WalHeader) -> Self {
        Self { number: header.turn, salt: header.salts[0] }
    }

    /// Of a write-ahead log in which something is.
    fn at(path: &Path) -> io::Result<Option<Self>> {
        let mut header = [0; HEADER_BYTES];
        File::open(path)?.read_exact(&mut header)?;
        let header = WalHeader::parse(&header);
        Ok(header.is_sound.then(|| Self::of(&header)))
    }

    /// Whether it is of the same file as a later one: both the number and the salt go up by one with each turn.
    fn is_before(self, later: Self) -> bool {
        let first_salt = |turn: Self| turn.salt.wrapping_sub(turn.number);
        self.number <= later.number && first_salt(later).wrapping_sub(first_salt(self)) < UNCOUNTED_TURNS
    }
}

/// Where a write-ahead log has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WalEnd {
    turn: WalTurn,
    frames: u64,
}

impl WalEnd {
    /// All that are known to a log's file, read alone.
    pub(crate) fn all(log: &Connection) -> rusqlite::Result<Vec<Self>> {
        let mut statement = log.prepare(ALL)?;
        let ends = statement.query_map((), |row| {
            let turn = WalTurn { number: row.get(0)?, salt: row.get(1)? };
            Ok(Self { turn, frames: row.get(2)? })
        })?;
        ends.collect()
    }

    /// Whether a write-ahead log with so many frames in its turn is what this one was earlier. What a server leaves that is killed
    /// before it has deleted it is not: what the file has had been synced in there, so the note itself is one frame more, or in a later
    /// turn.
    pub(crate) fn is_after(&self, turn: WalTurn, frames: u64) -> bool {
        turn.is_before(self.turn) && (turn != self.turn || frames <= self.frames)
    }
}

impl Log {
    /// Notes how far the write-ahead log has come, for whoever closes the log for good. The note may be the first frame of one more turn,
    /// which has nothing else.
    pub(crate) fn note_wal_end(&self) {
        if let Err(error) = self.try_to_note_wal_end() {
            tracing::info!(%error, "how far the write-ahead log has come could not be noted");
        }
    }

    fn try_to_note_wal_end(&self) -> rusqlite::Result<()> {
        // The end is not to wait for whoever else may write.
        self.connection.busy_timeout(Duration::ZERO)?;
        let copy = "PRAGMA wal_checkpoint(PASSIVE)";
        let frames: i64 = self.connection.query_row(copy, (), |row| row.get(1))?;
        let turn = WalTurn::at(&companion(&real_path(&self.path), "-wal")).ok().flatten();
        let Some(WalTurn { number, salt }) = turn.filter(|_| frames > 0) else { return Ok(()) };
        self.begin()?;
        self.connection.execute(NOTE, params![number, salt, frames])?;
        self.connection.execute(FORGET, [KEPT])?;
        self.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(number: u32, salt: u32) -> WalTurn {
        WalTurn { number, salt }
    }

    #[test]
    fn what_a_write_ahead_log_was_before_its_end_is_told_from_all_others() {
        let end = WalEnd { turn: turn(5, 3), frames: 40 };
        for frames in [0, 39, 40] {
            assert!(end.is_after(turn(5, 3), frames), "{frames}");
        }
        assert!(!end.is_after(turn(5, 3), 41), "a server was killed before it was deleted: it has the note");
        assert!(!end.is_after(turn(6, 4), 0), "the note is in the next turn, or another has gone on with it");
        for earlier in [turn(4, 2), turn(0, u32::MAX - 1), turn(3, u32::MAX - 5)] {
            assert!(end.is_after(earlier, 1_000), "{earlier:?}");
        }
        for other in [turn(0, 7), turn(5, 4), turn(0, 0), turn(4, 1_000_000)] {
            assert!(!end.is_after(other, 1), "{other:?}");
        }
    }
}
