//! The write-ahead log that is open, held against what SQLite's connections know of it.
//!
//! They know it from its index, which is a file as well (<https://sqlite.org/walformat.html>): how many frames were committed, the
//! salts of the turn, and the checksum of the last frame. SQLite itself never looks whether the write-ahead log still has them.
//! Where a new turn begins, and where a copy cuts the file, the index says so first: that it has no frame any more.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::sqlite::connection::companion;
use crate::sqlite::wal_format::{FRAME_HEADER_BYTES, FrameHeader, HEADER_BYTES, Salts, Sums, WalHeader};

/// Frames that are looked at, spread over all; and as many of the last, at growing distances from the end.
const SPREAD_FRAMES: u64 = 64;
const LAST_FRAMES: u32 = 16;
/// How often a look is begun again whose turn has ended meanwhile. Then there is a next look.
const MAX_TRIES: usize = 5;
/// For how long the index's header may be none at each look. To write it takes less than a microsecond.
const UNREADABLE_FOR: Duration = Duration::from_millis(1_500);
/// The header's mark that it is one.
const INITIALISED: u8 = 1;
/// Where the index says how many frames have been copied into the log's file.
const COPIED_OFFSET: u64 = 96;
/// Where the index has the pages of frames, and how many of them in each of its blocks; the first begins with the header.
const BLOCK_BYTES: u64 = 32 * 1024;
const FIRST_PAGES_OFFSET: u64 = 136;
const FRAMES_OF_FIRST_BLOCK: u64 = 4_062;
const FRAMES_OF_BLOCK: u64 = 4_096;

/// Both files are closed after SQLite has closed them: the index has its locks.
pub(crate) struct WatchedWal {
    wal: File,
    index: File,
    last: Committed,
    /// Since when its header has been none.
    unreadable_since: Option<Instant>,
}

/// What has become of a write-ahead log whose frames are there, and are not found any more.
const OTHER_INDEX: &str = "lost its index (the file -shm beside it), which was written over";

/// What was committed to the write-ahead log, as its index has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Committed {
    frames: u64,
    page_bytes: u64,
    salts: Salts,
    /// Of the last frame.
    sums: Sums,
}

impl WatchedWal {
    /// `log`: the log's file itself, whatever links lead to it.
    pub(crate) fn of(log: &Path) -> io::Result<Self> {
        let open = |suffix| File::open(companion(log, suffix));
        let (wal, index) = (open("-wal")?, open("-shm")?);
        Ok(Self { wal, index, last: Committed::default(), unreadable_since: None })
    }

