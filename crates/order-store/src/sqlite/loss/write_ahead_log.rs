//! A write-ahead log as it lies on the disk, read as SQLite's recovery reads it, and beyond where that ends.
//!
//! Recovery ends at the first frame that does not go on from the one before, or has other salts than the header, and takes what was
//! committed before it.
//!
//! After a crash that is the last transaction at most, since each is synced before the next one begins. So a frame that goes
//! on from a commit *behind* the first bad frame proves that something was lost that had been safe. What a failed
//! transaction has left there goes on from nothing that is there any more.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::sqlite::log::finished_wals::WalTurn;
use crate::sqlite::wal_format::{FRAME_HEADER_BYTES, FrameHeader, HEADER_BYTES, Salts, Sums, WalHeader};

/// What is read from the disk at a time.
const BUFFER_BYTES: usize = 256 * 1024;
/// Turns that a file may have had since somebody took what is put over its beginning: 8 TiB of commits, about. Salts that are further
/// apart were random.
const MAX_TURNS: u32 = 1 << 20;

/// What a write-ahead log has.
#[derive(Default)]
pub(super) struct WriteAheadLog {
    /// What recovery takes.
    pub(super) recovered: Option<CommittedPages>,
    /// How many frames that are.
    pub(super) recovered_frames: u64,
    /// The first frame that cannot be read, from 1, if it is certain that more was committed behind it.
    pub(super) broken_frame: Option<u64>,
    /// What was committed by the frames behind a header that is not what was written, or by those of a later turn than the header's.
    /// SQLite takes nothing of it. After a crash that is right: the header of the next turn is written and synced before its
    /// frames, when all that the turn before has is in the log's file.
    pub(super) unvouched: Option<CommittedPages>,
    /// Its pages have another size than the log's.
    pub(super) has_other_pages: bool,
    /// Which turn it is in, if its header is what was written.
    pub(super) turn: Option<WalTurn>,
}

/// Pages that were committed.
#[derive(Default)]
pub(super) struct CommittedPages {
    /// How many pages the log has after the last commit.
    pub(super) log_pages: u32,
    /// Where in the write-ahead log the newest content of each is, by their numbers from 1.
    pub(super) offsets: HashMap<u32, u64>,
    /// Where the last frame ends.
    pub(super) end: u64,
}

impl WriteAheadLog {
    /// Reads a whole write-ahead log. Where there is none, nothing is in it.
    pub(super) fn read(path: &Path, page_bytes: u32) -> io::Result<Self> {
        let mut file = match File::open(path) {
            Ok(file) => BufReader::with_capacity(BUFFER_BYTES, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let mut header = [0; HEADER_BYTES];
        if !fill(&mut file, &mut header)? {
            return Ok(Self::default());
        }
        let header = WalHeader::parse(&header);
        if header.is_sound && header.page_bytes != page_bytes {
            return Ok(Self { has_other_pages: true, ..Self::default() });
        }
        let mut walk = Walk::new(header);
        let mut frame = vec![0; FRAME_HEADER_BYTES + page_bytes as usize];
        while fill(&mut file, &mut frame)? {
            walk.take(&frame);
        }
        let Walk { header, recovered, broken_frame, unvouched, is_of_later_turn, .. } = walk;
        let unvouched = unvouched.committed.filter(|_| !header.is_sound || is_of_later_turn);
        let turn = header.is_sound.then(|| WalTurn::of(&header));
        let recovered = recovered.committed;
        let end = recovered.as_ref().map_or(0, |recovered| recovered.end);
        let recovered_frames = end.saturating_sub(HEADER_BYTES as u64) / frame.len() as u64;
        Ok(Self { recovered, recovered_frames, broken_frame, unvouched, has_other_pages: false, turn })
    }
}

/// Where in a frame its page begins.
pub(super) const PAGE_OFFSET: u64 = FRAME_HEADER_BYTES as u64;

/// Fills a buffer. `false` where the file ends before.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        filled => filled.map(|()| true),
    }
}

struct Frame {
    page: u32,
    /// Of the last frame of a commit: how many pages the log has then. 0 of any other.
    log_pages: u32,
    salts: Salts,
    sums: Sums,
    /// Its checksum goes on from that of the frame before.
    goes_on: bool,
    /// Where it is in the file.
    offset: u64,
    end: u64,
}

/// Frames that go on from each other.
struct Run {
    goes_on: bool,
    salts: Salts,
    uncommitted: Vec<(u32, u64)>,
    committed: Option<CommittedPages>,
}

