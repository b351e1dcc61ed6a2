//! The log's file as it lies on the disk, held against its write-ahead log.
//!
//! What is true of both after every crash: pages only come to the log, never go. The file has no more pages than the last
//! commit of the write-ahead log says, and each page that the file lacks of them is in the write-ahead log: all that was
//! there when the write-ahead log began its turn is in the file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::sqlite::loss::write_ahead_log::{CommittedPages, PAGE_OFFSET, WriteAheadLog};
use crate::sqlite::loss::{Loss, comparison};

const HEADER_BYTES: usize = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";
/// SQLite's locks are on this byte; it never uses the page that has it.
const LOCK_BYTE: u32 = 0x4000_0000;

/// A file that is a database.
pub(super) struct LogFile<'a> {
    path: &'a Path,
    file: File,
    bytes: u64,
    pub(super) page_bytes: u32,
    /// How many pages it says it has, if it says so.
    says_pages: Option<u32>,
}

impl<'a> LogFile<'a> {
    /// Opens it. `None` where there is none, and where it is no database.
    pub(super) fn open(path: &'a Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let bytes = file.metadata()?.len();
        let mut header = [0; HEADER_BYTES];
        if bytes < HEADER_BYTES as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut header, 0)?;
        let word =
            |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let page_bytes = match u32::from(u16::from_be_bytes([header[16], header[17]])) {
            1 => 65_536,
            size => size,
        };
        if !header.starts_with(MAGIC) || page_bytes < 512 || !page_bytes.is_power_of_two() {
            return Ok(None);
        }
        // It is believed as SQLite believes it: if whoever wrote it last was one that keeps it.
        let says_pages = (word(24) == word(92)).then(|| word(28)).filter(|pages| *pages > 0);
        Ok(Some(Self { path, file, bytes, page_bytes, says_pages }))
    }

    /// Why it does not belong to its write-ahead log, or has lost its end. Damage in the write-ahead log comes first, and what
    /// recovery takes before it is looked at all the same.
    pub(super) fn mismatches(&self, wal_path: &Path, wal: &WriteAheadLog) -> io::Result<Vec<Loss>> {
        let broken = wal.broken_frame.map(|frame| Loss::BrokenWal { wal: wal_path.to_owned(), frame });
        Ok(broken.into_iter().chain(self.mismatch(wal_path, wal)?).collect())
    }

    fn mismatch(&self, wal_path: &Path, wal: &WriteAheadLog) -> io::Result<Option<Loss>> {
        let path = wal_path.to_owned();
        if wal.has_other_pages {
            return Ok(Some(Loss::OtherWal { wal: path }));
        }
        let page_bytes = u64::from(self.page_bytes);
        let (whole_pages, pages) = (self.bytes / page_bytes, self.bytes.div_ceil(page_bytes));
        let says_pages = self.says_pages.map_or(0, u64::from);
        // What SQLite would take of an earlier header is of that time, too.
        if let Some(unvouched) = &wal.unvouched
            && (wal.recovered.is_some() || !self.has_all_of(unvouched, wal_path)?)
        {
            return Ok(Some(Loss::WalWithoutHeader { wal: path }));
        }
        let Some(recovered) = &wal.recovered else {
            let (log, of) = (self.path.to_owned(), says_pages);
            return Ok((of > whole_pages).then_some(Loss::CutLog { log, pages: whole_pages, of }));
        };
        if pages.max(says_pages) > u64::from(recovered.log_pages) {
            // With all pages it is a database by itself, as `VACUUM` leaves it: then its events tell.
            let is_whole = self.missing_pages(0, recovered) == 0;
            let is_earlier = !is_whole || comparison::is_of_another(self.path);
            return Ok(is_earlier.then_some(Loss::EarlierWal { wal: path }));
        }
        let missing = self.missing_pages(whole_pages, recovered);
        Ok((missing > 0).then_some(Loss::LaterWal { wal: path, missing_pages: missing }))
    }

    /// Pages that are neither in the file nor in the write-ahead log.
    fn missing_pages(&self, whole_pages: u64, recovered: &CommittedPages) -> u64 {
        let first = u32::try_from(whole_pages + 1).unwrap_or(u32::MAX);
        let lock_page = LOCK_BYTE / self.page_bytes + 1;
        let is_missing = |page: &u32| *page != lock_page && !recovered.offsets.contains_key(page);
        (first..=recovered.log_pages).filter(is_missing).count() as u64
    }

    /// Whether all of these pages have been copied into the file.
    fn has_all_of(&self, committed: &CommittedPages, wal_path: &Path) -> io::Result<bool> {
        let wal = File::open(wal_path)?;
        let (mut in_wal, mut in_log) = (vec![0; self.page_bytes as usize], vec![0; self.page_bytes as usize]);
        for (page, offset) in &committed.offsets {
            let place = u64::from(page - 1) * u64::from(self.page_bytes);
            if place + u64::from(self.page_bytes) > self.bytes {
                return Ok(false);
            }
            wal.read_exact_at(&mut in_wal, offset + PAGE_OFFSET)?;
            self.file.read_exact_at(&mut in_log, place)?;
            if in_wal != in_log {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
