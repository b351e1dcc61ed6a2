//! Write-ahead logs as SQLite has written them, and what a crash or a disk makes of them.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use super::log_file::LogFile;
use super::write_ahead_log::{CommittedPages, WriteAheadLog};
use super::{Loss, find};

const PAGE: usize = 4096;
const FRAME: usize = 24 + PAGE;
/// Transactions of the write-ahead log.
const TRANSACTIONS: usize = 6;

/// A database and its write-ahead log, as they lie on the disk after each transaction.
struct Files {
    log: Vec<u8>,
    /// The write-ahead log of the first turn.
    first_turn: Vec<u8>,
    /// How long the write-ahead log was after each transaction.
    ends: Vec<usize>,
    wal: Vec<u8>,
}

fn log_in(directory: &TempDir) -> PathBuf {
    directory.path().join("orders.db")
}

fn wal_in(directory: &TempDir) -> PathBuf {
    directory.path().join("orders.db-wal")
}

fn write(log: &Connection) {
    let insert = "INSERT INTO rows VALUES (randomblob(3000)), (randomblob(3000)), (randomblob(3000))";
    log.execute(insert, ()).unwrap();
}

fn database(directory: &TempDir) -> Connection {
    let log = Connection::open(log_in(directory)).unwrap();
    log.pragma_update(None, "journal_mode", "wal").unwrap();
    log.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    log.execute_batch("CREATE TABLE rows (data)").unwrap();
    log
}

impl Files {
    /// The write-ahead log of the second turn, behind whose frames there are some of the first.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = database(&directory);
        (0..2 * TRANSACTIONS).for_each(|_| write(&log));
        log.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(())).unwrap();
        let first_turn = fs::read(wal_in(&directory)).unwrap();
        let mut ends = Vec::new();
        for _ in 0..TRANSACTIONS {
            write(&log);
            let wal = WriteAheadLog::read(&wal_in(&directory), PAGE as u32).unwrap();
            ends.push(wal.recovered.unwrap().end as usize);
        }
        let read = |path: &Path| fs::read(path).unwrap();
        Self { log: read(&log_in(&directory)), first_turn, ends, wal: read(&wal_in(&directory)) }
    }

    fn mismatch(&self, log: &[u8], wal: &[u8]) -> Option<Loss> {
        let directory = tempfile::tempdir().unwrap();
        fs::write(log_in(&directory), log).unwrap();
        fs::write(wal_in(&directory), wal).unwrap();
        let path = log_in(&directory);
        let log = LogFile::open(&path).unwrap().unwrap();
        let read = WriteAheadLog::read(&wal_in(&directory), log.page_bytes).unwrap();
        log.mismatches(&wal_in(&directory), &read).unwrap().into_iter().next()
    }

    fn of_wal(&self, wal: &[u8]) -> Option<Loss> {
        self.mismatch(&self.log, wal)
    }
}

#[test]
fn a_sound_write_ahead_log_belongs_to_its_log() {
    let files = Files::new();
    assert!(files.ends.iter().is_sorted() && files.ends[TRANSACTIONS - 1] < files.wal.len());
    assert_eq!(files.of_wal(&files.wal), None);
}

/// A crash leaves any part of the last transaction: each page of it may have been written or not, in part or whole.
#[test]
fn whatever_is_left_of_the_last_transaction_is_no_damage() {
    let files = Files::new();
    let [from, to] = [files.ends[TRANSACTIONS - 2], files.ends[TRANSACTIONS - 1]];
    for length in from..to {
        if length % 97 == 0 {
            assert_eq!(files.of_wal(&files.wal[..length]), None, "{length}");
        }
    }
    for sectors in 0..1_u32 << 10 {
        let mut wal = files.wal.clone();
        for (sector, bytes) in wal[from..to].chunks_mut((to - from).div_ceil(10)).enumerate() {
            if sectors & 1 << sector != 0 {
                bytes.fill(0);
            }
        }
        assert_eq!(files.of_wal(&wal), None, "{sectors:b}");
    }
}

