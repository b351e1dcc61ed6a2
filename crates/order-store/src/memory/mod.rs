//! Everything in memory: the shortest reading of the store's contract. It grows with its log and is gone at exit.

mod follower_checkpoints;
mod receipts;
mod replica;

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;
use order_application::figures::{MeasuredStore, StoreFigures};
use order_application::{
    Append, AppendError, Committed, DueOrder, DuePage, DuePlace, DueQuery, EventBus, EventLog, ListQuery,
    OrderPage, OrderSummary, OrderView, OrderViews, PageBuilder, PageLimit, Position, RecordedEvent,
    SearchTerm, SortKey, StoreError, Unreadable, Version, ViewRepair, ViewsStatus,
};
use order_domain::{OrderId, Status};

use follower_checkpoints::CheckpointEntry;
use receipts::ReceiptTable;

use crate::replication::takes_no_commands;

/// A store that forgets everything when it is dropped.
pub struct MemoryStore {
    bus: Arc<dyn EventBus>,
    tables: RwLock<Tables>,
    is_replica: bool,
}

#[derive(Default)]
struct Tables {
    log: Vec<RecordedEvent>,
    /// Where each order is in `orders`.
    index: HashMap<OrderId, usize>,
    /// In placement order.
    orders: Vec<StoredOrder>,
    checkpoints: HashMap<Box<str>, CheckpointEntry>,
    receipts: ReceiptTable,
}

struct StoredOrder {
    view: OrderView,
    /// The position of version n is at index n − 1.
    positions: Vec<Position>,
    terms: BTreeSet<SearchTerm>,
}

impl MemoryStore {
    /// An empty store that announces its commits on `bus`.
    pub fn new(bus: Arc<dyn EventBus>) -> Self {
        Self { bus, tables: RwLock::default(), is_replica: false }
    }

    /// An empty store that takes no commands, only what
    /// [`replicate`](order_application::ReplicaStore::replicate) brings.
    pub fn replica(bus: Arc<dyn EventBus>) -> Self {
        Self { is_replica: true, ..Self::new(bus) }
    }

    /// Tells of what is in the log from an index on, and answers with the last position. Under the lock, so that
    /// announcements keep commit order.
    fn announce(&self, tables: &Tables, first: usize) -> Position {
        let last_position = Position(tables.log.len() as u64);
        if self.bus.has_subscribers() {
            let events = tables.log[first..].into();
            self.bus.publish(Committed { last_position, events });
        }
        last_position
    }

    /// A panic while the tables are held is a bug in an insertion; reading on is still better than stopping.
    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl EventLog for MemoryStore {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        if self.is_replica {
            return Err(takes_no_commands());
        }
        let mut tables = self.write();
        if append.receipt.as_ref().is_some_and(|receipt| tables.receipts.contains(&receipt.key)) {
            return Err(AppendError::KeyTaken);
        }
        let current = tables.version(&append.order_id);
        if current != append.expected_version {
            return Err(AppendError::Conflict { current });
        }
        let first = tables.append(append);
        Ok(self.announce(&tables, first))
    }

    async fn read_stream(
        &self,
        order_id: &OrderId,
        after: Version,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let tables = self.read();
        let Some(order) = tables.order(order_id) else { return Ok(Vec::new()) };
        if order.view.is_damaged() {
            return Err(Unreadable::Damaged.error(order_id));
        }
        let positions = order.positions.iter().skip(after.0 as usize);
        Ok(page(positions.map(|position| &tables.log[position.0 as usize - 1]), limit))
    }

    async fn read_log(&self, after: Position, limit: PageLimit) -> Result<Vec<RecordedEvent>, StoreError> {
        Ok(page(self.read().log.iter().skip(after.0 as usize), limit))
    }

    async fn end(&self) -> Result<Position, StoreError> {
        Ok(Position(self.read().log.len() as u64))
    }

