//! Lists of orders: which orders, in which order, from where on; and the page that comes of it.
//!
//! What a list has is decided here, once, for every store: a store brings rows in the order of the list, and a
//! [`PageBuilder`] takes those that belong. How a store finds rows without looking at all of them is its own business.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use order_domain::{Cents, Status, Timestamp};

use crate::event::Position;
use crate::projection::{OrderSummary, OrderView};
use crate::receipt::Fingerprint;
use crate::search_term::SearchTerm;

/// Rows that are looked at for one page, at most. So a page costs little, however few orders match; the next one goes on
/// from there.
pub const MAX_EXAMINED: usize = 10_000;

/// A page of which orders is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// What they have in common.
    pub filter: OrderFilter,
    /// In which order they come.
    pub sort: Sort,
    /// Only orders that come after this place in that order; `None`: from the first on.
    pub after: Option<Position>,
    /// Most orders of a page. Orders left out count, too.
    pub limit: usize,
}

impl ListQuery {
    /// All orders in the order of their placement, from after a position on.
    pub fn placed_after(after: Position, limit: usize) -> Self {
        Self { after: Some(after), limit, ..Self::default() }
    }
}

/// Conditions that an order meets, all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// One of these; none: any.
    pub statuses: BTreeSet<Status>,
    /// It is found under each of these.
    pub terms: BTreeSet<SearchTerm>,
    /// When it was placed.
    pub placed: TimeRange,
    /// When its last event was.
    pub updated: TimeRange,
    /// The least total.
    pub min_total: Option<Cents>,
    /// And the highest.
    pub max_total: Option<Cents>,
    /// Whether it is on hold.
    pub on_hold: Option<bool>,
}

/// A stretch of time without its ends. `None`: it has none there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeRange {
    /// Later than this.
    pub after: Option<Timestamp>,
    /// Earlier than this.
    pub before: Option<Timestamp>,
}

impl TimeRange {
    /// Whether a time is in it.
    pub fn contains(&self, time: Timestamp) -> bool {
        self.after.is_none_or(|after| time > after) && self.before.is_none_or(|before| time < before)
    }

    /// Whether it has no end.
    pub fn is_everything(&self) -> bool {
        self.after.is_none() && self.before.is_none()
    }
}

impl OrderFilter {
    /// Whether every order meets it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an order meets all conditions that its row tells of: all but those on payments, parcels and SKUs.
    pub fn accepts(&self, order: &OrderSummary) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&order.status))
            && self.placed.contains(order.placed_at)
            && self.updated.contains(order.updated_at)
            && self.min_total.is_none_or(|least| order.total >= least)
            && self.max_total.is_none_or(|most| order.total <= most)
            && self.on_hold.is_none_or(|on_hold| order.on_hold == on_hold)
            && self.terms.iter().all(|term| match term {
                SearchTerm::Customer(customer_id) => order.customer_id == *customer_id,
                SearchTerm::Payment(_) | SearchTerm::Tracking(_) | SearchTerm::Sku(_) => true,
            })
    }

    /// Tells this filter from every other.
    pub fn fingerprint(&self) -> Fingerprint {
        let Self { statuses, terms, placed, updated, min_total, max_total, on_hold } = self;
        let number = |number: Option<i64>| number.map(i64::to_le_bytes);
        let micros = |time: Option<Timestamp>| number(time.map(Timestamp::as_micros));
        let numbers = [
            micros(placed.after),
            micros(placed.before),
            micros(updated.after),
            micros(updated.before),
            number(min_total.map(Cents::get)),
            number(max_total.map(Cents::get)),
            number(on_hold.map(i64::from)),
        ];
        let numbers = numbers.iter().map(|number| number.as_ref().map_or(&[][..], |bytes| &bytes[..]));
        let statuses = statuses.iter().map(|status| status.as_str().as_bytes());
        let terms = terms.iter().flat_map(|term| [term.kind().as_bytes(), term.value().as_bytes()]);
        Fingerprint::of(&numbers.chain(statuses).chain(terms).collect::<Vec<_>>())
    }
}

