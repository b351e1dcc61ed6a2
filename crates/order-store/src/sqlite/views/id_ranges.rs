//! Proves that the index of orders has no entry of an order because there never was one, and not because it was lost.
//!
//! The hashes are parted into 65,536 ranges. For each range the file keeps its [`IdTotals`]: how many entries the index has
//! there, and the exclusive or of their fingerprints. They are written in the
//! transactions that add the entries. An order is not there if its range adds up without it: that takes a look at the few
//! entries of one range.
//!
//! The totals of 128 neighbours, a group, are one row with a checksum. A group that is empty has no row, and one that was
//! lost with all of its entries has none either: then all entries together are held against what is written, under another
//! checksum, beside how far the views have come. Only a small index has groups that are empty, so there is little to sum up.

use std::ops::RangeInclusive;

use rusqlite::{Connection, OptionalExtension, params};
use twox_hash::XxHash3_64;

use crate::checksum::Checksum;
use crate::sqlite::views::ViewsError;
use crate::sqlite::views::overlay::OrderKey;
use crate::sqlite::views::progress::{FileProgress, IdTotals};

/// An entry of the index: an id's hash, and the order's key.
pub(crate) type IdEntry = (i64, OrderKey);

const SAVE_GROUP: &str = "INSERT OR REPLACE INTO id_ranges (id, totals, checksum) VALUES (?1, ?2, ?3)";
const LOAD_GROUP: &str = "SELECT totals, checksum FROM id_ranges WHERE id = ?1";
const ENTRIES_BETWEEN: &str = "SELECT hash, key FROM order_ids WHERE hash BETWEEN ?1 AND ?2 ORDER BY hash";

/// A range is so many upper bits of a hash.
const RANGE_BITS: u32 = 16;
/// A group has as many ranges as these lower bits of a range's number can tell apart.
const GROUP_BITS: u32 = 7;
const RANGES_OF_GROUP: usize = 1 << GROUP_BITS;
/// Bits of a hash below those that name its group.
const GROUP_SHIFT: u32 = i64::BITS - RANGE_BITS + GROUP_BITS;
const FIRST_GROUP: i64 = i64::MIN >> GROUP_SHIFT;
const LAST_GROUP: i64 = i64::MAX >> GROUP_SHIFT;

/// The index has lost something.
fn lost() -> ViewsError {
    ViewsError::Damaged("the index of orders does not have the entries that it should".to_owned())
}

pub(super) fn totals_of(entry: IdEntry) -> IdTotals {
    IdTotals { entries: 1, sum: fingerprint(entry) }
}

fn fingerprint((hash, key): IdEntry) -> i64 {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&hash.to_le_bytes());
    bytes[8..].copy_from_slice(&key.to_le_bytes());
    XxHash3_64::oneshot(&bytes).cast_signed()
}

/// The group that a hash belongs to.
fn group_of(hash: i64) -> i64 {
    hash >> GROUP_SHIFT
}

/// The place of a hash's range in its group.
fn place_of(hash: i64) -> usize {
    (hash >> (i64::BITS - RANGE_BITS)) as usize % RANGES_OF_GROUP
}

fn first_hash(group: i64) -> i64 {
    group << GROUP_SHIFT
}

fn last_hash(group: i64) -> i64 {
    first_hash(group) | ((1 << GROUP_SHIFT) - 1)
}

/// The totals of a group's ranges.
#[derive(Clone, Copy, PartialEq, Eq)]
struct RangeGroup([IdTotals; RANGES_OF_GROUP]);

impl RangeGroup {
    const EMPTY: Self = Self([IdTotals { entries: 0, sum: 0 }; RANGES_OF_GROUP]);

    fn of(entries: &[IdEntry]) -> Self {
        let mut group = Self::EMPTY;
        entries.iter().for_each(|entry| group.add(*entry));
        group
    }

    fn add(&mut self, entry: IdEntry) {
        self.0[place_of(entry.0)].combine(totals_of(entry));
    }