    async fn version(&self, order_id: &OrderId) -> Result<Version, StoreError> {
        Ok(self.read().version(order_id))
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl OrderViews for MemoryStore {
    async fn one(&self, order_id: &OrderId) -> Result<Option<OrderSummary>, StoreError> {
        self.read().order(order_id).map(|order| order.view.clone().into_summary()).transpose()
    }

    async fn many(&self, query: &ListQuery) -> Result<OrderPage, StoreError> {
        let tables = self.read();
        let mut page = PageBuilder::new(query);
        for (place, order) in tables.in_order(query) {
            let is_found = query.filter.terms.is_subset(&order.terms);
            let more = if is_found { page.add(place, Some(order.view.clone())) } else { page.pass(place) };
            if more.is_break() {
                break;
            }
        }
        Ok(page.finish())
    }

    async fn due(&self, query: &DueQuery) -> Result<DuePage, StoreError> {
        let tables = self.read();
        let due = tables.orders.iter().filter_map(|order| match &order.view {
            OrderView::Readable(summary) => {
                let place = DuePlace { due_at: summary.due_at?, placed_position: order.positions[0] };
                Some(DueOrder { place, order_id: summary.order_id.clone() })
            }
            OrderView::Unreadable(_) => None,
        });
        let wanted = |due: &DueOrder| due.place.due_at <= query.until && Some(due.place) > query.after;
        let mut orders: Vec<_> = due.filter(wanted).collect();
        orders.sort_unstable_by_key(|due| due.place);
        let is_full = orders.len() > query.limit;
        orders.truncate(query.limit);
        let next = orders.last().filter(|_| is_full).map(|last| last.place);
        Ok(DuePage { orders, next })
    }

    async fn count(&self, status: Status, at_most: usize) -> Result<usize, StoreError> {
        let tables = self.read();
        let has_status = |order: &&StoredOrder| match &order.view {
            OrderView::Readable(summary) => summary.status == status,
            OrderView::Unreadable(_) => false,
        };
        Ok(tables.orders.iter().filter(has_status).take(at_most).count())
    }
}

/// Views in memory are changed with their log, under one lock, and nothing damages them.
#[async_trait]
impl ViewRepair for MemoryStore {
    async fn repair_views(&self, _: &[OrderId], _: &[Position], _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    fn views(&self) -> ViewsStatus {
        ViewsStatus::default()
    }
}

/// It writes nothing, and nobody waits.
impl MeasuredStore for MemoryStore {
    fn figures(&self) -> StoreFigures<'_> {
        StoreFigures::default()
    }
}

impl Tables {
    fn order(&self, order_id: &OrderId) -> Option<&StoredOrder> {
        self.index.get(order_id).map(|index| &self.orders[*index])
    }

    fn version(&self, order_id: &OrderId) -> Version {
        self.order(order_id).map_or(Version::NONE, |order| order.view.version())
    }

    /// The orders from where the query begins, each with its place.
    fn in_order(&self, query: &ListQuery) -> Vec<(Position, &StoredOrder)> {
        let place = |order: &StoredOrder| match query.sort.by {
            SortKey::Placed => order.positions[0],
            SortKey::Updated => order.positions[order.positions.len() - 1],
        };
        let placed = self.orders.iter().map(|order| (place(order), order));
        let comes = |place| query.after.is_none_or(|after| query.sort.is_after(place, after));
        let mut orders: Vec<_> = placed.filter(|(place, _)| comes(*place)).collect();
        match query.sort.descending {
            false => orders.sort_unstable_by_key(|(place, _)| *place),
            true => orders.sort_unstable_by_key(|(place, _)| Reverse(*place)),
        }
        orders
    }

    /// Adds the events and answers with the index of the first.
    fn append(&mut self, append: Append) -> usize {
        let first = self.log.len();
        self.log.extend(append.recorded_at(Position(first as u64 + 1)));
        if let Some(receipt) = append.receipt {
            self.receipts.insert(receipt);
        }
        let positions = (first as u64 + 1..=self.log.len() as u64).map(Position);
        match self.index.get(&append.order_id) {
            Some(&index) => {
                let order = &mut self.orders[index];
                order.positions.extend(positions);
                order.view = append.view;
                order.terms.extend(append.terms);
            }
            None => {
                self.index.insert(append.order_id.clone(), self.orders.len());
                let Append { view, terms, .. } = append;
                let (positions, terms) = (positions.collect(), terms.into_iter().collect());
                self.orders.push(StoredOrder { view, positions, terms });
            }
        }
        first
    }
}

/// Takes events until the page is full.
fn page<'a>(events: impl Iterator<Item = &'a RecordedEvent>, limit: PageLimit) -> Vec<RecordedEvent> {
    let mut page = Vec::new();
    let mut bytes = 0;
    for event in events.take(limit.events) {
        bytes += event.data.len();
        if bytes > limit.bytes && !page.is_empty() {
            break;
        }
        page.push(event.clone());
    }
    page
}
