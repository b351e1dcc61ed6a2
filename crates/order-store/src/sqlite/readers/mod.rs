//! Reading beside the writers: overlay first, then a fresh snapshot of the views, then the log.

mod lists;
mod pool;
mod receipts;
mod streams;

use std::path::PathBuf;

use order_application::{DueOrder, DuePage, DuePlace, DueQuery, OrderView, StoreError};
use order_domain::OrderId;
use rusqlite::Connection;

use crate::sqlite::readers::pool::ViewsSnapshots;
use crate::sqlite::rebuild_requests::RebuildRequests;
use crate::sqlite::views::id_ranges::{self, IdEntry};
use crate::sqlite::views::known_orders::KnownOrders;
use crate::sqlite::views::overlay::{FlushCount, Overlay, StreamState};
use crate::sqlite::views::{Views, ViewsError, hash_order_id, reading};

pub(crate) use pool::LogPool;
pub(crate) use receipts::PARTS_OF_SEGMENT;

/// Times that a list is read again because a generation went to the views in the middle. Each is written for about a
/// second and a list is read in milliseconds, so a second time is rare and a fifth does not happen.
const MAX_LIST_READS: usize = 16;

/// More would not fit a parameter.
const MAX_LIST_ROWS: usize = u32::MAX as usize;

/// The overlay, and connections for reading both files.
pub(crate) struct Readers {
    pub(crate) log: LogPool,
    pub(crate) views: ViewsSnapshots,
    pub(crate) overlay: Overlay,
    pub(crate) hash_seed: u64,
    pub(crate) rebuilds: RebuildRequests,
}

impl Readers {
    /// Reads a log and a file of its views.
    pub(crate) fn new(log_path: PathBuf, views: &Views) -> Self {
        let hash_seed = views.progress().hash_seed;
        let rebuilds = RebuildRequests::new(views.number());
        let views = ViewsSnapshots::new(log_path.clone(), views.number());
        Self { log: LogPool::new(log_path), views, overlay: Overlay::default(), hash_seed, rebuilds }
    }

    pub(crate) fn stream_state(&self, order_id: &OrderId) -> Result<Option<StreamState>, StoreError> {
        match self.overlay.stream_state(order_id) {
            Ok(stream) => Ok(Some(stream)),
            Err(flushed) => self.state_in_views(order_id, flushed),
        }
    }

    fn state_in_views(
        &self,
        order_id: &OrderId,
        flushed: FlushCount,
    ) -> Result<Option<StreamState>, StoreError> {
        self.in_views(flushed, |views| reading::stream_state(views, order_id, self.hash(order_id)))
    }

    /// The same for whoever is about to append to the order. One that is surely new is not looked up.
    pub(crate) fn stream_state_unless_new(
        &self,
        order_id: &OrderId,
        known: &KnownOrders,
    ) -> Result<Option<StreamState>, StoreError> {
        match self.overlay.stream_state(order_id) {
            Ok(stream) => Ok(Some(stream)),
            Err(_) if known.is_surely_new(order_id) => Ok(None),
            Err(flushed) => self.state_in_views(order_id, flushed),
        }
    }

    pub(crate) fn view(&self, order_id: &OrderId) -> Result<Option<OrderView>, StoreError> {
        let flushed = match self.overlay.view(order_id) {
            Ok(view) => return Ok(Some(view)),
            Err(flushed) => flushed,
        };
        let found = self.in_views(flushed, |views| reading::find(views, order_id, self.hash(order_id)))?;
        Ok(found.map(|(_, view)| view))
    }

    /// Orders that are due. The overlay may have any number of them more than the page should: they are few.
    pub(crate) fn due(&self, query: &DueQuery) -> Result<DuePage, StoreError> {
        for _ in 0..MAX_LIST_READS {
            let flushed_before = self.overlay.flushed();
            let rows = self.in_views(flushed_before, |views| reading::due(views, query))?;
            let next = rows.last().filter(|_| rows.len() == query.limit).map(|(place, _)| *place);
            let order = |(place, view): &(DuePlace, OrderView)| DueOrder {
                place: *place,
                order_id: view.order_id().clone(),
            };
            let mut orders: Vec<_> = rows.iter().map(order).collect();
            if self.overlay.merge_due(&mut orders, query, next) == flushed_before {
                orders.sort_unstable_by_key(|due| due.place);
                return Ok(DuePage { orders, next });
            }
        }
        Err(StoreError::Overloaded)
    }

    /// Reads from the views. What does not add up is told, and is no answer.
    fn in_views<T>(
        &self,
        flushed: FlushCount,
        read: impl FnOnce(&Connection) -> Result<T, ViewsError>,
    ) -> Result<T, StoreError> {
        let (number, answer) = self.views.with(flushed, read);
        answer.map_err(|error| match error.damage() {
            Some(what) => self.rebuilds.damaged(number, what),
            None => StoreError::Unavailable(error.to_string()),
        })
    }

    fn hash(&self, order_id: &OrderId) -> i64 {
        hash_order_id(order_id, self.hash_seed)
    }

    /// The entries of a group of the index of orders, which are certain to be all that it has.
    pub(crate) fn proven_entries(&self, group: i64) -> Result<Vec<IdEntry>, StoreError> {
        self.in_views(self.overlay.flushed(), |views| id_ranges::proven_entries(views, group))
    }

    /// Copies the views' write-ahead log into their file, so that it starts anew. A snapshot from before would keep it from
    /// being copied, and one from before the copy from being started anew.
    pub(crate) fn copy_wal(&self, views: &Views) -> rusqlite::Result<()> {
        self.end_snapshots();
        let copied = views.copy_wal();
        self.end_snapshots();
        copied
    }

    fn end_snapshots(&self) {
        self.views.end_before(self.overlay.renew_snapshots());
    }

    pub(crate) fn close(&self) {
        self.log.close();
        self.views.close();
    }
}
