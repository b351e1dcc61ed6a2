//! A store in memory whose views and log lie as a test tells them to.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::*;

type ShowOne = Box<dyn Fn(OrderSummary) -> Result<Option<OrderSummary>, StoreError> + Send>;
type ShowList = Box<dyn Fn(Vec<ListedOrder>) -> Vec<ListedOrder> + Send>;

pub(super) struct LyingStore {
    pub(super) store: Arc<MemoryStore>,
    lies: Mutex<Lies>,
    beats: AtomicU64,
}

#[derive(Default)]
pub(super) struct Lies {
    /// What becomes of one order's view.
    pub(super) one: Option<ShowOne>,
    /// An order whose events after the first are not found where the store looks for them.
    pub(super) forgotten: Option<OrderId>,
    /// What becomes of the list of all orders.
    pub(super) list: Option<ShowList>,
    /// An order that a list with a filter does not find.
    pub(super) lost: Option<OrderId>,
    /// The list is damaged.
    pub(super) damaged_list: bool,
    /// The log is found damaged as a whole once more pages than these were read.
    pub(super) damaged_log: Option<usize>,
    pub(super) restless: Option<Restless>,
    /// This event cannot be read.
    pub(super) unreadable: Option<Position>,
    /// What every read is answered with.
    pub(super) away: Option<StoreError>,
    pub(super) asked_while_away: usize,
    pub(super) views: ViewsStatus,
    /// A newer release makes the views once this has been asked so often.
    pub(super) newer_after: Option<usize>,
    pub(super) repaired: Vec<OrderId>,
    pub(super) repaired_positions: Vec<Position>,
    /// The lease is another's.
    pub(super) held_by_another: bool,
    pub(super) pages: Vec<usize>,
}

/// An order that changes whenever it is looked at.
pub(super) struct Restless {
    pub(super) order_id: OrderId,
    pub(super) service: OrderService,
    /// Whether a look at the list counts, instead of one at the order alone.
    pub(super) in_list: bool,
    /// So many more times.
    pub(super) more: usize,
}

impl LyingStore {
    pub(super) fn new(store: Arc<MemoryStore>) -> Self {
        Self { store, lies: Mutex::default(), beats: AtomicU64::default() }
    }

    pub(super) fn lies(&self) -> MutexGuard<'_, Lies> {
        self.lies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reachable(&self) -> Result<(), StoreError> {
        let mut lies = self.lies();
        lies.asked_while_away += usize::from(lies.away.is_some());
        lies.away.clone().map_or(Ok(()), Err)
    }

    /// A restless order moves on when it is looked at: alone, or, without an id, in the list.
    async fn disturb(&self, looked_at: Option<&OrderId>) {
        let change = match &mut self.lies().restless {
            Some(Restless { order_id, service, in_list, more })
                if *more > 0 && looked_at.map_or(*in_list, |id| id == order_id && !*in_list) =>
            {
                *more -= 1;
                Some((service.clone(), order_id.clone(), format!("p-{more}")))
            }
            Some(_) | None => None,
        };
        if let Some((service, order_id, payment_id)) = change {
            execute(&service, order_id.as_str(), pay(&payment_id, 1)).await.unwrap();
        }
    }
}

#[async_trait]
impl EventLog for LyingStore {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        self.store.append(append).await
    }

    async fn read_stream(
        &self,
        order_id: &OrderId,
        after: Version,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let mut events = self.store.read_stream(order_id, after, limit).await?;
        if self.lies().forgotten.as_ref() == Some(order_id) {
            events.retain(|event| event.version == Version(1));
        }
        Ok(events)
    }

    async fn read_log(&self, after: Position, limit: PageLimit) -> Result<Vec<RecordedEvent>, StoreError> {
        self.reachable()?;
        let mut page = self.store.read_log(after, limit).await?;
        let mut lies = self.lies();
        lies.pages.push(page.len());
        if let Some(position) = lies.unreadable {
            if position == after.plus(1) {
                return Err(StoreError::Corrupt(format!("the event at position {position}")));
            }
            page.retain(|event| event.position < position || position <= after);
        }
        Ok(page)
    }

    async fn end(&self) -> Result<Position, StoreError> {
        self.reachable()?;
        self.store.end().await
    }

    async fn version(&self, order_id: &OrderId) -> Result<Version, StoreError> {
        self.store.version(order_id).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        let lies = self.lies();
        let is_found = lies.damaged_log.is_some_and(|after_pages| lies.pages.len() > after_pages);
        if is_found { Err(StoreError::Corrupt("a page".to_owned())) } else { Ok(()) }
    }
}