    /// What has become of it, if it does not have what was committed.
    pub(crate) fn lost(&mut self) -> Option<&'static str> {
        for _ in 0..MAX_TRIES {
            let Some(committed) = self.committed() else { continue };
            self.unreadable_since = None;
            let lost = self.lost_of(&committed);
            // A turn that has ended meanwhile takes nothing with it.
            let is_so = self.committed().is_some_and(|now| now.is_after(&committed));
            match lost {
                // It may pass.
                Err(_) => return None,
                Ok(lost) if is_so => {
                    self.last = committed;
                    return lost;
                }
                Ok(_) => {}
            }
        }
        self.unreadable()
    }

    /// Where a header was met, all is well: then turns have ended too often.
    fn unreadable(&mut self) -> Option<&'static str> {
        if self.committed().is_some() {
            return None;
        }
        let since = *self.unreadable_since.get_or_insert_with(Instant::now);
        (since.elapsed() > UNREADABLE_FOR).then_some(OTHER_INDEX)
    }

    fn lost_of(&self, committed: &Committed) -> io::Result<Option<&'static str>> {
        if committed.frames == 0 {
            return Ok(None);
        }
        let is_same_turn = self.last.salts == committed.salts;
        if is_same_turn && committed.frames < self.last.frames {
            return Ok(Some("went back to what it was earlier"));
        }
        if self.wal.metadata()?.len() < committed.offset(committed.frames + 1) {
            return Ok(Some("became shorter"));
        }
        let mut header = [0; HEADER_BYTES];
        self.wal.read_exact_at(&mut header, 0)?;
        let mut are_there = WalHeader::parse(&header).salts == committed.salts;
        for number in looked_at(committed.frames) {
            let frame = self.frame(committed, number)?;
            are_there &= frame.salts == committed.salts;
            if are_there && frame.page != self.indexed_page(number)? {
                return Ok(Some(OTHER_INDEX));
            }
        }
        let copied = u64::from(self.index_word(COPIED_OFFSET)?);
        // More may have been committed, and copied, since the look began.
        if self.committed().is_some_and(|now| now.is_after(committed) && copied > now.frames) {
            return Ok(Some(OTHER_INDEX));
        }
        let known_ends = [Some(committed), Some(&self.last).filter(|last| is_same_turn && last.frames > 0)];
        for end in known_ends.into_iter().flatten() {
            are_there &= self.frame(committed, end.frames)?.sums == end.sums;
        }
        Ok((!are_there).then_some("was cut or written over"))
    }

    fn frame(&self, committed: &Committed, number: u64) -> io::Result<FrameHeader> {
        let mut header = [0; FRAME_HEADER_BYTES];
        self.wal.read_exact_at(&mut header, committed.offset(number))?;
        Ok(FrameHeader::parse(&header))
    }

    /// The page that a frame has, as the index says.
    fn indexed_page(&self, frame: u64) -> io::Result<u32> {
        let offset = match frame.checked_sub(FRAMES_OF_FIRST_BLOCK + 1) {
            None => FIRST_PAGES_OFFSET + (frame - 1) * 4,
            Some(later) => (later / FRAMES_OF_BLOCK + 1) * BLOCK_BYTES + later % FRAMES_OF_BLOCK * 4,
        };
        self.index_word(offset)
    }

    fn index_word(&self, offset: u64) -> io::Result<u32> {
        let mut word = [0; 4];
        self.index.read_exact_at(&mut word, offset)?;
        Ok(u32::from_ne_bytes(word))
    }

    /// `None` while it is being written. It is there twice, and what reads it compares them.
    fn committed(&self) -> Option<Committed> {
        let mut headers = [0; 96];
        self.index.read_exact_at(&mut headers, 0).ok()?;
        let (header, again) = headers.split_at(48);
        let word =
            |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let page_bytes = match u64::from(u16::from_ne_bytes([header[14], header[15]])) {
            1 => 65_536,
            size => size,
        };
        // Of a file in which nothing is it does not know the size of pages.
        let is_whole = page_bytes.is_power_of_two() || word(16) == 0;
        let is_sound = header == again && header[12] == INITIALISED && is_whole;
        let sums = [24, 28].map(word);
        // It has them as the file has: with the highest byte first.
        let salts = [32, 36].map(|at| u32::from_be(word(at)));
        is_sound.then(|| Committed { frames: u64::from(word(16)), page_bytes, salts, sums })
    }
}

impl Committed {
    /// Where a frame begins, from 1.
    fn offset(&self, frame: u64) -> u64 {
        HEADER_BYTES as u64 + (frame - 1) * (FRAME_HEADER_BYTES as u64 + self.page_bytes)
    }

    /// Whether it has what was committed before, and perhaps more.
    fn is_after(&self, before: &Self) -> bool {
        self.salts == before.salts && self.frames >= before.frames
    }
}

