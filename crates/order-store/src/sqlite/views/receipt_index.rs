//! Finds a receipt in the log by its key, and proves that there is none.
//!
//! An entry is the hash of a receipt's key with the receipt's number. Entries are parted into *segments* of about a million
//! numbers that follow on each other: new entries go into the newest segment only, however many there are, and when all
//! receipts of the oldest one were deleted, its entries go together. So to delete an old receipt costs no look at its entry.
//!
//! A segment is parted into 256 ranges of hashes. For each range the segment's row keeps how many entries it has, and their
//! fingerprints: see [`id_ranges`](crate::sqlite::views::id_ranges), which does the same for orders. Before a key is said to
//! have no receipt, its ranges are read, which have to come to just that. How many segments there are stands beside how far
//! the index has come, so that none can be lost with its row.

use std::ops::Range;

use rusqlite::{Connection, OptionalExtension, params};
use twox_hash::XxHash3_64;

use crate::checksum::Checksum;
use crate::sqlite::log::receipts::Sequence;
use crate::sqlite::views::ViewsError;
use crate::sqlite::views::id_ranges::totals_of;
use crate::sqlite::views::progress::{FileProgress, IdTotals};

const SEGMENTS: &str = "SELECT id FROM receipt_segments WHERE id >= ?1 ORDER BY id DESC";
const LOAD_TOTALS: &str = "SELECT totals, checksum FROM receipt_segments WHERE id = ?1";
const SAVE_TOTALS: &str =
    "INSERT OR REPLACE INTO receipt_segments (id, totals, checksum) VALUES (?1, ?2, ?3)";
const FIND: &str = "SELECT sequence FROM receipt_index WHERE segment = ?1 AND hash = ?2";
const ENTRIES_BETWEEN: &str = "SELECT hash, sequence FROM receipt_index \
    WHERE segment = ?1 AND hash BETWEEN ?2 AND ?3";
const HAS_ENTRY: &str = "SELECT EXISTS (SELECT 1 FROM receipt_index \
    WHERE segment = ?1 AND hash = ?2 AND sequence = ?3)";

/// A segment has as many numbers as these lower bits can tell apart.
const SEGMENT_BITS: u32 = 20;
/// A range is so many upper bits of a hash.
const RANGE_BITS: u32 = 8;
/// The ranges of a segment.
pub(crate) const RANGES: usize = 1 << RANGE_BITS;
/// Bits of a hash below those that name its range.
const RANGE_SHIFT: u32 = i64::BITS - RANGE_BITS;

/// A segment's number.
pub(crate) type Segment = u64;

/// The segment that a receipt's number belongs to.
pub(crate) fn segment_of(sequence: Sequence) -> Segment {
    sequence >> SEGMENT_BITS
}

/// The hash of a key, with the seed that nobody can guess: otherwise somebody could choose keys that are all in one range.
pub(crate) fn hash_key(key: &[u8], seed: u64) -> i64 {
    XxHash3_64::oneshot_with_seed(seed, key).cast_signed()
}

/// Says of one receipt where it is. Entries sort as the table does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ReceiptEntry {
    pub(crate) segment: Segment,
    pub(crate) hash: i64,
    pub(crate) sequence: Sequence,
}

impl ReceiptEntry {
    pub(crate) fn new(key: &[u8], sequence: Sequence, seed: u64) -> Self {
        Self { segment: segment_of(sequence), hash: hash_key(key, seed), sequence }
    }
}

/// The numbers of receipts whose keys have a hash, in those segments that may have one. If there are none, that is certain:
/// it is proved in the snapshot that was looked into, since another may be of another file.
pub(crate) fn find(
    views: &Connection,
    hash: i64,
    may_have: impl Fn(Segment) -> bool,
) -> Result<Vec<Sequence>, ViewsError> {
    let mut statement = views.prepare_cached(FIND)?;
    let mut found = Vec::new();
    for segment in segments(views)?.into_iter().filter(|segment| may_have(*segment)) {
        let mut rows = statement.query(params![segment, hash])?;
        while let Some(row) = rows.next()? {
            found.push(row.get(0)?);
        }
    }
    if found.is_empty() { find_all(views, hash, may_have) } else { Ok(found) }
}