#[async_trait]
impl OrderViews for LyingStore {
    async fn one(&self, order_id: &OrderId) -> Result<Option<OrderSummary>, StoreError> {
        let shown = self.store.one(order_id).await;
        self.disturb(Some(order_id)).await;
        match (shown?, &self.lies().one) {
            (Some(summary), Some(lie)) => lie(summary),
            (shown, _) => Ok(shown),
        }
    }

    async fn due(&self, query: &DueQuery) -> Result<DuePage, StoreError> {
        self.store.due(query).await
    }

    async fn count(&self, status: Status, at_most: usize) -> Result<usize, StoreError> {
        self.store.count(status, at_most).await
    }

    async fn lost_way_to(
        &self,
        order_id: &OrderId,
        terms: &[SearchTerm],
    ) -> Result<Option<String>, StoreError> {
        let is_lost = self.lies().lost.as_ref() == Some(order_id);
        Ok(is_lost.then(|| format!("one of {} terms", terms.len())))
    }

    async fn many(&self, query: &ListQuery) -> Result<OrderPage, StoreError> {
        self.disturb(None).await;
        if self.lies().damaged_list {
            return Err(StoreError::DamagedView("its chain".to_owned()));
        }
        if self.lies().list.is_none() {
            return self.store.many(query).await;
        }
        let mut rows = list(&*self.store, Position::START, usize::MAX - 1).await;
        if let Some(lie) = &self.lies().list {
            rows = lie(rows);
        }
        let mut page = PageBuilder::new(query);
        for row in rows.into_iter().skip_while(|row| Some(row.place) <= query.after) {
            if page.add(row.place, Some(OrderView::Readable(row.summary))).is_break() {
                break;
            }
        }
        Ok(page.finish())
    }
}

#[async_trait]
impl ViewRepair for LyingStore {
    async fn repair_views(
        &self,
        order_ids: &[OrderId],
        positions: &[Position],
        _: &str,
    ) -> Result<(), StoreError> {
        self.lies().repaired.extend_from_slice(order_ids);
        self.lies().repaired_positions.extend_from_slice(positions);
        Ok(())
    }

    fn views(&self) -> ViewsStatus {
        self.lies().views.clone()
    }

    async fn are_of_newer_release(&self) -> Result<bool, StoreError> {
        let mut lies = self.lies();
        let is_newer = lies.newer_after == Some(0);
        lies.newer_after = lies.newer_after.map(|more| more.saturating_sub(1));
        Ok(is_newer)
    }
}

#[async_trait]
impl Checkpoints for LyingStore {
    async fn claim(&self, name: &str, holder: &str, last_seen: Option<Beat>) -> Result<Claim, StoreError> {
        if self.lies().held_by_another {
            // Another that lives, whenever it is asked for.
            return Ok(Claim::Held(Beat(self.beats.fetch_add(1, Ordering::Relaxed))));
        }
        self.store.claim(name, holder, last_seen).await
    }

    async fn release(&self, name: &str, holder: &str, epoch: Epoch) -> Result<(), StoreError> {
        self.store.release(name, holder, epoch).await
    }

    async fn load(&self, name: &str) -> Result<Option<Checkpoint>, StoreError> {
        self.store.load(name).await
    }

    async fn save(&self, name: &str, epoch: Epoch, checkpoint: &Checkpoint) -> Result<bool, StoreError> {
        self.store.save(name, epoch, checkpoint).await
    }
}