#[test]
fn damage_before_the_last_transaction_is_told_wherever_it_is() {
    let files = Files::new();
    for at in (32..files.ends[TRANSACTIONS - 2]).step_by(61) {
        let mut wal = files.wal.clone();
        wal[at] ^= 4;
        let frame = (at - 32) as u64 / FRAME as u64 + 1;
        let told = files.of_wal(&wal);
        assert!(matches!(told, Some(Loss::BrokenWal { frame: told, .. }) if told == frame), "{at}: {told:?}");
    }
    let mut wal = files.wal.clone();
    wal[32..32 + 3 * FRAME].fill(0);
    assert!(matches!(files.of_wal(&wal), Some(Loss::BrokenWal { frame: 1, .. })));
}

/// The header of the next turn may be torn. By then all that the last one has is in the log's file.
#[test]
fn a_header_that_is_damaged_is_no_loss_where_all_has_been_copied() {
    let files = Files::new();
    for at in [0, 3, 8, 16, 24] {
        let mut wal = files.wal.clone();
        wal[at] ^= 1;
        assert!(matches!(files.of_wal(&wal), Some(Loss::WalWithoutHeader { .. })), "{at}");
    }
    let directory = tempfile::tempdir().unwrap();
    let log = database(&directory);
    (0..TRANSACTIONS).for_each(|_| write(&log));
    log.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(())).unwrap();
    let (log, mut wal) = (fs::read(log_in(&directory)).unwrap(), fs::read(wal_in(&directory)).unwrap());
    assert_eq!(files.mismatch(&log, &wal), None);
    wal[16] ^= 4;
    assert_eq!(files.mismatch(&log, &wal), None);
}

/// SQLite takes nothing of such a file, or what an earlier turn had.
#[test]
fn the_beginning_of_an_earlier_write_ahead_log_over_a_later_one_is_told() {
    let files = Files::new();
    let end = files.ends[TRANSACTIONS - 1];
    for bytes in [32, PAGE, 32 + FRAME, 32 + 3 * FRAME, 32 + 6 * FRAME] {
        let mut wal = [&files.first_turn[..bytes], &files.wal[bytes..]].concat();
        // What the earlier turn has left at the end tells as well.
        assert!(matches!(files.of_wal(&wal), Some(Loss::BrokenWal { .. })), "{bytes}");
        wal.truncate(end);
        let told = files.of_wal(&wal);
        assert!(matches!(told, Some(Loss::WalWithoutHeader { .. })), "{bytes}: {told:?}");
    }
    // Where all of it is in the log's file, nothing is lost by a header of which SQLite takes nothing.
    let wal = [&files.first_turn[..PAGE], &files.wal[PAGE..end]].concat();
    let directory = tempfile::tempdir().unwrap();
    fs::write(log_in(&directory), &files.log).unwrap();
    fs::write(wal_in(&directory), &files.wal).unwrap();
    Connection::open(log_in(&directory)).unwrap().execute_batch("PRAGMA wal_checkpoint(PASSIVE)").unwrap();
    assert_eq!(files.mismatch(&fs::read(log_in(&directory)).unwrap(), &wal), None);
}

/// The next turn has begun, and its first transaction was torn: what is left of the turn before is not what it was, and all
/// of it is in the log's file.
#[test]
fn frames_of_the_turn_before_are_no_loss() {
    let directory = tempfile::tempdir().unwrap();
    let log = database(&directory);
    (0..TRANSACTIONS).for_each(|_| write(&log));
    log.execute("UPDATE rows SET data = 1 WHERE rowid = 1", ()).unwrap();
    let before = fs::read(wal_in(&directory)).unwrap();
    log.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(())).unwrap();
    let copied = fs::read(log_in(&directory)).unwrap();
    log.execute("UPDATE rows SET data = randomblob(3000)", ()).unwrap();
    let next = fs::read(wal_in(&directory)).unwrap();
    let files = Files { log: copied, first_turn: Vec::new(), ends: Vec::new(), wal: next };
    for frames in 0..TRANSACTIONS {
        // The header was written, the first frames were not, and others were.
        let [from, to] = [32, 32 + (frames + 1) * FRAME];
        let wal = [&files.wal[..from], &before[from..to], &files.wal[to..]].concat();
        assert_eq!(files.of_wal(&wal), None, "{frames}");
    }
}