    /// The row of a group, empty if there is none.
    fn load(views: &Connection, id: i64) -> Result<Self, ViewsError> {
        let mut statement = views.prepare_cached(LOAD_GROUP)?;
        let row = statement.query_row([id], |row| {
            let (totals, checksum) = (row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
            Ok((checksum_of(id, totals).as_bytes() == checksum).then(|| Self::read(totals)).flatten())
        });
        row.optional()?.map_or(Ok(Self::EMPTY), |group| group.ok_or_else(lost))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut group = Self::EMPTY;
        let (totals, rest) = bytes.as_chunks::<16>();
        if totals.len() != RANGES_OF_GROUP || !rest.is_empty() {
            return None;
        }
        for (into, bytes) in group.0.iter_mut().zip(totals) {
            *into = IdTotals::from_bytes(*bytes);
        }
        Some(group)
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|range| range.to_bytes()).collect()
    }
}

fn checksum_of(id: i64, totals: &[u8]) -> Checksum {
    Checksum::of(&[&id.to_le_bytes(), totals].concat())
}

/// Counts new entries, in the order of their hashes, in their ranges. Answers with what all of them come to.
pub(super) fn count(views: &Connection, entries: &[IdEntry]) -> Result<IdTotals, ViewsError> {
    let mut save = views.prepare_cached(SAVE_GROUP)?;
    let mut totals = IdTotals::default();
    for entries in entries.chunk_by(|a, b| group_of(a.0) == group_of(b.0)) {
        let id = group_of(entries[0].0);
        let mut group = RangeGroup::load(views, id)?;
        entries.iter().for_each(|entry| group.add(*entry));
        entries.iter().for_each(|entry| totals.combine(totals_of(*entry)));
        let bytes = group.bytes();
        save.execute(params![id, bytes, checksum_of(id, &bytes).as_bytes()])?;
    }
    Ok(totals)
}

/// Makes sure that the index has lost nothing in the range of a hash.
pub(crate) fn prove_range(views: &Connection, hash: i64) -> Result<(), ViewsError> {
    #[cfg(feature = "planted-faults")]
    if crate::sqlite::planted_faults::is_planted("unchecked-absence") {
        return Ok(());
    }
    let low_bits = (1 << (i64::BITS - RANGE_BITS)) - 1;
    let found = totals_between(views, hash & !low_bits, hash | low_bits)?;
    let group = RangeGroup::load(views, group_of(hash))?;
    if group.0[place_of(hash)] != found {
        return Err(lost());
    }
    if group == RangeGroup::EMPTY {
        // The whole group may have been lost.
        return prove_all(views, totals_between(views, i64::MIN, i64::MAX)?);
    }
    Ok(())
}

/// Makes sure that what was found is all that was ever written.
fn prove_all(views: &Connection, found: IdTotals) -> Result<(), ViewsError> {
    if FileProgress::load(views)?.ids == found { Ok(()) } else { Err(lost()) }
}

fn totals_between(views: &Connection, first: i64, last: i64) -> rusqlite::Result<IdTotals> {
    let mut totals = IdTotals::default();
    let mut statement = views.prepare_cached(ENTRIES_BETWEEN)?;
    let mut rows = statement.query([first, last])?;
    while let Some(row) = rows.next()? {
        totals.combine(totals_of((row.get(0)?, row.get(1)?)));
    }
    Ok(totals)
}

/// Every group of the index, in the order of its hashes.
pub(crate) const GROUPS: RangeInclusive<i64> = FIRST_GROUP..=LAST_GROUP;

/// The entries of a group, which are certain to be all that it ever had. With the last group it is certain that none is
/// missing of those before it.
pub(crate) fn proven_entries(views: &Connection, group: i64) -> Result<Vec<IdEntry>, ViewsError> {
    let mut statement = views.prepare_cached(ENTRIES_BETWEEN)?;
    let entries = statement
        .query_map([first_hash(group), last_hash(group)], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    if RangeGroup::load(views, group)? != RangeGroup::of(&entries) {
        return Err(lost());
    }
    if group == LAST_GROUP {
        prove_all_groups(views)?;
    }
    Ok(entries)
}

/// Makes sure that no group was lost with all of its entries.
fn prove_all_groups(views: &Connection) -> Result<(), ViewsError> {
    let mut found = IdTotals::default();
    for group in GROUPS {
        RangeGroup::load(views, group)?.0.into_iter().for_each(|range| found.combine(range));
    }
    prove_all(views, found)
}
