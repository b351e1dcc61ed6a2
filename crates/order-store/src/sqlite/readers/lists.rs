//! Lists: orders that changed lately are in the overlay, and the others are found in the file.
//!
//! The file is read first, and then the overlay. An order that moves from the overlay to the file in between might be in
//! neither, so then all is read again.

use std::ops::{ControlFlow, RangeInclusive};

use order_application::{
    ListQuery, MAX_EXAMINED, OrderPage, OrderView, PageBuilder, SearchTerm, SortKey, StoreError, TimeRange,
};
use order_domain::{OrderId, Status};

use crate::list_path::{ListPath, Source};
use crate::sqlite::log::row::MAX_POSITION;
use crate::sqlite::readers::{MAX_LIST_READS, Readers};
use crate::sqlite::views::finding::{Finder, FoundOrder, places_after};
use crate::sqlite::views::overlay::Overlay;
use crate::sqlite::views::{ViewsError, finding, reading};

/// Each time that orders are asked for once more, for one page, so many times more than the time before.
const BATCH_GROWTH: usize = 4;

impl Readers {
    pub(crate) fn list(&self, query: &ListQuery) -> Result<OrderPage, StoreError> {
        for _ in 0..MAX_LIST_READS {
            let flushed_before = self.overlay.flushed();
            let page = self.in_views(flushed_before, |views| {
                let finder = Finder::new(views, query);
                let page = PageBuilder::new(query);
                List { overlay: &self.overlay, query, finder, page }.read()
            })?;
            if self.overlay.flushed() == flushed_before {
                return Ok(page);
            }
        }
        Err(StoreError::Overloaded)
    }

    /// How many orders have a status, as far as the views' file has come.
    pub(crate) fn count(&self, status: Status, at_most: usize) -> Result<usize, StoreError> {
        self.in_views(self.overlay.flushed(), |views| finding::count(views, status, at_most))
    }

    /// What does not lead to an order that is not in the overlay.
    pub(crate) fn lost_way_to(
        &self,
        order_id: &OrderId,
        terms: &[SearchTerm],
    ) -> Result<Option<String>, StoreError> {
        let Err(flushed) = self.overlay.stream_state(order_id) else { return Ok(None) };
        self.in_views(flushed, |views| match reading::find(views, order_id, self.hash(order_id))? {
            Some((key, _)) => finding::lost_way_to(views, key, terms),
            None => Ok(None),
        })
    }
}

/// A list on its way to a page.
struct List<'l> {
    overlay: &'l Overlay,
    query: &'l ListQuery,
    finder: Finder<'l, 'l>,
    page: PageBuilder<'l>,
}