/// A server was killed when the header of the next turn was there and none of its frames: it goes on over what is left of the turn
/// before.
#[test]
fn what_is_left_behind_a_turn_that_begins_after_a_crash_is_no_loss() {
    let directory = tempfile::tempdir().unwrap();
    let log = database(&directory);
    (0..2 * TRANSACTIONS).for_each(|_| write(&log));
    log.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(())).unwrap();
    let (copied, before) = (fs::read(log_in(&directory)).unwrap(), fs::read(wal_in(&directory)).unwrap());
    write(&log);
    let next = fs::read(wal_in(&directory)).unwrap();
    let crashed = [&next[..32], &before[32..]].concat();
    for round in 0..16 {
        let directory = tempfile::tempdir().unwrap();
        fs::write(log_in(&directory), &copied).unwrap();
        fs::write(wal_in(&directory), &crashed).unwrap();
        assert_eq!(find(&log_in(&directory)).unwrap(), []);
        let log = Connection::open(log_in(&directory)).unwrap();
        log.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        for write_number in 0..3 {
            write(&log);
            let wal = fs::read(wal_in(&directory)).unwrap();
            let files =
                Files { log: copied.clone(), first_turn: Vec::new(), ends: Vec::new(), wal: wal.clone() };
            assert_eq!(files.of_wal(&wal), None, "round {round}, write {write_number}");
        }
    }
}

/// What a transaction leaves that failed after its last frame was written goes on from frames that are written over.
#[test]
fn what_a_failed_transaction_has_left_is_no_damage() {
    let files = Files::new();
    let [first, second, third] = [files.ends[0], files.ends[1], files.ends[2]];
    // As if the second transaction had failed, and another that is shorter been written over it.
    let mut wal = files.wal.clone();
    wal.truncate(second);
    wal[first..first + FRAME].fill(7);
    assert_eq!(files.of_wal(&wal), None);
    assert!(third > second);
}

/// However large it is: of the log's file only its beginning is read.
#[test]
fn a_log_of_any_size_is_looked_at_at_once() {
    const BYTES: u64 = 1 << 40;
    let directory = tempfile::tempdir().unwrap();
    drop(database(&directory));
    OpenOptions::new().write(true).open(log_in(&directory)).unwrap().set_len(BYTES).unwrap();
    assert_eq!(find(&log_in(&directory)).unwrap(), []);
}

/// SQLite's locks are on a page that is never written.
#[test]
fn a_log_that_grows_past_the_page_with_the_locks_lacks_nothing() {
    const LOCK_PAGE: u32 = (1 << 30) / PAGE as u32 + 1;
    let directory = tempfile::tempdir().unwrap();
    drop(database(&directory));
    OpenOptions::new().write(true).open(log_in(&directory)).unwrap().set_len(1 << 30).unwrap();
    let path = log_in(&directory);
    let log = LogFile::open(&path).unwrap().unwrap();
    let recovered = |log_pages| {
        let offsets = [(LOCK_PAGE + 1, 32)].into();
        let recovered = Some(CommittedPages { log_pages, offsets, end: 0 });
        let wal = WriteAheadLog { recovered, ..WriteAheadLog::default() };
        log.mismatches(&wal_in(&directory), &wal).unwrap().into_iter().next()
    };
    assert_eq!(recovered(LOCK_PAGE + 1), None);
    assert!(matches!(recovered(LOCK_PAGE + 2), Some(Loss::LaterWal { missing_pages: 1, .. })));
}

#[test]
fn files_of_other_times_do_not_belong_together() {
    let files = Files::new();
    let shorter = &files.log[..files.log.len() - PAGE];
    let told = files.mismatch(shorter, &files.wal);
    assert!(
        matches!(told, Some(Loss::LaterWal { missing_pages: 1, .. } | Loss::EarlierWal { .. })),
        "{told:?}"
    );
    let longer = [&files.log[..], &vec![0; 200 * PAGE]].concat();
    assert!(matches!(files.mismatch(&longer, &files.wal), Some(Loss::EarlierWal { .. })));
    assert!(matches!(files.mismatch(shorter, &[]), Some(Loss::CutLog { .. })));
    // A page that is written only in part is in the write-ahead log.
    let wal_only = [&files.log[..], &[1; 100]].concat();
    assert_eq!(files.mismatch(&wal_only, &files.wal), None);
}
