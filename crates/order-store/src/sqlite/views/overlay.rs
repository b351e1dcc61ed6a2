//! What the views do not have yet.
//!
//! Changed orders and new receipts gather in the *active* generation. When the view writer takes it, it becomes the
//! *flushing* one, which readers still see, and goes only after the views' file has all of it. So whoever looks here first and into a
//! fresh snapshot of the views after, misses nothing.

mod receipts;

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use order_application::{
    DueOrder, DuePlace, DueQuery, OrderSummary, OrderView, Position, ReceiptKey, Version,
};
use order_domain::OrderId;
use uuid::Uuid;

use crate::sqlite::log::receipts::Sequence;

/// An order's key in the views: the position of its first event, so keys ascend in placement order.
pub(crate) type OrderKey = u64;

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamState {
    pub(crate) key: OrderKey,
    pub(crate) version: Version,
    /// Its events do not follow on each other.
    pub(crate) is_damaged: bool,
}

impl StreamState {
    pub(crate) fn of(key: OrderKey, view: &OrderView) -> Self {
        Self { key, version: view.version(), is_damaged: view.is_damaged() }
    }
}

/// Goes up when a generation has gone to the views, and whenever older snapshots of them are of no use. Whoever does not find
/// an order in the overlay finds it in a snapshot of the views that was taken after so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FlushCount(u64);

/// What changed of one order since the generation began.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) view: OrderView,
    /// Position of each new event but the order's first, whose position is the key.
    pub(crate) positions: Vec<(Version, Position)>,
}

/// Changed orders up to a position, and new receipts.
#[derive(Default)]
pub(crate) struct Generation {
    keys: HashMap<OrderId, OrderKey>,
    changes: BTreeMap<OrderKey, Change>,
    /// Each by its number in the log.
    receipts: HashMap<ReceiptKey, Sequence>,
    /// What it takes, about.
    bytes: usize,
    /// The last event in it.
    pub(crate) last: Option<(Position, Uuid)>,
    /// Whether any of its orders does something by itself.
    has_due_orders: bool,
}

/// What a changed order takes beside the texts of its view: entries of two maps and what four allocations take for themselves.
const BYTES_PER_ORDER: usize = 320;
/// What the position of one more event takes.
const BYTES_PER_POSITION: usize = size_of::<(Version, Position)>();

/// Events of one order that follow on each other, in the log since just now.
pub(crate) struct CommittedEvents {
    pub(crate) key: OrderKey,
    pub(crate) first_position: Position,
    pub(crate) first_version: Version,
    /// How many they are, at least one.
    pub(crate) events: u64,
    pub(crate) last_event_id: Uuid,
    /// The order's view after the last of them.
    pub(crate) view: OrderView,
}

#[derive(Default)]
pub(crate) struct Overlay {
    generations: RwLock<Generations>,
}

#[derive(Default)]
struct Generations {
    active: Generation,
    flushing: Option<Arc<Generation>>,
    flushed: FlushCount,
}

/// Where an order stands, and where its recent events are.
pub(crate) type RecentStream = (StreamState, Vec<(Version, Position)>);

impl Overlay {
    /// Adds what was just committed.
    pub(crate) fn add(&self, batch: impl IntoIterator<Item = CommittedEvents>) {
        let mut generations = self.write();
        for appended in batch {
            generations.active.add(appended);
        }
    }

    /// Where an order stands, if it changed lately; otherwise the views know, after so many flushes.
    pub(crate) fn stream_state(&self, order_id: &OrderId) -> Result<StreamState, FlushCount> {
        let generations = self.read();
        let newest = generations.newest(order_id);
        newest.map(|(key, change)| StreamState::of(key, &change.view)).ok_or(generations.flushed)
    }

    /// Every order that changed lately.
    pub(crate) fn for_each_order(&self, visit: &mut dyn FnMut(&OrderId)) {
        let generations = self.read();
        for generation in generations.oldest_first() {
            generation.keys.keys().for_each(&mut *visit);
        }
    }

    /// An order's view, if it changed lately.
    pub(crate) fn view(&self, order_id: &OrderId) -> Result<OrderView, FlushCount> {
        let generations = self.read();
        let newest = generations.newest(order_id);
        newest.map(|(_, change)| change.view.clone()).ok_or(generations.flushed)
    }

    /// Where an order stands and the positions of its recent events after the first, ascending; none if it did not change
    /// lately. The views know the rest, after so many flushes.
    pub(crate) fn stream(&self, order_id: &OrderId) -> (Option<RecentStream>, FlushCount) {
        let generations = self.read();
        let Some((key, newest)) = generations.newest(order_id) else { return (None, generations.flushed) };
        let changes = generations.oldest_first().filter_map(|generation| generation.changes.get(&key));
        let positions = changes.flat_map(|change| &change.positions).copied().collect();
        let stream = StreamState::of(key, &newest.view);
        (Some((stream, positions)), generations.flushed)
    }

    /// Replaces rows of a list by newer ones, and adds orders that come after them, up to `limit`.
    ///
    /// `rows` are a snapshot's rows with keys above `after`, ascending, and `complete` says that there are no more.
    /// Answers with the number of generations flushed so far: unless it is what it was before the snapshot was taken, an
    /// order may have slipped between snapshot and overlay.
    pub(crate) fn merge_list(
        &self,
        rows: &mut Vec<(OrderKey, OrderView)>,
        after: OrderKey,
        complete: bool,
        limit: usize,
    ) -> FlushCount {
        let generations = self.read();
        for (key, view) in rows.iter_mut() {
            if let Some(change) = generations.newest_by_key(*key) {
                view.clone_from(&change.view);
            }
        }
        if complete && rows.len() < limit {
            // New orders have higher keys than every row, and the flushing generation's come before the active one's.
            let mut last = rows.last().map_or(after, |(key, _)| *key);
            for generation in generations.oldest_first() {
                let from = (Bound::Excluded(last), Bound::Unbounded);
                for (key, change) in generation.changes.range(from).take(limit - rows.len()) {
                    let newest = generations.newest_by_key(*key).unwrap_or(change);
                    rows.push((*key, newest.view.clone()));
                    last = *key;
                }
            }
        }
        generations.flushed
    }

