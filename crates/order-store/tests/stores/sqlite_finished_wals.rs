//! Write-ahead logs that had come to their end, and whose beginning is put over that of the one in use. And what is left by whoever ends
//! turns of one in any way, which is always opened.

use std::fs;

use order_store::{Loss, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::random::Random;
use crate::sqlite::open_with_loss;
use crate::sqlite_loss::{assert_refused, closed_store, end, killed, log_in, open, place, views_in, wal_in};

const FRAME: usize = 24 + 4096;

/// SQLite takes nothing of such a file, or what it has of the earlier one. Salts are random, so it is tried some times.
#[tokio::test]
async fn the_beginning_of_a_write_ahead_log_of_before_a_stop_is_told_each_time() {
    for round in 0..8 {
        let directory = closed_store().await;
        let store = open(&directory);
        place(&store, 30..40).await;
        let earlier = fs::read(wal_in(&directory)).unwrap();
        drop(store);
        for stop in 0..round % 4 {
            place(&open(&directory), 40 + stop..41 + stop).await;
        }
        let store = open(&directory);
        place(&store, 50..90).await;
        for bytes in [32, 4096, 32 + 3 * FRAME] {
            let crashed = killed(&directory);
            let later = fs::read(wal_in(&crashed)).unwrap();
            fs::write(wal_in(&crashed), [&earlier[..bytes], &later[bytes..]].concat()).unwrap();
            // They would know of more.
            fs::remove_file(views_in(&crashed)).unwrap();
            let loss = assert_refused(&crashed);
            assert!(
                matches!(loss, Loss::EarlierWal { .. } | Loss::WalWithoutHeader { .. }),
                "{round}, {bytes}: {loss}"
            );
            assert_eq!(end(&open_with_loss(&log_in(&crashed)).unwrap()).await, 40 + round as u64 % 4);
            assert!(fs::read(crashed.path().join("orders.db-wal.lost")).unwrap()[bytes..] == later[bytes..]);
        }
    }
}

/// It has as many frames as were noted: nothing is committed between the last of them and the note.
#[tokio::test]
async fn a_whole_write_ahead_log_of_before_a_stop_is_told() {
    for (is_rebuilt, has_rest) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut directory = closed_store().await;
        let store = open(&directory);
        place(&store, 30..40).await;
        let earlier = fs::read(wal_in(&directory)).unwrap();
        let crashed = killed(&directory);
        drop(store);
        if is_rebuilt {
            SqliteStore::rebuild(&log_in(&crashed), &mut |_, _| {}).unwrap();
            directory = crashed;
        }
        let store = open(&directory);
        place(&store, 50..90).await;
        let crashed = killed(&directory);
        let later = fs::read(wal_in(&crashed)).unwrap();
        let rest = if has_rest { &later[earlier.len()..] } else { &[] };
        fs::write(wal_in(&crashed), [&earlier, rest].concat()).unwrap();
        // They would know of more. A rebuild has given them the next number.
        let views = if is_rebuilt { crashed.path().join("orders.views.2.db") } else { views_in(&crashed) };
        fs::remove_file(views).unwrap();
        let loss = assert_refused(&crashed);
        assert!(matches!(loss, Loss::EarlierWal { .. }), "{is_rebuilt}, {has_rest}: {loss}");
        assert_eq!(end(&open_with_loss(&log_in(&crashed)).unwrap()).await, 40);
    }
}

/// Files as a server leaves them that is killed when all is copied and the write-ahead log is not deleted yet. The note is in the
/// file, and in the write-ahead log: as one more frame of the turn if somebody reads that, or in the next turn.
async fn left_at_its_end(is_read: bool) -> TempDir {
    let directory = closed_store().await;
    let operator = Connection::open(log_in(&directory)).unwrap();
    let store = open(&directory);
    place(&store, 30..40).await;
    operator.execute_batch("BEGIN; SELECT count(*) FROM events").unwrap();
    if !is_read {
        operator.execute_batch("COMMIT").unwrap();
    }
    let before = fs::read(wal_in(&directory)).unwrap();
    drop(store);
    if is_read {
        operator.execute_batch("COMMIT").unwrap();
    }
    operator.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(())).unwrap();
    let left = killed(&directory);
    assert_eq!(fs::read(wal_in(&left)).unwrap()[..32] == before[..32], is_read, "the turn of the note");
    left
}

#[tokio::test]
async fn a_write_ahead_log_that_was_copied_at_its_end_and_not_deleted_is_opened() {
    for is_read in [true, false] {
        let left = left_at_its_end(is_read).await;
        fs::write(left.path().join("alone.db"), fs::read(log_in(&left)).unwrap()).unwrap();
        let alone = Connection::open(left.path().join("alone.db")).unwrap();
        let notes = alone.query_row("SELECT count(*) FROM finished_wals", (), |row| row.get(0));
        assert_eq!(notes, Ok(2), "the note is in the file");
        assert_eq!(end(&open(&left)).await, 40);
    }
}

