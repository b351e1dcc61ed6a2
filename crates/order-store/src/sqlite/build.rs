//! Builds views from nothing.
//!
//! An order's row needs all of its events, which may be anywhere in the log. So the log is gone through several times: each
//! pass takes the orders that were placed next, as many as fit in memory, folds all of their events up to the end of the
//! log, and writes their rows. Memory is bounded by configuration, and nothing is looked up.

use std::collections::HashMap;
use std::ops::ControlFlow;

use fastbloom::BloomFilter;
use order_application::{FoldedOrder, Position, StoreError, Unreadable, Version};
use order_domain::OrderId;
use rusqlite::Connection;
use uuid::Uuid;

use super::log::scan::{ScannedRow, scan};
use super::overlay::OrderKey;
use super::views::{PutOrder, Views, ViewsError, reading};

/// 8 MiB: tells events of orders that earlier passes have written. A mistake costs a look-up.
const FILTER_BITS: usize = 64 * 1024 * 1024;
const BITS_PER_ORDER: u32 = 5;
/// What an order takes beside its fold: entries of a map and of a list, its id, and its place.
const BYTES_PER_ORDER: usize = 200;
const BYTES_PER_POSITION: usize = size_of::<Position>();
/// Events between two reports of progress.
const EVENTS_PER_REPORT: u64 = 4_096;

/// How views are built.
pub(super) struct BuildOptions<'a> {
    /// The last event that goes into them.
    pub(super) up_to: (Position, Uuid),
    /// Bytes, about, of orders that are held at a time.
    pub(super) memory: usize,
    /// What an event that cannot be read means.
    pub(super) unreadable: OnUnreadable,
    /// Is told how many events are done, and how many there are; answers whether to go on.
    pub(super) progress: &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>,
}

/// What an event means that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnUnreadable {
    /// Its order has a view that says so: there is nothing else that could be served.
    Quarantine,
    /// These views are of no use: those that are there may know more.
    GiveUp,
}

/// What was built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Built {
    pub(super) orders: u64,
    /// Of these, how many cannot be read.
    pub(super) unreadable: u64,
}

/// Why views could not be built.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    #[error("it was stopped")]
    Stopped,
    /// The log does not have what it should.
    #[error("the log: {0}")]
    Log(StoreError),
    #[error("reading the log: {0}")]
    ReadLog(rusqlite::Error),
    #[error("writing the views: {0}")]
    Views(#[from] ViewsError),
}

/// Tells the orders of views that were built from those that are surely new.
pub(super) type BuiltOrders = BloomFilter;

/// Fills empty views, up to a position that is not the start of the log.
pub(super) fn build(
    log: &Connection,
    views: &mut Views,
    options: BuildOptions<'_>,
) -> Result<(Built, BuiltOrders), BuildError> {
    let (up_to, event_id) = options.up_to;
    let filter = no_orders();
    let mut build = Build { views, options, filter, events: 0, built: Built::default() };
    let mut from = Position::START;
    while from < up_to {
        let pass = build.pass(log, from)?;
        from = pass.ended_at.unwrap_or(up_to);
        build.write(pass)?;
    }
    let last_key = build.views.progress().last_key;
    build.views.reach(up_to, event_id, last_key).map_err(ViewsError::from)?;
    Ok((build.built, build.filter))
}

/// Those of empty views.
pub(super) fn no_orders() -> BuiltOrders {
    BloomFilter::with_num_bits(FILTER_BITS).hashes(BITS_PER_ORDER)
}

struct Build<'v, 'o> {
    views: &'v mut Views,
    options: BuildOptions<'o>,
    /// The orders that are in the views.
    filter: BloomFilter,
    /// How many events have been folded.
    events: u64,
    built: Built,
}

/// The orders that one pass takes.
#[derive(Default)]
struct Pass {
    /// In the order of their keys.
    orders: Vec<Building>,
    /// Where each is in the list.
    index: HashMap<Box<str>, usize>,
    bytes: usize,
    /// The last position whose order belongs to this pass; `None`: all of them do.
    ended_at: Option<Position>,
}

struct Building {
    key: OrderKey,
    order_id: OrderId,
    /// There but for a moment, while the next event is applied.
    order: Option<FoldedOrder>,
    /// Of all events but the first.
    positions: Vec<Position>,
    bytes: usize,
}

impl Build<'_, '_> {
    fn pass(&mut self, log: &Connection, from: Position) -> Result<Pass, BuildError> {
        let mut pass = Pass::default();
        let mut scratch = Vec::new();
        let up_to = self.options.up_to.0;
        let visit = &mut |row: &ScannedRow<'_>| self.visit(&mut pass, row, &mut scratch);
        scan(log, from, up_to, BuildError::Log, visit).map_err(BuildError::ReadLog)??;
        Ok(pass)
    }