impl Run {
    fn new(goes_on: bool, salts: Salts) -> Self {
        Self { goes_on, salts, uncommitted: Vec::new(), committed: None }
    }

    /// Adds a frame; one that does not fit ends the run.
    fn take(&mut self, frame: &Frame, goes_on: bool) {
        self.goes_on &= goes_on && frame.page != 0 && frame.salts == self.salts;
        if !self.goes_on {
            return;
        }
        self.uncommitted.push((frame.page, frame.offset));
        if frame.log_pages != 0 {
            let committed = self.committed.get_or_insert_default();
            committed.offsets.extend(self.uncommitted.drain(..));
            committed.log_pages = frame.log_pages;
            committed.end = frame.end;
        }
    }
}

/// Goes from frame to frame.
struct Walk {
    header: WalHeader,
    number: u64,
    /// Of the frame before, or of the header.
    sums: Sums,
    follows_commit: bool,
    recovered: Run,
    unvouched: Run,
    /// The header is what was written, in an earlier turn than these.
    is_of_later_turn: bool,
    /// The number of the first frame that recovery does not take; 0 before that.
    first_bad: u64,
    broken_frame: Option<u64>,
}

impl Walk {
    fn new(header: WalHeader) -> Self {
        Self {
            number: 0,
            sums: header.sums,
            follows_commit: false,
            recovered: Run::new(header.is_sound, header.salts),
            unvouched: Run::new(!header.is_sound, header.salts),
            is_of_later_turn: false,
            first_bad: 0,
            broken_frame: None,
            header,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let Some(frame) = self.parse(bytes) else { return };
        self.number += 1;
        let was_going_on = self.recovered.goes_on;
        self.recovered.take(&frame, frame.goes_on);
        if was_going_on && !self.recovered.goes_on {
            self.first_bad = self.number;
        } else if self.first_bad > 0 && self.proves_a_loss(&frame) {
            self.broken_frame.get_or_insert(self.first_bad);
        }
        self.take_unvouched(&frame);
        (self.sums, self.follows_commit) = (frame.sums, frame.log_pages != 0);
    }

    /// The first frame goes on from a header that is not believed. The disk may have lost it, too, and some more: then what
    /// goes on from a frame before begins it. What is committed first is of the newest turn.
    fn take_unvouched(&mut self, frame: &Frame) {
        if self.header.is_sound {
            self.take_later(frame);
            return;
        }
        let is_first = self.number == 1;
        if is_first || !self.unvouched.goes_on && self.unvouched.committed.is_none() && frame.goes_on {
            self.unvouched = Run::new(true, frame.salts);
        }
        self.unvouched.take(frame, frame.goes_on || is_first);
    }

    /// Frames of a later turn than the header's: somebody has put the beginning of an earlier file over this one. What an earlier turn
    /// has left is of an earlier one, but where nothing of the file was ever recovered: then that is a transaction, and none follows.
    fn take_later(&mut self, frame: &Frame) {
        if !frame.goes_on || !is_before(self.header.salts, frame.salts) {
            self.unvouched.goes_on = false;
            return;
        }
        if !self.unvouched.goes_on || self.unvouched.salts != frame.salts {
            if self.is_of_later_turn {
                return;
            }
            self.unvouched = Run::new(true, frame.salts);
        }
        self.is_of_later_turn |= self.unvouched.committed.is_some();
        self.unvouched.take(frame, true);
    }

    /// Whether a frame behind the first bad one was written after a commit behind it: that had been synced by then.
    fn proves_a_loss(&self, frame: &Frame) -> bool {
        self.follows_commit && frame.goes_on && frame.salts == self.header.salts
    }

    fn parse(&self, bytes: &[u8]) -> Option<Frame> {
        let (head, content) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>()?;
        let FrameHeader { page, database_pages, salts, sums } = FrameHeader::parse(head);
        let goes_on = self.header.sums_after(self.sums, head, content) == sums;
        let offset = HEADER_BYTES as u64 + self.number * bytes.len() as u64;
        let end = offset + bytes.len() as u64;
        Some(Frame { page, log_pages: database_pages, salts, sums, goes_on, offset, end })
    }
}

/// Whether salts are of a later turn than a header's.
fn is_before(header: Salts, frame: Salts) -> bool {
    (1..MAX_TURNS).contains(&frame[0].wrapping_sub(header[0]))
}
