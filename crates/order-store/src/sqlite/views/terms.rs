//! What orders are found by: an inverted index from customers, payments, parcels and SKUs to orders.
//!
//! Payment ids and the like come in no order. In one index over all of them each new entry would change a page of its own,
//! of more and more pages. So the log is cut into blocks of about a million positions, and the index has a part for each. New
//! entries go into the part of the newest block, which is small enough that those of one batch share its pages; the others
//! rest. Whoever looks for a term asks one part after the other, which is placement order, too.

use std::ops::RangeInclusive;

use order_application::SearchTerm;
use rusqlite::{Connection, params};

use crate::sqlite::views::ViewsError;
use crate::sqlite::views::overlay::OrderKey;

/// Orders whose keys share all but so many lower bits are in one block.
const BLOCK_BITS: u32 = 20;

pub(super) const INSERT_TERM: &str =
    "INSERT OR IGNORE INTO order_terms (block, kind, value, key) VALUES (?1, ?2, ?3, ?4)";

pub(super) const HAS: &str =
    "SELECT 1 FROM order_terms WHERE block = ?1 AND kind = ?2 AND value = ?3 AND key = ?4";

/// Upwards and downwards.
pub(super) const KEYS: [&str; 2] = [
    "SELECT key FROM order_terms \
        WHERE block = ?1 AND kind = ?2 AND value = ?3 AND key BETWEEN ?4 AND ?5 ORDER BY key LIMIT ?6",
    "SELECT key FROM order_terms \
        WHERE block = ?1 AND kind = ?2 AND value = ?3 AND key BETWEEN ?4 AND ?5 ORDER BY key DESC LIMIT ?6",
];

/// A row of `order_terms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TermEntry<'t> {
    pub(super) block: u64,
    pub(super) kind: &'static str,
    pub(super) value: &'t str,
    pub(super) key: OrderKey,
}

impl<'t> TermEntry<'t> {
    pub(crate) fn of(key: OrderKey, term: &'t SearchTerm) -> Self {
        Self { block: block_of(key), kind: term.kind(), value: term.value(), key }
    }
}

/// The block of an order's key.
pub(crate) fn block_of(key: OrderKey) -> u64 {
    key >> BLOCK_BITS
}

/// Whether an order is found by a term.
pub(crate) fn has(views: &Connection, key: OrderKey, term: &SearchTerm) -> Result<bool, ViewsError> {
    let TermEntry { block, kind, value, key } = TermEntry::of(key, term);
    Ok(views.prepare_cached(HAS)?.exists(params![block, kind, value, key])?)
}

/// Keys in a range of the orders that are found by a term, the lowest first or the highest: so many, or all.
pub(crate) fn keys(
    views: &Connection,
    term: &SearchTerm,
    range: &RangeInclusive<OrderKey>,
    descending: bool,
    limit: usize,
) -> Result<Vec<OrderKey>, ViewsError> {
    let mut statement = views.prepare_cached(KEYS[usize::from(descending)])?;
    let mut keys = Vec::new();
    let (first, last) = (block_of(*range.start()), block_of(*range.end()));
    let mut blocks = first..=last;
    while let Some(block) = if descending { blocks.next_back() } else { blocks.next() } {
        if keys.len() == limit {
            break;
        }
        let left = limit - keys.len();
        let parameters = params![block, term.kind(), term.value(), range.start(), range.end(), left];
        let mut rows = statement.query(parameters)?;
        while let Some(row) = rows.next()? {
            keys.push(row.get(0)?);
        }
    }
    Ok(keys)
}