impl List<'_> {
    fn read(mut self) -> Result<OrderPage, ViewsError> {
        // Whether the page is full does not matter any more.
        let _ = match ListPath::of(self.query) {
            ListPath::InOrder(source) => self.take_in_order(source)?,
            ListPath::Sorted(source, in_order) => match self.finder.few(source)? {
                Some(orders) => self.take_sorted(source, orders)?,
                None => self.take_in_order(in_order)?,
            },
        };
        Ok(self.page.finish())
    }

    /// Takes orders of a source that has them in the order of the list.
    fn take_in_order(&mut self, source: Source<'_>) -> Result<ControlFlow<()>, ViewsError> {
        match (self.query.sort.by, self.query.sort.descending) {
            (SortKey::Placed, _) => self.take_placed(source),
            // What is in the overlay has changed later than all that is not.
            (SortKey::Updated, false) => match self.take_updated(source)? {
                ControlFlow::Continue(()) => self.take_recent(),
                full => Ok(full),
            },
            (SortKey::Updated, true) => match self.take_recent()? {
                ControlFlow::Continue(()) => self.take_updated(source),
                full => Ok(full),
            },
        }
    }

    /// Takes all orders that may belong to the list.
    fn take_sorted(
        &mut self,
        source: Source<'_>,
        mut orders: Vec<FoundOrder>,
    ) -> Result<ControlFlow<()>, ViewsError> {
        let sort = self.query.sort;
        self.overlay.renew(&mut orders, &self.query.filter);
        orders.sort_unstable_by_key(|order| order.key);
        let known = |key| orders.binary_search_by_key(&key, |order| order.key).is_ok();
        let recent = self.overlay.select(1..=MAX_POSITION.0, self.query, source, self.enough(), known);
        orders.extend(recent);
        orders
            .retain(|order| self.query.after.is_none_or(|after| sort.is_after(order.place(sort.by), after)));
        self.sort(&mut orders);
        self.take(orders)
    }

    /// Takes orders of a source, in placement order.
    fn take_placed(&mut self, source: Source<'_>) -> Result<ControlFlow<()>, ViewsError> {
        let end = self.finder.end(source)?;
        let mut keys = places_after(self.query, MAX_POSITION.0);
        let mut batch = self.query.limit.saturating_add(1).min(MAX_EXAMINED);
        loop {
            let in_file = *keys.start()..=*keys.end().min(&end);
            let mut orders = self.finder.find(source, &in_file, batch)?;
            // Further ones of the file come after the last of these.
            let last = if orders.len() == batch { orders.last().map(|order| order.key) } else { None };
            let reached = self.up_to(&keys, last);
            self.overlay.renew(&mut orders, &self.query.filter);
            let known: Vec<_> = orders.iter().map(|order| order.key).collect();
            let is_known = |key: u64| match self.query.sort.descending {
                false => known.binary_search(&key).is_ok(),
                true => known.binary_search_by(|known| key.cmp(known)).is_ok(),
            };
            let recent = self.overlay.select(reached, self.query, source, batch, is_known);
            // And further ones of the overlay after the last of those.
            let last_recent = if recent.len() == batch { recent.last().map(|order| order.key) } else { None };
            orders.extend(recent);
            let lasts = last.into_iter().chain(last_recent);
            let last = if self.query.sort.descending { lasts.max() } else { lasts.min() };
            let reached = self.up_to(&keys, last);
            orders.retain(|order| reached.contains(&order.key));
            self.sort(&mut orders);
            if self.take(orders)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let Some(last) = last else { return Ok(ControlFlow::Continue(())) };
            keys = self.after(&keys, last);
            batch = (batch * BATCH_GROWTH).min(MAX_EXAMINED);
        }
    }

    /// Takes orders of the file, in the order of their last events.
    fn take_updated(&mut self, source: Source<'_>) -> Result<ControlFlow<()>, ViewsError> {
        let mut places = places_after(self.query, self.finder.end(source)?);
        let mut batch = self.query.limit.saturating_add(1).min(MAX_EXAMINED);
        loop {
            let mut orders = self.finder.find(source, &places, batch)?;
            let last = if orders.len() == batch { orders.last() } else { None };
            let last = last.map(|order| order.updated_position.0);
            self.overlay.drop_recent(&mut orders);
            if self.take(orders)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let Some(last) = last else { return Ok(ControlFlow::Continue(())) };
            places = self.after(&places, last);
            batch = (batch * BATCH_GROWTH).min(MAX_EXAMINED);
        }
    }

    /// Takes orders of the overlay, in the order of their last events.
    fn take_recent(&mut self) -> Result<ControlFlow<()>, ViewsError> {
        let everything = Source::Log(SortKey::Updated, TimeRange::default());
        let orders =
            self.overlay.select(1..=MAX_POSITION.0, self.query, everything, self.enough(), |_| false);
        self.take(orders)
    }

    /// How many orders of the overlay fill a page. One more than it has tells whether there is a next one; of those whose terms
    /// are in the file, some will not belong.
    fn enough(&self) -> usize {
        match self.query.filter.terms.is_empty() {
            true => self.query.limit.saturating_add(1),
            false => MAX_EXAMINED,
        }
    }

    /// Hands orders to the page, which says when it has enough.
    fn take(&mut self, orders: Vec<FoundOrder>) -> Result<ControlFlow<()>, ViewsError> {
        for order in orders {
            let place = order.place(self.query.sort.by);
            let belongs = match &order.view {
                OrderView::Readable(summary) if self.query.filter.accepts(summary) => {
                    self.finder.has_terms(&order)?
                }
                // The page knows what to do with those.
                OrderView::Readable(_) | OrderView::Unreadable(_) => true,
            };
            let taken = if belongs { self.page.add(place, Some(order.view)) } else { self.page.pass(place) };
            if taken.is_break() {
                return Ok(taken);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn sort(&self, orders: &mut [FoundOrder]) {
        let sort = self.query.sort;
        orders.sort_unstable_by_key(|order| order.place(sort.by));
        if sort.descending {
            orders.reverse();
        }
    }

    /// Of a range that is gone through in the order of the list: what comes up to a place, or all of it.
    fn up_to(&self, range: &RangeInclusive<u64>, last: Option<u64>) -> RangeInclusive<u64> {
        match (last, self.query.sort.descending) {
            (None, _) => range.clone(),
            (Some(last), false) => *range.start()..=last,
            (Some(last), true) => last..=*range.end(),
        }
    }

    /// And what comes after it.
    fn after(&self, range: &RangeInclusive<u64>, last: u64) -> RangeInclusive<u64> {
        match self.query.sort.descending {
            false => last + 1..=*range.end(),
            true => *range.start()..=last - 1,
        }
    }
}
