//! Builds views from nothing.
//!
//! An order's row needs all of its events, which may be anywhere in the log. So where they are is sorted, twice: by the
//! hashes of their orders' ids, which is the order of `order_ids` and tells each order's key, and then by the keys, which is
//! the order of the other tables. After that, one order after the other is read from the log, folded and written. Each table
//! is written from its beginning to its end, every event is read twice, and memory is bounded by configuration.

use std::io;
use std::iter::Peekable;
use std::ops::ControlFlow;
use std::path::Path;

use fastbloom::BloomFilter;
use order_application::{Position, SearchTerm, StoreError};
use rusqlite::{Connection, Row};
use uuid::Uuid;

use crate::rebuild_report::RebuildReport;
use crate::sqlite::connection::open_log_reader;
use crate::sqlite::log::entries;
use crate::sqlite::log::scan::{no_event, rows, scan};
use crate::sqlite::log::{LogError, event_id_at};
use crate::sqlite::rebuild::folding::{FoldedView, OnUnreadable};
use crate::sqlite::rebuild::receipts;
use crate::sqlite::rebuild::sorter::{Sorted, Sorter};
use crate::sqlite::views::known_orders::{BITS_PER_ORDER, FILTER_BITS};
use crate::sqlite::views::overlay::{OrderKey, term_bytes};
use crate::sqlite::views::terms::{TermEntry, block_of};
use crate::sqlite::views::{PutOrder, ROWS_PER_COMMIT, Views, ViewsError, files, hash_order_id};
use crate::sqlite_error::SqliteError;

/// Page cache of the connection that reads the log from its beginning to its end.
pub(super) const LOG_CACHE_KIB: u32 = 1024;

const ORDER_IDS: &str = rows!("position, order_id");
/// Events that are read in one transaction and folded between two writes, and those that make the last order whole. A longer
/// transaction would keep the write-ahead log from starting anew.
const EVENTS_AT_ONCE: usize = 4_096;
/// Of all the work, sorting is about one part in so many. Progress counts an event by the parts of it that are done.
const SORTING_PART: u64 = 4;

/// Free space that sorting needs beside the views, in bytes for each event of the log.
pub(crate) const SORTED_BYTES_PER_EVENT: u64 = 8 * (HASHES_AND_POSITION + KEY_AND_POSITION) as u64;

/// How views are built.
pub(crate) struct BuildOptions<'a> {
    /// Their file's number.
    pub(crate) number: u64,
    pub(crate) log_identity: Uuid,
    pub(crate) hash_seed: u64,
    /// Where the last event is that goes into them.
    pub(crate) up_to: Position,
    /// Bytes, about, that sorting takes.
    pub(crate) memory: usize,
    /// What an event that cannot be read means.
    pub(crate) unreadable: OnUnreadable,
    pub(crate) progress: BuildProgress<'a>,
}

/// Is told how many events are done, and how many there are; answers whether to go on.
pub(crate) type BuildProgress<'a> = &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>;

/// Views that are complete, up to a position of their log.
pub(crate) struct BuiltViews {
    pub(crate) views: Views,
    /// Tells the orders that they have from those that are surely new.
    pub(super) orders: BloomFilter,
    /// What an event means that cannot be read.
    pub(super) unreadable: OnUnreadable,
    pub(crate) report: RebuildReport,
}