    fn visit(
        &mut self,
        pass: &mut Pass,
        row: &ScannedRow<'_>,
        scratch: &mut Vec<u8>,
    ) -> Result<ControlFlow<()>, BuildError> {
        let at = match pass.index.get(row.order_id) {
            Some(at) => *at,
            None if pass.ended_at.is_some() || self.is_written(row)? => return Ok(ControlFlow::Continue(())),
            None => {
                let Some(order_id) = row.order_id() else {
                    let what = format!("event at position {}: its order's id cannot be read", row.position);
                    return Err(BuildError::Log(StoreError::Corrupt(what)));
                };
                pass.begin(row.position, order_id)
            }
        };
        let order = pass.orders[at].order.take();
        let after = match row.event(scratch) {
            Ok(event) => {
                let (after, fault) = FoldedOrder::after(order, &event);
                if let Some(fault) = fault {
                    let (order_id, position) = (row.order_id, row.position);
                    tracing::warn!(order_id, %position, %fault, "an order cannot be read");
                }
                after
            }
            Err(error) if self.options.unreadable == OnUnreadable::GiveUp => {
                return Err(BuildError::Log(error));
            }
            Err(error) => quarantined(order.as_ref(), row, &error)?,
        };
        pass.put(at, row.position, after);
        self.events += 1;
        if pass.ended_at.is_none() && pass.bytes > self.options.memory / 8 * 5 {
            // The rest is for what these orders grow by until the end of the log.
            pass.ended_at = Some(row.position);
        } else if pass.bytes > self.options.memory {
            self.events -= pass.shrink(self.options.memory);
        }
        if self.events.is_multiple_of(EVENTS_PER_REPORT)
            && (self.options.progress)(self.events, self.options.up_to.0.0).is_break()
        {
            return Err(BuildError::Stopped);
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Whether an earlier pass has written the order. It has then seen this event, too.
    fn is_written(&self, row: &ScannedRow<'_>) -> Result<bool, BuildError> {
        let Some(order_id) = row.order_id() else { return Ok(false) };
        let hash = self.views.hash(&order_id);
        if !self.filter.contains_hash(hash.cast_unsigned()) {
            return Ok(false);
        }
        // Nearly always so. Events that have no first one, which a sound log does not have, are the exception that is not
        // worth a look-up for each event of an order that has gone before.
        if row.version > 1 {
            return Ok(true);
        }
        let found = reading::find(self.views.connection(), &order_id, hash).map_err(ViewsError::from)?;
        Ok(found.map_err(ViewsError::Damaged)?.is_some())
    }

    fn write(&mut self, pass: Pass) -> Result<(), BuildError> {
        let Pass { orders, index, .. } = pass;
        drop(index);
        let mut entries: Vec<_> =
            orders.iter().map(|building| (self.views.hash(&building.order_id), building.key)).collect();
        entries.sort_unstable();
        self.views.insert_ids(&entries)?;
        entries.iter().for_each(|(hash, _)| {
            self.filter.insert_hash(hash.cast_unsigned());
        });
        let rows: Vec<_> = orders.iter().filter_map(Building::row).collect();
        self.built.orders += rows.len() as u64;
        self.built.unreadable += rows.iter().filter(|(_, view)| view.is_unreadable()).count() as u64;
        let puts = rows.iter().map(|(key, view)| PutOrder { key: *key, view, previous: None });
        let last_key = self.views.put_orders(puts)?;
        self.views.insert_events(orders.iter().flat_map(Building::events))?;
        // Only the last key counts so far: the file is of no use before it is complete.
        self.views.reach(Position::START, Uuid::nil(), last_key).map_err(ViewsError::from)?;
        Ok(())
    }
}

/// The order that an unreadable event says it is of: believed if the event would have continued it.
fn quarantined(
    order: Option<&FoldedOrder>,
    row: &ScannedRow<'_>,
    error: &StoreError,
) -> Result<FoldedOrder, BuildError> {
    let version = order.map_or(Version::NONE, FoldedOrder::version);
    let is_damaged = matches!(order, Some(FoldedOrder::Unreadable { why: Unreadable::Damaged, .. }));
    if row.version != version.0 + 1 && !is_damaged {
        return Err(BuildError::Log(error.clone()));
    }
    let (order_id, position) = (row.order_id, row.position);
    tracing::warn!(order_id, %position, %error, "an order cannot be read");
    let version = version.max(Version(row.version));
    Ok(FoldedOrder::Unreadable { version, why: Unreadable::Damaged })
}

impl Pass {
    /// Adds an order that has no event yet.
    fn begin(&mut self, position: Position, order_id: OrderId) -> usize {
        let at = self.orders.len();
        self.index.insert(order_id.as_str().into(), at);
        self.orders.push(Building {
            key: position.0,
            order_id,
            order: None,
            positions: Vec::new(),
            bytes: 0,
        });
        at
    }

    /// Puts an order back, with the event that was applied.
    fn put(&mut self, at: usize, position: Position, after: FoldedOrder) {
        let building = &mut self.orders[at];
        if position.0 > building.key {
            building.positions.push(position);
        }
        let bytes = BYTES_PER_ORDER + after.heap_bytes() + building.positions.capacity() * BYTES_PER_POSITION;
        self.bytes = self.bytes + bytes - building.bytes;
        building.bytes = bytes;
        building.order = Some(after);
    }

    /// Leaves the orders that were placed last to the next pass, so that the others have room. Answers with how many events
    /// of theirs were folded in vain. At least one order stays, however large.
    fn shrink(&mut self, memory: usize) -> u64 {
        let mut in_vain = 0;
        // Some room for what the others still grow by, or each of their events would have one of them leave.
        let enough = memory - memory / 8;
        while self.bytes > enough && self.orders.len() > 1 {
            let Some(last) = self.orders.pop() else { break };
            self.index.remove(last.order_id.as_str());
            self.bytes -= last.bytes;
            in_vain += 1 + last.positions.len() as u64;
            self.ended_at = Some(Position(last.key - 1));
        }
        in_vain
    }
}

impl Building {
    fn row(&self) -> Option<(OrderKey, order_application::OrderView)> {
        self.order.as_ref().map(|order| (self.key, order.view(&self.order_id)))
    }

    /// Where its events are; nothing of one that is damaged, whose versions tell nothing.
    fn events(&self) -> impl Iterator<Item = (OrderKey, Version, Position)> {
        let is_damaged = matches!(self.order, Some(FoldedOrder::Unreadable { why: Unreadable::Damaged, .. }));
        let positions: &[Position] = if is_damaged { &[] } else { &self.positions };
        positions.iter().zip(2..).map(|(position, version)| (self.key, Version(version), *position))
    }
}
