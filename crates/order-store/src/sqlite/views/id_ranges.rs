//! Proof that an order is not in the index of orders: absence is as good as what the index has lost.
//!
//! The hashes are parted into 65,536 ranges. For each the file keeps how many entries the index has there, and what their
//! fingerprints make when each is laid over the others by exclusive or: its [`IdTotals`]. They are written in the
//! transactions that add the entries. An order is not there if its range adds up without it: that takes a look at the few
//! entries of one range.
//!
//! A range that is empty has no row, and one that was lost with all of its entries has none either. So 256 ranges make a
//! group, which has totals of its own; and all entries together add up to what is written, under a checksum, beside how far
//! the views have come. The fewer entries there are, the likelier an empty range is, and the shorter the way through all.

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};
use twox_hash::XxHash3_64;

use super::super::overlay::OrderKey;
use super::progress::Progress;

/// An entry of the index: an id's hash, and the order's key.
pub(in crate::sqlite) type IdEntry = (i64, OrderKey);

/// One of the two tables of totals; `(sum | new) - (sum & new)` is SQLite's way to say exclusive or.
macro_rules! upsert {
    ($table:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " (range, entries, sum) VALUES (?1, ?2, ?3) ON CONFLICT (range) DO UPDATE SET \
              entries = entries + excluded.entries, sum = (sum | excluded.sum) - (sum & excluded.sum)"
        )
    };
}

const UPSERT_RANGE: &str = upsert!("id_ranges");
const UPSERT_GROUP: &str = upsert!("id_groups");
const RANGE: &str = "SELECT entries, sum FROM id_ranges WHERE range = ?1";
const GROUP: &str = "SELECT entries, sum FROM id_groups WHERE range = ?1";
const GROUPS: &str = "SELECT range, entries, sum FROM id_groups ORDER BY range";
const RANGES_BETWEEN: &str =
    "SELECT range, entries, sum FROM id_ranges WHERE range BETWEEN ?1 AND ?2 ORDER BY range";
const ENTRIES_BETWEEN: &str = "SELECT hash, key FROM order_ids WHERE hash BETWEEN ?1 AND ?2";
const ENTRIES_FROM: &str = "SELECT hash, key FROM order_ids WHERE hash >= ?1 ORDER BY hash LIMIT ?2";

/// The first and the last range.
const FIRST_RANGE: i64 = i16::MIN as i64;
const LAST_RANGE: i64 = i16::MAX as i64;
/// A group is this many upper bits of a range's number.
const GROUP_SHIFT: u32 = 8;

/// What a set of entries comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::sqlite) struct IdTotals {
    pub(in crate::sqlite) entries: u64,
    pub(in crate::sqlite) sum: i64,
}

impl IdTotals {
    fn add(&mut self, entry: IdEntry) {
        self.combine(Self { entries: 1, sum: fingerprint(entry) });
    }

    pub(super) fn combine(&mut self, other: Self) {
        self.entries = self.entries.wrapping_add(other.entries);
        self.sum ^= other.sum;
    }

    fn of_row(row: &rusqlite::Row<'_>, first_column: usize) -> rusqlite::Result<Self> {
        Ok(Self { entries: row.get(first_column)?, sum: row.get(first_column + 1)? })
    }
}

/// The range that a hash belongs to.
fn range(hash: i64) -> i64 {
    hash >> 48
}

fn first_hash(range: i64) -> i64 {
    range << 48
}

fn last_hash(range: i64) -> i64 {
    first_hash(range) | ((1 << 48) - 1)
}

fn fingerprint((hash, key): IdEntry) -> i64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&hash.to_le_bytes());
    bytes[8..].copy_from_slice(&key.to_le_bytes());
    XxHash3_64::oneshot(&bytes).cast_signed()
}

/// Sums up entries that are being added in the order of their hashes, and writes the totals of each range and group when it
/// is complete.
pub(super) struct RangeWriter<'c> {
    ranges: TotalsWriter<'c>,
    groups: TotalsWriter<'c>,
    /// Of all entries that were added.
    pub(super) totals: IdTotals,
}