/// The same, and it is certain that these are all.
pub(crate) fn find_all(
    views: &Connection,
    hash: i64,
    may_have: impl Fn(Segment) -> bool,
) -> Result<Vec<Sequence>, ViewsError> {
    let range = range_of(hash);
    let mut found = Vec::new();
    for segment in segments(views)?.into_iter().filter(|segment| may_have(*segment)) {
        let entries = proven_entries(views, segment, range..range + 1)?;
        found.extend(entries.into_iter().filter(|entry| entry.hash == hash).map(|entry| entry.sequence));
    }
    Ok(found)
}

/// The segments that there are, the newest first.
pub(crate) fn segments(views: &Connection) -> Result<Vec<Segment>, ViewsError> {
    let progress = FileProgress::load(views)?.receipts;
    let mut statement = views.prepare_cached(SEGMENTS)?;
    let ids = statement.query_map([progress.first_segment], |row| row.get(0))?;
    let segments = ids.collect::<Result<Vec<Segment>, _>>()?;
    if segments.len() as u64 == progress.segments { Ok(segments) } else { Err(lost()) }
}

/// The entries of some ranges of a segment, which are certain to be all that they ever had.
pub(crate) fn proven_entries(
    views: &Connection,
    segment: Segment,
    ranges: Range<usize>,
) -> Result<Vec<ReceiptEntry>, ViewsError> {
    let expected = SegmentTotals::load(views, segment)?.ok_or_else(lost)?;
    let mut found = SegmentTotals::empty();
    let mut statement = views.prepare_cached(ENTRIES_BETWEEN)?;
    let read =
        |row: &rusqlite::Row<'_>| Ok(ReceiptEntry { segment, hash: row.get(0)?, sequence: row.get(1)? });
    let last_hash = last_hash(ranges.end - 1);
    let entries = statement.query_map(params![segment, first_hash(ranges.start), last_hash], read)?;
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    entries.iter().for_each(|entry| found.add(*entry));
    #[cfg(feature = "planted-faults")]
    if crate::sqlite::planted_faults::is_planted("unchecked-keys") {
        return Ok(entries);
    }
    if found.0[ranges.clone()] == expected.0[ranges] { Ok(entries) } else { Err(lost()) }
}

/// Whether there is an entry.
pub(crate) fn has(views: &Connection, entry: ReceiptEntry) -> rusqlite::Result<bool> {
    let ReceiptEntry { segment, hash, sequence } = entry;
    views.prepare_cached(HAS_ENTRY)?.query_row(params![segment, hash, sequence], |row| row.get(0))
}

/// Counts new entries of one segment in their ranges. Answers whether the segment is new itself.
pub(super) fn count(
    views: &Connection,
    segment: Segment,
    entries: &[ReceiptEntry],
) -> Result<bool, ViewsError> {
    let earlier = SegmentTotals::load(views, segment)?;
    let is_new = earlier.is_none();
    let mut totals = earlier.unwrap_or_else(SegmentTotals::empty);
    entries.iter().for_each(|entry| totals.add(*entry));
    let bytes = totals.bytes();
    let checksum = checksum_of(segment, &bytes);
    views.prepare_cached(SAVE_TOTALS)?.execute(params![segment, bytes, checksum.as_bytes()])?;
    Ok(is_new)
}

/// The hashes that are in the range of one.
pub(super) fn hashes_beside(hash: i64) -> (i64, i64) {
    let range = range_of(hash);
    (first_hash(range), last_hash(range))
}

/// What the ranges of a segment come to.
struct SegmentTotals(Vec<IdTotals>);

impl SegmentTotals {
    fn empty() -> Self {
        Self(vec![IdTotals::default(); RANGES])
    }

    fn add(&mut self, entry: ReceiptEntry) {
        self.0[range_of(entry.hash)].combine(totals_of((entry.hash, entry.sequence)));
    }

