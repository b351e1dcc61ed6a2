//! What the views do not have yet.
//!
//! Changed orders and new receipts gather in the *active* generation. When the view writer takes it, it becomes the
//! *flushing* one, which readers still see, and goes only after the views' file has all of it. So whoever looks here first and into a
//! fresh snapshot of the views after, misses nothing.

mod receipts;

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use order_application::{
    DueOrder, DuePlace, DueQuery, ListQuery, OrderFilter, OrderSummary, OrderView, Position, ReceiptKey,
    SearchTerm, SortKey, Version,
};
use order_domain::OrderId;
use uuid::Uuid;

use crate::list_path::Source;
use crate::sqlite::log::receipts::Sequence;
use crate::sqlite::views::finding::FoundOrder;

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
    /// Where its last event is.
    pub(crate) updated_position: Position,
    /// What it has been found by since; some of it maybe before.
    pub(crate) terms: Vec<SearchTerm>,
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
    /// How many events it has the changes of.
    events: u64,
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
    /// What the order is found by because of them.
    pub(crate) terms: Vec<SearchTerm>,
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

    /// Brings orders that were found in a snapshot up to what they are now.
    pub(crate) fn renew(&self, orders: &mut [FoundOrder], filter: &OrderFilter) {
        let generations = self.read();
        for order in orders {
            if let Some(newer) = generations.found(order.key, filter) {
                let known = std::mem::replace(order, newer).terms;
                order.terms.extend(known);
            }
        }
    }

    /// Drops orders that are here.
    pub(crate) fn drop_recent(&self, orders: &mut Vec<FoundOrder>) {
        let generations = self.read();
        orders.retain(|order| generations.newest_by_key(order.key).is_none());
    }

    /// Orders of a source whose keys are in a range, that come after the query's place and that its filter accepts, but for its
    /// terms: the first of them in the order of the query, at most so many. Those that are known already are left out.
    pub(crate) fn select(
        &self,
        keys: RangeInclusive<OrderKey>,
        query: &ListQuery,
        source: Source<'_>,
        most: usize,
        is_known: impl Fn(OrderKey) -> bool,
    ) -> Vec<FoundOrder> {
        if keys.is_empty() {
            return Vec::new();
        }
        let sort = query.sort;
        let generations = self.read();
        let mut places = Vec::new();
        for (generation, newer) in generations.with_newer() {
            let mut changes = generation.changes.range(keys.clone());
            let mut found = 0;
            // In placement order the first are enough.
            while (found < most || sort.by == SortKey::Updated)
                && let Some((key, change)) =
                    if sort.descending { changes.next_back() } else { changes.next() }
            {
                let place = change.place(*key, sort.by);
                if query.after.is_none_or(|after| sort.is_after(place, after))
                    && newer.is_none_or(|newer| !newer.changes.contains_key(key))
                    && generations.is_in(source, *key, change, &query.filter)
                    && !is_known(*key)
                {
                    places.push((place, *key));
                    found += 1;
                }
            }
        }
        places.sort_unstable();
        if sort.descending {
            places.reverse();
        }
        places.truncate(most);
        places.into_iter().filter_map(|(_, key)| generations.found(key, &query.filter)).collect()
    }

    /// Replaces orders that are due by what they are now, and adds those that became due, up to a place if there is one.
    ///
    /// `due` are a snapshot's. Answers with how far the count is: unless it is what it was before the snapshot was
    /// taken, an order may have slipped between snapshot and overlay.
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

    /// How many events the views do not have yet.
    pub(crate) fn events(&self) -> u64 {
        let generations = self.read();
        generations.active.events + generations.flushing.as_ref().map_or(0, |flushing| flushing.events)
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

    /// Each generation with the one that is newer.
    fn with_newer(&self) -> impl Iterator<Item = (&Generation, Option<&Generation>)> {
        let flushing = self.flushing.as_deref().map(|flushing| (flushing, Some(&self.active)));
        flushing.into_iter().chain([(&self.active, None)])
    }

    /// Terms that an order has been found by lately.
    fn terms(&self, key: OrderKey) -> impl Iterator<Item = &SearchTerm> {
        let changes = self.oldest_first().filter_map(move |generation| generation.changes.get(&key));
        changes.flat_map(|change| &change.terms)
    }

    fn is_in(&self, source: Source<'_>, key: OrderKey, change: &Change, filter: &OrderFilter) -> bool {
        match &change.view {
            OrderView::Readable(order) => {
                let is_known_by = |wanted: &SearchTerm| self.terms(key).any(|term| term == wanted);
                filter.accepts(order) && source.has(filter, order, is_known_by)
            }
            OrderView::Unreadable(_) => filter.is_empty(),
        }
    }

    fn found(&self, key: OrderKey, filter: &OrderFilter) -> Option<FoundOrder> {
        let Change { view, updated_position, .. } = self.newest_by_key(key)?;
        let terms = self.terms(key).filter(|term| filter.terms.contains(term)).cloned().collect();
        Some(FoundOrder { key, updated_position: *updated_position, view: view.clone(), terms })
    }

    fn newest_by_key(&self, key: OrderKey) -> Option<&Change> {
        self.active.changes.get(&key).or_else(|| self.flushing.as_ref()?.changes.get(&key))
    }
}

impl Change {
    /// Where its order is in the order of a list.
    fn place(&self, key: OrderKey, by: SortKey) -> Position {
        match by {
            SortKey::Placed => Position(key),
            SortKey::Updated => self.updated_position,
        }
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
        self.events += appended.events;
        self.bytes += appended.events as usize * BYTES_PER_POSITION;
        self.has_due_orders |=
            matches!(&appended.view, OrderView::Readable(summary) if summary.due_at.is_some());
        let updated_position = appended.first_position.plus(appended.events - 1);
        self.last = Some((updated_position, appended.last_event_id));
        self.bytes += appended.terms.iter().map(term_bytes).sum::<usize>();
        // The first event's position is the key, and needs no entry.
        let new = new.filter(|(version, _)| version.0 > 1);
        match self.changes.get_mut(&appended.key) {
            Some(change) => {
                change.positions.extend(new);
                change.view = appended.view;
                change.updated_position = updated_position;
                change.terms.extend(appended.terms);
            }
            None => {
                self.keys.insert(appended.view.order_id().clone(), appended.key);
                self.bytes += BYTES_PER_ORDER + text_bytes(&appended.view);
                let CommittedEvents { key, view, terms, .. } = appended;
                self.changes.insert(key, Change { view, updated_position, terms, positions: new.collect() });
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

/// What a term takes, about.
pub(crate) fn term_bytes(term: &SearchTerm) -> usize {
    size_of_val(term) + 16 + term.value().len()
}

fn text_bytes(view: &OrderView) -> usize {
    let customer_id = match view {
        OrderView::Readable(summary) => summary.customer_id.as_str(),
        OrderView::Unreadable(_) => "",
    };
    view.order_id().as_str().len() + customer_id.len()
}
