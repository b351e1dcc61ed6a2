//! What the use cases ask of the store: the ports, each call handed to whoever does it. That of checkpoints is in
//! [`checkpoints`](super::checkpoints).

use async_trait::async_trait;
use order_application::figures::{MeasuredStore, StoreFigures};
use order_application::{
    Append, AppendError, DuePage, DueQuery, EventLog, ListQuery, LogHistory, OrderPage, OrderSummary,
    OrderView, OrderViews, PageLimit, Position, RecordedEvent, SearchTerm, StoreError, Unreadable, Version,
    ViewRepair, ViewsStatus,
};
use order_domain::{OrderId, Status};

use super::views::outdated;
use super::{PostgresStore, lists, pages};

#[async_trait]
impl EventLog for PostgresStore {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        #[cfg(feature = "planted-faults")]
        let append = crate::planted_release::write(append);
        self.writer.append(append).await
    }

    async fn read_stream(
        &self,
        order_id: &OrderId,
        after: Version,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let (events, is_damaged) = pages::stream(&self.reads, order_id, after, limit).await?;
        // What only the row says is asked of the row when it has been checked.
        if is_damaged && self.find_view(order_id).await?.is_some_and(|view| view.is_damaged()) {
            return Err(Unreadable::Damaged.error(order_id));
        }
        Ok(events)
    }

    async fn read_log(&self, after: Position, limit: PageLimit) -> Result<Vec<RecordedEvent>, StoreError> {
        pages::log(&self.reads, after, limit).await
    }

    async fn end(&self) -> Result<Position, StoreError> {
        pages::log_end(&self.reads).await
    }

    async fn version(&self, order_id: &OrderId) -> Result<Version, StoreError> {
        Ok(self.look_ups.find(order_id).await?.map_or(Version::NONE, |found| found.version))
    }

    async fn check(&self) -> Result<(), StoreError> {
        pages::check(&self.reads).await?;
        self.writer.check(&self.reads).await
    }

    fn history(&self) -> LogHistory {
        self.history.number()
    }
}

#[async_trait]
impl OrderViews for PostgresStore {
    async fn one(&self, order_id: &OrderId) -> Result<Option<OrderSummary>, StoreError> {
        self.find_view(order_id).await?.map(OrderView::into_summary).transpose()
    }

    async fn many(&self, query: &ListQuery) -> Result<OrderPage, StoreError> {
        let (page, damaged) = lists::list(&self.reads, query).await?;
        self.repairs.ask_for(damaged, "a list met damaged rows");
        Ok(page)
    }

    async fn due(&self, query: &DueQuery) -> Result<DuePage, StoreError> {
        let (page, damaged) = pages::due(&self.reads, query).await?;
        self.repairs.ask_for(damaged, "a look at what is due met damaged rows");
        Ok(page)
    }

    async fn count(&self, status: Status, at_most: usize) -> Result<usize, StoreError> {
        lists::count(&self.reads, status, at_most).await
    }

    async fn lost_way_to(
        &self,
        order_id: &OrderId,
        terms: &[SearchTerm],
    ) -> Result<Option<String>, StoreError> {
        lists::lost_way_to(&self.reads, order_id, terms).await
    }
}

#[async_trait]
impl ViewRepair for PostgresStore {
    async fn repair_views(
        &self,
        order_ids: &[OrderId],
        positions: &[Position],
        why: &str,
    ) -> Result<(), StoreError> {
        let mut keys = positions.to_vec();
        for order_id in order_ids {
            match self.look_ups.find(order_id).await {
                // Where the log does not have an order, there is nothing to make a row of.
                Ok(found) => keys.extend(found.map(|found| found.key)),
                // The database cannot read what the row comes of. The others need not suffer for it.
                Err(StoreError::Corrupt(why)) => tracing::error!(%order_id, why, "a view is left as it is"),
                Err(error) => return Err(error),
            }
        }
        self.repairs.ask_for(keys, why);
        Ok(())
    }

    fn views(&self) -> ViewsStatus {
        self.repairs.status()
    }

    async fn are_of_newer_release(&self) -> Result<bool, StoreError> {
        Ok(outdated(&self.reads).await?.is_newer_releases)
    }
}

/// Views are written with the events: they are never behind.
impl MeasuredStore for PostgresStore {
    fn figures(&self) -> StoreFigures<'_> {
        StoreFigures {
            writing: Some(self.writer.figures()),
            queue: Some(self.writer.queued()),
            views_lag: None,
            pool: Some(self.reads.figures()),
            disk: None,
        }
    }
}