    /// The row of a segment, if there is one.
    fn load(views: &Connection, segment: Segment) -> Result<Option<Self>, ViewsError> {
        let mut statement = views.prepare_cached(LOAD_TOTALS)?;
        let row = statement.query_row([segment], |row| {
            let (totals, checksum) = (row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
            let is_sound = checksum_of(segment, totals).as_bytes() == checksum;
            Ok(is_sound.then(|| Self::read(totals)).flatten())
        });
        row.optional()?.map(|totals| totals.ok_or_else(lost)).transpose()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (totals, rest) = bytes.as_chunks();
        let is_whole = totals.len() == RANGES && rest.is_empty();
        is_whole.then(|| Self(totals.iter().copied().map(IdTotals::from_bytes).collect()))
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|totals| totals.to_bytes()).collect()
    }
}

fn checksum_of(segment: Segment, totals: &[u8]) -> Checksum {
    Checksum::of(&[&segment.to_le_bytes(), totals].concat())
}

/// The index has lost something.
fn lost() -> ViewsError {
    ViewsError::Damaged("the index of receipts does not have the entries that it should".to_owned())
}

/// The place of a hash's range among all, by their order as numbers with a sign.
fn range_of(hash: i64) -> usize {
    (RANGES as i64 / 2 + (hash >> RANGE_SHIFT)) as usize
}

fn first_hash(range: usize) -> i64 {
    (range as i64 - RANGES as i64 / 2) << RANGE_SHIFT
}

fn last_hash(range: usize) -> i64 {
    first_hash(range) | ((1 << RANGE_SHIFT) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::views::progress::ReceiptProgress;
    use crate::sqlite::views::schema::SCHEMA;

    #[test]
    fn every_hash_is_in_the_range_between_whose_ends_it_is() {
        for hash in [i64::MIN, i64::MIN + 1, -1, 0, 1, 1 << RANGE_SHIFT, i64::MAX] {
            let (first, last) = hashes_beside(hash);
            assert!((first..=last).contains(&hash), "{hash}");
            assert_eq!((range_of(first), range_of(last)), (range_of(hash), range_of(hash)), "{hash}");
        }
        assert_eq!((range_of(i64::MIN), range_of(i64::MAX)), (0, RANGES - 1));
        assert_eq!((first_hash(0), last_hash(RANGES - 1)), (i64::MIN, i64::MAX));
    }

    /// An index of a receipt with this hash.
    fn index_of(hash: i64) -> Connection {
        let views = Connection::open_in_memory().unwrap();
        views.execute_batch(SCHEMA).unwrap();
        let entry = ReceiptEntry { segment: 0, hash, sequence: 1 };
        views.execute("INSERT INTO receipt_index VALUES (0, ?1, 1)", [hash]).unwrap();
        assert!(count(&views, 0, &[entry]).unwrap());
        let receipts = ReceiptProgress { last: 1, last_hash: hash, first_segment: 0, segments: 1 };
        FileProgress { receipts, ..FileProgress::default() }.save(&views).unwrap();
        views
    }

    #[test]
    fn one_look_up_finds_what_is_there_and_proves_what_is_not() {
        let views = index_of(7);
        assert_eq!(find(&views, 7, |_| true).unwrap(), [1]);
        assert_eq!(find_all(&views, 7, |_| true).unwrap(), [1]);
        assert!(find(&views, 8, |_| true).unwrap().is_empty());
        views.execute("DELETE FROM receipt_index", ()).unwrap();
        for hash in [7, 8] {
            assert!(find(&views, hash, |_| true).is_err(), "{hash}");
            assert!(find(&views, hash, |_| false).unwrap().is_empty(), "{hash}");
        }
        // Another with the same hash does not stand in for it.
        views.execute("INSERT INTO receipt_index VALUES (0, 7, 2)", ()).unwrap();
        assert_eq!(find(&views, 7, |_| true).unwrap(), [2]);
        assert!(find_all(&views, 7, |_| true).is_err());
    }
}