impl<'c> RangeWriter<'c> {
    pub(super) fn new(connection: &'c Connection) -> rusqlite::Result<Self> {
        let ranges = TotalsWriter::new(connection.prepare_cached(UPSERT_RANGE)?);
        let groups = TotalsWriter::new(connection.prepare_cached(UPSERT_GROUP)?);
        Ok(Self { ranges, groups, totals: IdTotals::default() })
    }

    pub(super) fn add(&mut self, entry: IdEntry) -> rusqlite::Result<()> {
        let range = range(entry.0);
        self.totals.add(entry);
        self.ranges.add(range, entry)?;
        self.groups.add(range >> GROUP_SHIFT, entry)
    }

    /// Writes what is left.
    pub(super) fn write(&mut self) -> rusqlite::Result<()> {
        self.ranges.write()?;
        self.groups.write()
    }
}

/// Writes the totals of one table.
struct TotalsWriter<'c> {
    upsert: CachedStatement<'c>,
    range: i64,
    totals: IdTotals,
}

impl<'c> TotalsWriter<'c> {
    fn new(upsert: CachedStatement<'c>) -> Self {
        Self { upsert, range: FIRST_RANGE, totals: IdTotals::default() }
    }

    fn add(&mut self, range: i64, entry: IdEntry) -> rusqlite::Result<()> {
        if range != self.range {
            self.write()?;
            self.range = range;
        }
        self.totals.add(entry);
        Ok(())
    }

    fn write(&mut self) -> rusqlite::Result<()> {
        let IdTotals { entries, sum } = std::mem::take(&mut self.totals);
        if entries > 0 {
            self.upsert.execute(params![self.range, entries, sum])?;
        }
        Ok(())
    }
}

const LOST_ENTRIES: &str = "the index of orders does not have the entries that it should";
const LOST_RANGES: &str = "the ranges of the index of orders are not all there";

/// Whether the index has lost nothing in the range of a hash. The inner error says what is wrong.
pub(in crate::sqlite) fn prove_range(views: &Connection, hash: i64) -> rusqlite::Result<Result<(), String>> {
    #[cfg(feature = "planted-faults")]
    if super::super::unchecked::absence() {
        return Ok(Ok(()));
    }
    let range = range(hash);
    let found = totals_between(views, range, range)?;
    match select_totals(views, RANGE, range)? {
        Some(expected) if expected == found => Ok(Ok(())),
        None if found == IdTotals::default() => prove_group(views, range >> GROUP_SHIFT),
        Some(_) | None => Ok(Err(LOST_ENTRIES.to_owned())),
    }
}

/// Whether the index has lost nothing in a group of ranges.
fn prove_group(views: &Connection, group: i64) -> rusqlite::Result<Result<(), String>> {
    let found = totals_between(views, group << GROUP_SHIFT, last_range_of(group))?;
    match select_totals(views, GROUP, group)? {
        Some(expected) if expected == found => Ok(Ok(())),
        None if found == IdTotals::default() => prove_index(views),
        Some(_) | None => Ok(Err(LOST_ENTRIES.to_owned())),
    }
}

/// Whether the index has lost nothing at all.
fn prove_index(views: &Connection) -> rusqlite::Result<Result<(), String>> {
    let found = totals_between(views, FIRST_RANGE, LAST_RANGE)?;
    Ok(match Progress::load(views)? {
        Ok(progress) if progress.ids == found => Ok(()),
        Ok(_) => Err(LOST_ENTRIES.to_owned()),
        Err(what) => Err(what),
    })
}

fn last_range_of(group: i64) -> i64 {
    (group << GROUP_SHIFT) | ((1 << GROUP_SHIFT) - 1)
}

/// What the entries of ranges come to.
fn totals_between(views: &Connection, first: i64, last: i64) -> rusqlite::Result<IdTotals> {
    let mut totals = IdTotals::default();
    let mut statement = views.prepare_cached(ENTRIES_BETWEEN)?;
    let mut rows = statement.query([first_hash(first), last_hash(last)])?;
    while let Some(row) = rows.next()? {
        totals.add((row.get(0)?, row.get(1)?));
    }
    Ok(totals)
}