/// Without its note it cannot be told from what it was earlier. All that it has is in the log's file.
#[tokio::test]
async fn one_whose_note_alone_is_damaged_is_refused_and_nothing_is_lost_if_that_is_accepted() {
    let left = left_at_its_end(true).await;
    let mut wal = fs::read(wal_in(&left)).unwrap();
    let in_the_note = wal.len() - FRAME / 2;
    wal[in_the_note] ^= 1;
    fs::write(wal_in(&left), wal).unwrap();
    let loss = assert_refused(&left);
    assert!(matches!(loss, Loss::EarlierWal { .. }), "{loss}");
    assert_eq!(end(&open_with_loss(&log_in(&left)).unwrap()).await, 40);
    assert_eq!(end(&open(&left)).await, 40);
}

/// Whoever holds it open keeps it from being deleted.
#[tokio::test]
async fn a_write_ahead_log_that_is_left_at_its_end_is_gone_on_with() {
    let directory = closed_store().await;
    let operator = Connection::open(log_in(&directory)).unwrap();
    operator.query_row("SELECT count(*) FROM events", (), |_| Ok(())).unwrap();
    place(&open(&directory), 30..40).await;
    let mut left = killed(&directory);
    for n in 40..50 {
        assert!(fs::metadata(wal_in(&left)).unwrap().len() > 32);
        let store = open(&left);
        assert_eq!(end(&store).await, n);
        place(&store, n as usize..n as usize + 1).await;
        let next = killed(&left);
        drop(store);
        left = next;
    }
}

fn checkpoint(directory: &TempDir, kind: &str) {
    let operator = Connection::open(log_in(directory)).unwrap();
    operator.query_row(&format!("PRAGMA wal_checkpoint({kind})"), (), |_| Ok(())).unwrap();
}

/// A server was killed when a turn had its header and nothing else. Whoever opens the files next is another than the server that goes
/// on with them: then that begins with other random salts, before what is left of the turn before.
#[tokio::test]
async fn what_is_left_behind_random_salts_is_no_loss() {
    for round in 0..8 {
        let directory = closed_store().await;
        let store = open(&directory);
        place(&store, 30..50).await;
        checkpoint(&directory, "PASSIVE");
        let crashed = killed(&directory);
        place(&store, 50..51).await;
        let header = fs::read(wal_in(&directory)).unwrap()[..32].to_vec();
        let before = fs::read(wal_in(&crashed)).unwrap();
        assert_ne!(header, before[..32], "no turn has begun");
        fs::write(wal_in(&crashed), [&header, &before[32..]].concat()).unwrap();

        let operator = Connection::open(log_in(&crashed)).unwrap();
        operator.query_row("SELECT count(*) FROM events", (), |_| Ok(())).unwrap();
        let store = open(&crashed);
        place(&store, 50..52 + round % 3).await;
        let salts = |wal: &[u8]| wal[16..20].to_vec();
        assert_ne!(salts(&fs::read(wal_in(&crashed)).unwrap()), salts(&header), "they are not random");
        let crashed_again = killed(&crashed);
        assert_eq!(end(&open(&crashed_again)).await, 52 + round as u64 % 3, "{round}");
    }
}

#[tokio::test]
async fn what_stops_kills_and_checkpoints_leave_is_opened() {
    for seed in 0..6 {
        let mut random = Random(seed);
        let mut directory = tempfile::tempdir().unwrap();
        let mut placed = 0;
        for _ in 0..12 {
            let store = open(&directory);
            assert_eq!(end(&store).await, placed as u64, "{seed}");
            let mut operator = None;
            for _ in 0..random.below(4) {
                let more = random.below(20);
                place(&store, placed..placed + more).await;
                placed += more;
                match random.below(6) {
                    0 => operator = Some(Connection::open(log_in(&directory)).unwrap()),
                    nth @ 1..5 => checkpoint(&directory, ["PASSIVE", "FULL", "RESTART", "TRUNCATE"][nth - 1]),
                    _ => {}
                }
                if let Some(operator) = &operator {
                    operator.query_row("SELECT count(*) FROM events", (), |_| Ok(())).unwrap();
                }
            }
            match random.below(3) {
                // Stopped in order, whether or not somebody else has it open.
                0 => drop(store),
                1 => {
                    let next = killed(&directory);
                    drop(store);
                    directory = next;
                }
                _ => {
                    drop(store);
                    directory = killed(&directory);
                }
            }
        }
    }
}