    /// Replaces orders that are due by what they are now, and adds those that became due, up to a place if there is one.
    ///
    /// `due` are a snapshot's. Answers as [`merge_list`](Self::merge_list) does.
    pub(crate) fn merge_due(
        &self,
        due: &mut Vec<DueOrder>,
        query: &DueQuery,
        up_to: Option<DuePlace>,
    ) -> FlushCount {
        let generations = self.read();
        due.retain(|due| generations.newest_by_key(due.place.placed_position.0).is_none());
        for generation in generations.oldest_first().filter(|generation| generation.has_due_orders) {
            for (key, change) in generation.changes() {
                // What is in both generations is taken from the newer one.
                let is_newest =
                    generations.newest_by_key(key).is_some_and(|newest| std::ptr::eq(newest, change));
                if let OrderView::Readable(OrderSummary { due_at: Some(due_at), order_id, .. }) = &change.view
                    && is_newest
                {
                    let place = DuePlace { due_at: *due_at, placed_position: Position(key) };
                    let comes_here = *due_at <= query.until && Some(place) > query.after;
                    if comes_here && up_to.is_none_or(|up_to| place <= up_to) {
                        due.push(DueOrder { place, order_id: order_id.clone() });
                    }
                }
            }
        }
        generations.flushed
    }

    /// How far the count is.
    pub(crate) fn flushed(&self) -> FlushCount {
        self.read().flushed
    }

    /// What the changes take that nobody is writing to the views yet, in bytes, about.
    pub(crate) fn active_bytes(&self) -> usize {
        self.read().active.bytes
    }

    /// Begins to flush the active generation: it is the caller's to write, and readers still see it. `None` when nothing
    /// changed, or when the generation before is not done.
    pub(crate) fn begin_flush(&self) -> Option<Arc<Generation>> {
        let mut generations = self.write();
        if generations.flushing.is_some() || generations.active.is_empty() {
            return None;
        }
        let generation = Arc::new(std::mem::take(&mut generations.active));
        generations.flushing = Some(Arc::clone(&generation));
        Some(generation)
    }

    /// Lets the flushing generation go: the views have it.
    pub(crate) fn end_flush(&self) {
        let mut generations = self.write();
        let done = generations.flushing.take();
        generations.flushed.0 += 1;
        // Freeing tens of thousands of entries takes a while: not under the lock.
        drop(generations);
        drop(done);
    }

    /// Counts on without a flush, so that readers take new snapshots.
    pub(crate) fn renew_snapshots(&self) -> FlushCount {
        let mut generations = self.write();
        generations.flushed.0 += 1;
        generations.flushed
    }

    fn read(&self) -> RwLockReadGuard<'_, Generations> {
        self.generations.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Generations> {
        self.generations.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn oldest_first(&self) -> impl Iterator<Item = &Generation> {
        self.flushing.as_deref().into_iter().chain([&self.active])
    }

    fn newest(&self, order_id: &OrderId) -> Option<(OrderKey, &Change)> {
        self.active.find(order_id).or_else(|| self.flushing.as_ref()?.find(order_id))
    }

    fn newest_by_key(&self, key: OrderKey) -> Option<&Change> {
        self.active.changes.get(&key).or_else(|| self.flushing.as_ref()?.changes.get(&key))
    }
}

impl Generation {
    fn find(&self, order_id: &OrderId) -> Option<(OrderKey, &Change)> {
        let key = *self.keys.get(order_id)?;
        self.changes.get(&key).map(|change| (key, change))
    }

    fn add(&mut self, appended: CommittedEvents) {
        let new = (0..appended.events)
            .map(|offset| (appended.first_version.plus(offset), appended.first_position.plus(offset)));
        self.bytes += appended.events as usize * BYTES_PER_POSITION;
        self.has_due_orders |=
            matches!(&appended.view, OrderView::Readable(summary) if summary.due_at.is_some());
        self.last = Some((appended.first_position.plus(appended.events - 1), appended.last_event_id));
        // The first event's position is the key, and needs no entry.
        let new = new.filter(|(version, _)| version.0 > 1);
        match self.changes.get_mut(&appended.key) {
            Some(change) => {
                change.positions.extend(new);
                change.view = appended.view;
            }
            None => {
                self.keys.insert(appended.view.order_id().clone(), appended.key);
                self.bytes += BYTES_PER_ORDER + text_bytes(&appended.view);
                let positions = new.collect();
                self.changes.insert(appended.key, Change { view: appended.view, positions });
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.receipts.is_empty()
    }

    /// The changed orders in placement order.
    pub(crate) fn changes(&self) -> impl ExactSizeIterator<Item = (OrderKey, &Change)> {
        self.changes.iter().map(|(key, change)| (*key, change))
    }
}

fn text_bytes(view: &OrderView) -> usize {
    let customer_id = match view {
        OrderView::Readable(summary) => summary.customer_id.as_str(),
        OrderView::Unreadable(_) => "",
    };
    view.order_id().as_str().len() + customer_id.len()
}