fn select_totals(views: &Connection, sql: &str, range: i64) -> rusqlite::Result<Option<IdTotals>> {
    views.prepare_cached(sql)?.query_row([range], |row| IdTotals::of_row(row, 0)).optional()
}

/// Whether all ranges are there: those of a group add up to the group, and the groups to all that there is.
fn prove_ranges(views: &Connection) -> rusqlite::Result<Result<(), String>> {
    let mut all = IdTotals::default();
    let mut groups = views.prepare_cached(GROUPS)?;
    let mut rows = groups.query(())?;
    while let Some(row) = rows.next()? {
        let (group, expected): (i64, _) = (row.get(0)?, IdTotals::of_row(row, 1)?);
        let mut found = IdTotals::default();
        let mut ranges = views.prepare_cached(RANGES_BETWEEN)?;
        let mut rows = ranges.query([group << GROUP_SHIFT, last_range_of(group)])?;
        while let Some(row) = rows.next()? {
            found.combine(IdTotals::of_row(row, 1)?);
        }
        if found != expected {
            return Ok(Err(LOST_RANGES.to_owned()));
        }
        all.combine(found);
    }
    Ok(match Progress::load(views)? {
        Ok(progress) if progress.ids == all => Ok(()),
        Ok(_) => Err(LOST_RANGES.to_owned()),
        Err(what) => Err(what),
    })
}

/// Entries in the order of their hashes, of whole ranges that add up.
pub(in crate::sqlite) struct ProvenEntries {
    pub(in crate::sqlite) entries: Vec<IdEntry>,
    /// Where the next ones begin; `None` after the last.
    pub(in crate::sqlite) next: Option<i64>,
}

/// Reads entries from a hash on, which begins a range (`None`: the first), and checks that their ranges add up. The inner
/// error says what is wrong.
pub(in crate::sqlite) fn proven_entries(
    views: &Connection,
    from: Option<i64>,
    limit: usize,
) -> rusqlite::Result<Result<ProvenEntries, String>> {
    let from = from.unwrap_or(first_hash(FIRST_RANGE));
    let mut entries = select_entries(views, ENTRIES_FROM, params![from, limit])?;
    let mut last_range = LAST_RANGE;
    if entries.len() == limit {
        // The last range may go on, and is for the next time; unless it is the only one, which is then read whole.
        let cut = entries.last().map_or(FIRST_RANGE, |(hash, _)| range(*hash));
        entries.retain(|(hash, _)| range(*hash) < cut);
        last_range = cut - 1;
        if entries.is_empty() {
            entries = select_entries(views, ENTRIES_BETWEEN, params![first_hash(cut), last_hash(cut)])?;
            last_range = cut;
        }
    }
    let mut found = entries.chunk_by(|a, b| range(a.0) == range(b.0)).map(|of_range| {
        let mut totals = IdTotals::default();
        of_range.iter().for_each(|entry| totals.add(*entry));
        (range(of_range[0].0), totals)
    });
    let mut statement = views.prepare_cached(RANGES_BETWEEN)?;
    let mut rows = statement.query([range(from), last_range])?;
    while let Some(row) = rows.next()? {
        let expected = (row.get(0)?, IdTotals::of_row(row, 1)?);
        if found.next() != Some(expected) {
            return Ok(Err(LOST_ENTRIES.to_owned()));
        }
    }
    if found.next().is_some() {
        return Ok(Err(LOST_RANGES.to_owned()));
    }
    let next = (last_range < LAST_RANGE).then(|| first_hash(last_range + 1));
    if next.is_none()
        && let Err(what) = prove_ranges(views)?
    {
        return Ok(Err(what));
    }
    Ok(Ok(ProvenEntries { entries, next }))
}

fn select_entries(
    views: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<Vec<IdEntry>> {
    let mut statement = views.prepare_cached(sql)?;
    statement.query_map(parameters, |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