/// Why views could not be built.
#[derive(Debug, thiserror::Error)]
enum BuildError {
    #[error("it was stopped")]
    Stopped,
    #[error("reading the log: {0}")]
    Log(#[from] LogError),
    #[error("sorting the events: {0}")]
    Sort(#[from] io::Error),
    #[error("writing the views: {0}")]
    Views(#[from] ViewsError),
}

/// Builds views in a file of their own, which is of no use to anybody if that fails, and then the caller's to remove.
pub(crate) fn build(log_path: &Path, options: BuildOptions<'_>) -> Result<BuiltViews, SqliteError> {
    let log = open_log_reader(log_path, LOG_CACHE_KIB).map_err(SqliteError::sqlite(log_path))?;
    let BuildOptions { number, log_identity, hash_seed, up_to, unreadable, .. } = options;
    let views = Views::create(log_path, number, log_identity, hash_seed)?;
    let orders = BloomFilter::with_num_bits(FILTER_BITS).hashes(BITS_PER_ORDER);
    let report = RebuildReport { events: up_to.0, ..RebuildReport::default() };
    let built = BuiltViews { views, orders, unreadable, report };
    let directory = files::directory(log_path);
    let mut build = Build { log: &log, directory, options, built, terms: Vec::new(), terms_bytes: 0 };
    if up_to > Position::START {
        build.fill(up_to).map_err(|error| build.told(error, log_path))?;
    }
    build.add_receipts(log_path)?;
    let BuiltViews { views, .. } = build.built;
    Ok(BuiltViews { views: views.finish()?, ..build.built })
}

struct Build<'b, 'o> {
    log: &'b Connection,
    /// Where there is room for what does not fit in memory.
    directory: &'b Path,
    options: BuildOptions<'o>,
    /// What is in there so far.
    built: BuiltViews,
    /// What is not in there yet: what orders are found by.
    terms: Vec<(OrderKey, SearchTerm)>,
    terms_bytes: usize,
}

/// What an event is sorted by first: two hashes of its order's id, and its position. Two orders that share one hash will
/// hardly share the other, too.
const HASHES_AND_POSITION: usize = 3;
/// What it is sorted by then: its order's key, and its position.
const KEY_AND_POSITION: usize = 2;

impl Build<'_, '_> {
    fn fill(&mut self, up_to: Position) -> Result<(), BuildError> {
        let event_id = event_id_at(self.log, up_to).map_err(LogError::from)?;
        let event_id = event_id.ok_or_else(|| no_event(up_to))?;
        let by_hashes = self.sort_by_hashes()?;
        let by_key = self.sort_by_key(by_hashes)?;
        self.write_orders(by_key)?;
        let last_key = self.built.views.progress().last_key;
        Ok(self.built.views.reach(up_to, event_id, last_key)?)
    }

    fn add_receipts(&mut self, log_path: &Path) -> Result<(), SqliteError> {
        let BuildOptions { up_to, memory, progress, .. } = &mut self.options;
        let mut go_on = || progress(up_to.0, up_to.0);
        receipts::bring_up(log_path, &mut self.built.views, *memory / 2, &mut go_on)
    }

    fn told(&self, error: BuildError, log_path: &Path) -> SqliteError {
        match error {
            BuildError::Stopped => SqliteError::Stopped,
            BuildError::Log(error) => error.at(log_path),
            BuildError::Sort(error) => SqliteError::io(self.directory)(error),
            BuildError::Views(error) => error.at(self.built.views.path()),
        }
    }

    /// Reads which order each event is of.
    fn sort_by_hashes(&mut self) -> Result<Sorted<HASHES_AND_POSITION>, BuildError> {
        let mut sorter = Sorter::new(self.directory, self.options.memory / 2)?;
        let seed = self.built.views.progress().hash_seed;
        let (log, up_to) = (self.log, self.options.up_to);
        let visit = |position: Position, row: &Row<'_>| {
            let Some(order_id) = entries::order_id(row, 1) else {
                let what = format!("event at position {position}: its order's id cannot be read");
                return Err(BuildError::Log(StoreError::Corrupt(what).into()));
            };
            let hash = hash_order_id(&order_id, seed);
            let other_hash = hash_order_id(&order_id, !seed);
            sorter.push([sortable(hash), other_hash.cast_unsigned(), position.0])?;
            if position.0.is_multiple_of(EVENTS_AT_ONCE as u64) {
                self.tell(position.0 / SORTING_PART)?;
            }
            Ok(ControlFlow::Continue(()))
        };
        scan(log, ORDER_IDS, Position::START, up_to, visit)?;
        Ok(sorter.sorted()?)
    }

    /// Gives each order its key, which is the position of its first event, and writes the index that finds it.
    fn sort_by_key(
        &mut self,
        events: Sorted<HASHES_AND_POSITION>,
    ) -> Result<Sorted<KEY_AND_POSITION>, BuildError> {
        let mut sorter = Sorter::new(self.directory, self.options.memory / 2)?;
        let mut ids = Vec::with_capacity(ROWS_PER_COMMIT);
        let mut order = None;
        for (nth, event) in events.enumerate() {
            if nth.is_multiple_of(EVENTS_AT_ONCE) {
                self.tell(self.options.up_to.0 / SORTING_PART)?;
            }
            let [hash, other_hash, position] = event?;
            let key = match order {
                Some((hashes, key)) if hashes == (hash, other_hash) => key,
                Some(_) | None => {
                    let hash = from_sortable(hash);
                    self.built.orders.insert_hash(hash.cast_unsigned());
                    ids.push((hash, position));
                    position
                }
            };
            order = Some(((hash, other_hash), key));
            sorter.push([key, position])?;
            if ids.len() == ROWS_PER_COMMIT {
                self.built.views.insert_ids(&ids)?;
                ids.clear();
            }
        }
        self.built.views.insert_ids(&ids)?;
        Ok(sorter.sorted()?)
    }

    /// Folds one order after the other.
    fn write_orders(&mut self, events: Sorted<KEY_AND_POSITION>) -> Result<(), BuildError> {
        let mut events = events.peekable();
        let mut folded = 0;
        while events.peek().is_some() {
            let orders = whole_orders(&mut events)?;
            let transaction = self.log.unchecked_transaction().map_err(LogError::from)?;
            let read = |(key, later)| FoldedView::read(&transaction, key, later, self.built.unreadable);
            let mut orders = orders.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
            drop(transaction);
            self.write(&mut orders)?;
            folded += orders.iter().map(|order| order.later.len() as u64 + 1).sum::<u64>();
            let up_to = self.options.up_to.0;
            self.tell(up_to / SORTING_PART + folded - folded / SORTING_PART)?;
        }
        self.write_terms()
    }

    /// Gathers the terms of a whole block, if they fit in memory, so that they are written in their order.
    fn add_terms(&mut self, order: &mut FoldedView) -> Result<(), BuildError> {
        let is_in_block = self.terms.first().is_none_or(|(key, _)| block_of(*key) == block_of(order.key));
        if !is_in_block || self.terms_bytes >= self.options.memory / 2 {
            self.write_terms()?;
        }
        let terms = std::mem::take(&mut order.terms);
        self.terms_bytes += terms.iter().map(term_bytes).sum::<usize>();
        self.terms.extend(terms.into_iter().map(|term| (order.key, term)));
        Ok(())
    }

    fn write_terms(&mut self) -> Result<(), BuildError> {
        let entries = self.terms.iter().map(|(key, term)| TermEntry::of(*key, term)).collect();
        self.built.views.insert_terms(entries)?;
        self.terms.clear();
        self.terms_bytes = 0;
        Ok(())
    }

    fn write(&mut self, orders: &mut [FoldedView]) -> Result<(), BuildError> {
        self.built.report.orders += orders.len() as u64;
        self.built.report.unreadable +=
            orders.iter().filter(|order| order.view.is_unreadable()).count() as u64;
        let puts = orders.iter().map(|order| PutOrder {
            key: order.key,
            view: &order.view,
            updated_position: order.updated_position(),
            previous: None,
        });
        let last_key = self.built.views.put_orders(puts)?;
        self.built.views.insert_events(orders.iter().flat_map(FoldedView::events))?;
        for order in orders {
            self.add_terms(order)?;
        }
        // Only the last key counts so far: the file is of no use before it is complete.
        self.built.views.reach(Position::START, Uuid::nil(), last_key)?;
        Ok(())
    }

    fn tell(&mut self, done: u64) -> Result<(), BuildError> {
        match (self.options.progress)(done, self.options.up_to.0) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(BuildError::Stopped),
        }
    }
}

/// A hash as a number that sorts as the index does, whose hashes have a sign.
fn sortable(hash: i64) -> u64 {
    hash.cast_unsigned() ^ (1 << 63)
}

fn from_sortable(hash: u64) -> i64 {
    (hash ^ (1 << 63)).cast_signed()
}

/// Takes whole orders: their keys, which are where their first events are, and where the later ones are.
fn whole_orders(
    events: &mut Peekable<Sorted<KEY_AND_POSITION>>,
) -> io::Result<Vec<(OrderKey, Vec<Position>)>> {
    let mut orders: Vec<(OrderKey, Vec<Position>)> = Vec::new();
    let mut taken = 0;
    while let Some(event) = events.next_if(|event| {
        let last = orders.last().map(|(key, _)| *key);
        taken < EVENTS_AT_ONCE || event.as_ref().is_ok_and(|[key, _]| Some(*key) == last)
    }) {
        let [key, position] = event?;
        match orders.last_mut() {
            Some((last, later)) if *last == key => later.push(Position(position)),
            Some(_) | None => orders.push((key, Vec::new())),
        }
        taken += 1;
    }
    Ok(orders)
}