/// The order of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sort {
    /// What counts.
    pub by: SortKey,
    /// Whether the latest comes first.
    pub descending: bool,
}

/// What orders are sorted by: always a position of the log, so that each has its place and no two share one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SortKey {
    /// Where an order's first event is.
    #[default]
    Placed,
    /// Where its last event is.
    Updated,
}

impl Sort {
    /// Every sort.
    pub const ALL: [Self; 4] = [
        Self { by: SortKey::Placed, descending: false },
        Self { by: SortKey::Placed, descending: true },
        Self { by: SortKey::Updated, descending: false },
        Self { by: SortKey::Updated, descending: true },
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match (self.by, self.descending) {
            (SortKey::Placed, false) => "placed",
            (SortKey::Placed, true) => "-placed",
            (SortKey::Updated, false) => "updated",
            (SortKey::Updated, true) => "-updated",
        }
    }

    /// The sort of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.as_str() == name)
    }

    /// Whether one place comes after another in this order.
    pub fn is_after(self, place: Position, other: Position) -> bool {
        if self.descending { place < other } else { place > other }
    }
}

/// A page of views.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderPage {
    /// The orders.
    pub orders: Vec<ListedOrder>,
    /// How many orders belong here that are [unreadable](crate::projection::Unreadable), or whose rows are damaged. Nobody
    /// can tell whether an unreadable order meets a filter, so a list with one does not count them.
    pub left_out: usize,
    /// Where the next page begins: [`ListQuery::after`]. `None` when there is none.
    pub next: Option<Position>,
}

/// An order in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedOrder {
    /// Where it is in the order of the list: the position that its [`SortKey`] names.
    pub place: Position,
    /// Its view.
    pub summary: OrderSummary,
    /// How many of those that the page [leaves out](OrderPage::left_out) come before it: for whoever shows only a part of it.
    pub left_out_before: usize,
}

/// Makes a page of rows that a store brings in the order of the list.
#[derive(Debug)]
pub struct PageBuilder<'q> {
    query: &'q ListQuery,
    page: OrderPage,
    examined: usize,
    /// Of the row that was looked at last.
    last: Option<Position>,
}

impl<'q> PageBuilder<'q> {
    /// A page that is still empty.
    pub fn new(query: &'q ListQuery) -> Self {
        Self { query, page: OrderPage::default(), examined: 0, last: None }
    }

    /// Takes the next row, whose order meets the conditions on its terms. `None`: the store could not read it. Answers
    /// whether the page wants more.
    pub fn add(&mut self, place: Position, view: Option<OrderView>) -> ControlFlow<()> {
        let filter = &self.query.filter;
        let belongs = match &view {
            Some(OrderView::Readable(summary)) => filter.accepts(summary),
            Some(OrderView::Unreadable(_)) => filter.is_empty(),
            None => true,
        };
        if belongs && self.page.orders.len() + self.page.left_out == self.query.limit {
            self.page.next = self.last;
            return ControlFlow::Break(());
        }
        match view {
            Some(OrderView::Readable(summary)) if belongs => {
                let left_out_before = self.page.left_out;
                self.page.orders.push(ListedOrder { place, summary, left_out_before });
            }
            Some(_) | None => self.page.left_out += usize::from(belongs),
        }
        self.pass(place)
    }

    /// Takes note of a row that was looked at and does not belong.
    pub fn pass(&mut self, place: Position) -> ControlFlow<()> {
        self.last = Some(place);
        self.examined += 1;
        if self.examined < MAX_EXAMINED {
            return ControlFlow::Continue(());
        }
        self.page.next = self.last;
        ControlFlow::Break(())
    }

    /// The page. Without [`next`](OrderPage::next) the list ends with it.
    pub fn finish(self) -> OrderPage {
        self.page
    }
}

#[cfg(test)]
mod tests;