/// Some of so many frames: all if there are few.
fn looked_at(frames: u64) -> impl Iterator<Item = u64> {
    let step = frames.div_ceil(SPREAD_FRAMES).max(1);
    let spread = (1..=frames).step_by(usize::try_from(step).unwrap_or(usize::MAX));
    spread.chain(
        (0..LAST_FRAMES).filter_map(move |power| frames.checked_sub(1 << power)).filter(|frame| *frame > 0),
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};

    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::*;

    fn log_in(directory: &TempDir) -> PathBuf {
        directory.path().join("orders.db")
    }

    fn open(directory: &TempDir) -> Connection {
        let log = Connection::open(log_in(directory)).unwrap();
        log.busy_timeout(Duration::from_secs(30)).unwrap();
        let set_up = "PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = off; \
            CREATE TABLE IF NOT EXISTS rows (data)";
        log.execute_batch(set_up).unwrap();
        log
    }

    fn write(log: &Connection, bytes: u32) {
        log.execute("INSERT INTO rows VALUES (randomblob(?1))", [bytes]).unwrap();
    }

    /// Turns begin and end, and the file is cut and grows, while it is looked at all the time.
    #[test]
    fn whatever_sqlite_does_is_no_loss() {
        let directory = tempfile::tempdir().unwrap();
        let [log, operator] = [(); 2].map(|()| open(&directory));
        let mut watched = WatchedWal::of(&log_in(&directory)).unwrap();
        let is_over = &AtomicBool::new(false);
        let (mut looks, mut most_frames) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for turn in 0_u32.. {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let kind = ["PASSIVE", "TRUNCATE", "RESTART", "FULL"][turn as usize % 4];
                    (0..turn % 40).for_each(|bytes| write(&log, bytes * 300));
                    let writer = if turn % 3 == 0 { &operator } else { &log };
                    write(writer, 40_000);
                    writer.query_row(&format!("PRAGMA wal_checkpoint({kind})"), (), |_| Ok(())).unwrap();
                }
            });
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(2) {
                let lost = watched.lost();
                is_over.store(lost.is_some(), Ordering::Relaxed);
                assert_eq!(lost, None, "look {looks}");
                looks += 1;
                most_frames = most_frames.max(watched.last.frames);
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert!(most_frames > 100 && looks > 100, "{most_frames} frames in {looks} looks");
    }

    #[test]
    fn an_index_of_nothing_is_one() {
        let directory = tempfile::tempdir().unwrap();
        drop(open(&directory));
        let log = Connection::open(log_in(&directory)).unwrap();
        log.query_row("SELECT count(*) FROM rows", (), |_| Ok(())).unwrap();
        let mut watched = WatchedWal::of(&log_in(&directory)).unwrap();
        assert_eq!(watched.lost(), None);
        assert_eq!(watched.unreadable_since, None);
    }

    /// Unless its header is none, SQLite believes it, and reads other pages or copies too few of them.
    #[test]
    fn an_index_that_is_written_over_is_noticed() {
        for (at, bytes) in [(136, 4 * 4_062), (32 * 1024, 4_000), (96, 4)] {
            let directory = tempfile::tempdir().unwrap();
            let log = open(&directory);
            let mut watched = WatchedWal::of(&log_in(&directory)).unwrap();
            (0..100).for_each(|_| write(&log, 300_000));
            assert_eq!(watched.lost(), None);
            assert!(watched.last.frames > 6_000, "{}", watched.last.frames);
            let index = companion(&log_in(&directory), "-shm");
            let index = File::options().write(true).open(index).unwrap();
            index.write_all_at(&vec![0x77; bytes], at).unwrap();
            assert_eq!(watched.lost(), Some(OTHER_INDEX), "{at}");
        }
        let directory = tempfile::tempdir().unwrap();
        let log = open(&directory);
        let mut watched = WatchedWal::of(&log_in(&directory)).unwrap();
        write(&log, 10);
        let index = companion(&log_in(&directory), "-shm");
        File::options().write(true).open(index).unwrap().write_all_at(&[0; 96], 0).unwrap();
        let begun = Instant::now();
        assert_eq!(watched.lost(), None, "it may be just being written");
        while watched.lost().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(30));
        }
        // What SQLite makes anew by itself is as good.
        assert_eq!(log.query_row("SELECT count(*) FROM rows", (), |row| row.get(0)), Ok(1));
        assert_eq!(watched.lost(), None);
    }

    #[test]
    fn frames_near_the_end_and_some_of_all_are_looked_at() {
        for frames in [1, 2, 63, 64, 65, 2_048, 1 << 40] {
            let looked_at: Vec<_> = looked_at(frames).collect();
            assert!(looked_at.iter().all(|frame| (1..=frames).contains(frame)), "{frames}: {looked_at:?}");
            assert!(looked_at.contains(&1) && (frames == 1 || looked_at.contains(&(frames - 1))), "{frames}");
            assert!(looked_at.len() <= 80);
        }
    }
}
