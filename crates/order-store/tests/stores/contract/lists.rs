//! Lists with filters, in each of their orders.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use order_application::{
    ListQuery, MAX_EXAMINED, OrderFilter, OrderPage, OrderSummary, OrderViews, Position, SearchTerm, Sort,
    SortKey, StoreError, TimeRange,
};
use order_domain::*;

use super::{Fixture, Store, bus};
use crate::order::TestOrder;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_000 + seconds * 1_000_000)
}

fn sku(name: &str) -> Sku {
    Sku::new(name).unwrap()
}

fn cents(cents: i64) -> Cents {
    Cents::new(cents).unwrap()
}

/// One unit of each SKU at a price.
fn placed(customer: &str, skus: &[&str], price: i64) -> OrderEvent {
    let line = |name: &&str| PlacedLine {
        sku: sku(name),
        quantity: Quantity::new(1).unwrap(),
        unit_price: cents(price),
    };
    OrderEvent::OrderPlaced(OrderPlaced {
        customer_id: CustomerId::new(customer).unwrap(),
        currency: Currency::USD,
        lines: skus.iter().map(line).collect(),
        adjustments: vec![],
        metadata: Metadata::default(),
        total: cents(price * skus.len() as i64),
        payment_term: None,
    })
}

fn payment_id(id: &str) -> PaymentId {
    PaymentId::new(id).unwrap()
}

fn authorized(id: &str, amount: i64) -> OrderEvent {
    let (payment_id, amount) = (payment_id(id), cents(amount));
    OrderEvent::PaymentAuthorized(PaymentAuthorized { payment_id, amount, expires: None })
}

fn declined(id: &str) -> OrderEvent {
    let reason = Reason::new("no").unwrap();
    OrderEvent::PaymentDeclined(PaymentDeclined { payment_id: payment_id(id), reason })
}

fn held() -> OrderEvent {
    OrderEvent::OrderHeld(OrderHeld { reason: None })
}

fn unheld() -> OrderEvent {
    OrderEvent::HoldReleased(HoldReleased { reason: None })
}

fn cancelled() -> OrderEvent {
    OrderEvent::OrderCancelled(OrderCancelled {
        cancellation_id: None,
        units: vec![],
        reason: None,
        cause: None,
    })
}

/// An order as a list should have it.
struct Known {
    order: TestOrder,
    placed_position: Position,
    updated_position: Position,
    terms: BTreeSet<SearchTerm>,
}

impl Known {
    fn place(&self, sort: Sort) -> Position {
        match sort.by {
            SortKey::Placed => self.placed_position,
            SortKey::Updated => self.updated_position,
        }
    }
}

/// A store, and what was put into it.
struct Shop {
    store: Arc<dyn Store>,
    orders: Vec<Known>,
}

impl Shop {
    async fn place(&mut self, id: &str, time: Timestamp, event: OrderEvent) -> usize {
        let (order, index) = (TestOrder::new(id), self.orders.len());
        let (placed_position, updated_position) = (Position::START, Position::START);
        self.orders.push(Known { order, placed_position, updated_position, terms: BTreeSet::new() });
        self.happen(index, time, event).await;
        self.orders[index].placed_position = self.orders[index].updated_position;
        index
    }

    async fn happen(&mut self, index: usize, time: Timestamp, event: OrderEvent) {
        let known = &mut self.orders[index];
        known.terms.extend(SearchTerm::of_event(&event));
        let time = known.order.state.as_ref().map_or(time, |state| state.updated_at.max(time));
        let append = known.order.append_at(time, vec![event]);
        known.updated_position = self.store.append(append).await.unwrap();
    }

    /// Orders of four customers, of many kinds, changed here and there; now and then by a clock that is wrong.
    async fn fill(&mut self, from: usize, to: usize) {
        for n in from..to {
            let wrong = if n % 17 == 3 { 100_000 } else { 0 } - if n % 19 == 4 { 100_000 } else { 0 };
            let time = at(n as i64 * 10 + wrong);
            let skus = ["pen", "ink", "pad"];
            let skus = &skus[n % 3..=(n % 3 + n % 2).min(2)];
            let price = 100 + (n % 7) as i64;
            let order = self.place(&format!("o{n}"), time, placed(&format!("c{}", n % 4), skus, price)).await;
            let total = price * skus.len() as i64;
            if n % 2 == 0 {
                self.happen(order, time, authorized(&format!("p{n}"), total)).await;
            }
            let other = (n * 31) % (n + 1);
            match n % 5 {
                0 => self.happen(other, time, declined(&format!("d{n}"))).await,
                1 => self.happen(other, time, held()).await,
                2 => self.happen(other, time, unheld()).await,
                3 if other % 6 == 0 => self.happen(other, time, cancelled()).await,
                _ => {}
            }
        }
    }

    fn expected(&self, filter: &OrderFilter, sort: Sort) -> Vec<(Position, OrderSummary)> {
        let belongs =
            |known: &&Known| filter.accepts(&known.order.summary()) && filter.terms.is_subset(&known.terms);
        let listed = self.orders.iter().filter(belongs);
        let mut expected: Vec<_> = listed.map(|known| (known.place(sort), known.order.summary())).collect();
        match sort.descending {
            false => expected.sort_unstable_by_key(|(place, _)| *place),
            true => expected.sort_unstable_by_key(|(place, _)| Reverse(*place)),
        }
        expected
    }

    async fn check(&self, filter: &OrderFilter) {
        for sort in Sort::ALL {
            let expected = self.expected(filter, sort);
            for limit in [1, 7, 1_000] {
                let found = follow(&*self.store, filter, sort, limit).await;
                assert_eq!(found, expected, "{} in pages of {limit}: {filter:?}", sort.as_str());
            }
        }
    }
}

/// All pages of a list.
async fn follow(
    views: &(impl OrderViews + ?Sized),
    filter: &OrderFilter,
    sort: Sort,
    limit: usize,
) -> Vec<(Position, OrderSummary)> {
    let mut query = ListQuery { filter: filter.clone(), sort, after: None, limit };
    let mut all = Vec::new();
    loop {
        let OrderPage { orders, left_out, next } = views.many(&query).await.unwrap();
        assert_eq!(left_out, 0);
        assert!(orders.len() <= limit);
        all.extend(orders.into_iter().map(|listed| (listed.place, listed.summary)));
        let Some(next) = next else { return all };
        assert!(query.after.is_none_or(|after| sort.is_after(next, after)), "pages move on");
        query.after = Some(next);
    }
}

fn range(after: impl Into<Option<i64>>, before: impl Into<Option<i64>>) -> TimeRange {
    TimeRange { after: after.into().map(at), before: before.into().map(at) }
}

fn term(term: SearchTerm) -> OrderFilter {
    OrderFilter { terms: [term].into(), ..OrderFilter::default() }
}

fn filters() -> Vec<OrderFilter> {
    let any = OrderFilter::default;
    let customer = |id: &str| SearchTerm::Customer(CustomerId::new(id).unwrap());
    let item = |name: &str| SearchTerm::Sku(sku(name));
    vec![
        any(),
        OrderFilter { statuses: [Status::Placed].into(), ..any() },
        OrderFilter { statuses: [Status::Placed, Status::Cancelled].into(), ..any() },
        OrderFilter { statuses: [Status::Shipped].into(), ..any() },
        OrderFilter { statuses: Status::ALL.into(), ..any() },
        OrderFilter { on_hold: Some(true), ..any() },
        OrderFilter { on_hold: Some(false), ..any() },
        OrderFilter { placed: range(300, 500), ..any() },
        OrderFilter { placed: range(-90_000, None), ..any() },
        OrderFilter { placed: range(None, -90_000), ..any() },
        OrderFilter { placed: range(90_000, None), ..any() },
        OrderFilter { updated: range(600, None), ..any() },
        OrderFilter { updated: range(None, 300), ..any() },
        OrderFilter { updated: range(90_000, 200_000), placed: range(None, 900), ..any() },
        OrderFilter { min_total: Some(cents(150)), ..any() },
        OrderFilter { min_total: Some(cents(102)), max_total: Some(cents(204)), ..any() },
        OrderFilter { min_total: Some(cents(5)), max_total: Some(cents(4)), ..any() },
        term(customer("c1")),
        term(customer("c")),
        term(item("pen")),
        term(item("Pen")),
        term(SearchTerm::Payment(payment_id("p10"))),
        term(SearchTerm::Payment(payment_id("d10"))),
        term(SearchTerm::Payment(payment_id("c1"))),
        OrderFilter { terms: [customer("c2"), item("pad")].into(), ..any() },
        OrderFilter { terms: [customer("c1"), customer("c2")].into(), ..any() },
        OrderFilter { statuses: [Status::Placed].into(), on_hold: Some(true), ..term(item("ink")) },
        OrderFilter { updated: range(100, 700), statuses: [Status::PaymentAuthorized].into(), ..any() },
        OrderFilter { placed: range(100, 700), on_hold: Some(true), ..term(customer("c3")) },
    ]
}

pub(crate) async fn a_list_has_what_its_filter_accepts_in_the_order_of_its_sort<F: Fixture>() {
    let fixture = F::open(bus());
    let mut shop = Shop { store: fixture.store(), orders: Vec::new() };
    shop.check(&OrderFilter::default()).await;
    shop.fill(0, 60).await;
    for filter in filters() {
        shop.check(&filter).await;
    }
    let Shop { store, orders } = shop;
    drop(store);
    let fixture = fixture.reopen(bus());
    let mut shop = Shop { store: fixture.store(), orders };
    for filter in filters() {
        shop.check(&filter).await;
    }
    // Some changes are recent now, and some are not.
    shop.fill(60, 100).await;
    for filter in filters() {
        shop.check(&filter).await;
    }
}

pub(crate) async fn who_follows_a_list_meets_every_order_that_does_not_change_once<F: Fixture>() {
    let fixture = F::open(bus());
    let mut shop = Shop { store: fixture.store(), orders: Vec::new() };
    shop.fill(0, 40).await;
    let unchanged: BTreeSet<_> = (0..40).filter(|n| n % 4 != 0).map(|n| format!("o{n}")).collect();
    let filter = OrderFilter { max_total: Some(cents(1_000)), ..OrderFilter::default() };
    for sort in Sort::ALL {
        let mut query = ListQuery { filter: filter.clone(), sort, after: None, limit: 3 };
        let mut met = Vec::new();
        // Others change orders as fast as pages are read, so the list of those may never end.
        for round in 0..60 {
            let page = shop.store.many(&query).await.unwrap();
            met.extend(page.orders.into_iter().map(|listed| listed.summary.order_id.to_string()));
            if page.next.is_none() {
                break;
            }
            query.after = page.next;
            shop.happen((round * 4) % 40, at(2_000), declined(&format!("{}-{round}", sort.as_str()))).await;
        }
        met.retain(|id| unchanged.contains(id));
        let distinct: BTreeSet<_> = met.iter().cloned().collect();
        assert_eq!((met.len(), distinct), (30, unchanged.clone()), "{}", sort.as_str());
    }
}

/// Orders that others place meanwhile, so that a list comes to an end.
const MOST_OTHERS: usize = 1_000;

/// As above, while others place orders all the time, and change every other one of those that were there.
pub(crate) async fn lists_are_right_while_orders_are_placed_and_changed<F: Fixture>() {
    let fixture = F::open(bus());
    let mut shop = Shop { store: fixture.store(), orders: Vec::new() };
    shop.fill(0, 40).await;
    let filters = [
        OrderFilter::default(),
        OrderFilter { statuses: [Status::Placed].into(), ..OrderFilter::default() },
        term(SearchTerm::Customer(CustomerId::new("c1").unwrap())),
        OrderFilter { min_total: Some(cents(150)), ..term(SearchTerm::Sku(sku("pen"))) },
    ];
    let there: Vec<Vec<_>> = filters.iter().map(|filter| shop.expected(filter, Sort::default())).collect();
    let Shop { store, orders } = shop;
    let is_changed = |id: &str| orders.iter().skip(1).step_by(2).any(|known| known.order.id.as_str() == id);
    let mut changed: Vec<_> = orders.iter().skip(1).step_by(2).map(|known| known.order.clone()).collect();
    let done = Arc::new(AtomicBool::new(false));
    let (stop, views) = (Arc::clone(&done), Arc::clone(&store));
    let others = tokio::spawn(async move {
        for n in 0..MOST_OTHERS {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let mut order = TestOrder::new(&format!("other-{n}"));
            store.append(order.append_at(at(3_000), vec![placed("c1", &["pen"], 200)])).await.unwrap();
            let (index, event) = (n % changed.len(), declined(&format!("later-{n}")));
            store.append(changed[index].append_at(at(200_000), vec![event])).await.unwrap();
        }
    });
    for round in 0..4 {
        for (filter, there) in filters.iter().zip(&there) {
            for sort in Sort::ALL {
                let limit = [3, 50][round % 2];
                // What changes has a new place in the order of changes, and is met there, or not at all.
                let stays =
                    |id: &str| !id.starts_with("other-") && (sort.by == SortKey::Placed || !is_changed(id));
                let there = there.iter().map(|(_, order)| order.order_id.to_string());
                let mut expected: Vec<_> = there.filter(|id| stays(id)).collect();
                let mut met = meet(&*views, filter, sort, limit, expected.len(), stays).await;
                expected.sort_unstable();
                met.sort_unstable();
                assert_eq!(met, expected, "{} in pages of {limit}: {filter:?}", sort.as_str());
            }
        }
    }
    done.store(true, Ordering::Relaxed);
    others.await.unwrap();
}

/// The ids on the pages of a list that stay in their places, until all of them were met: others make the list longer all the time.
async fn meet(
    views: &(impl OrderViews + ?Sized),
    filter: &OrderFilter,
    sort: Sort,
    limit: usize,
    all: usize,
    stays: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut query = ListQuery { filter: filter.clone(), sort, after: None, limit };
    let mut met = Vec::new();
    while met.len() < all {
        let page = match views.many(&query).await {
            // Tiny batches go to the file faster than a list can be read: asked again, it is.
            Err(StoreError::Overloaded) => continue,
            page => page.unwrap(),
        };
        let ids = page.orders.into_iter().map(|listed| listed.summary.order_id.to_string());
        met.extend(ids.filter(|id| stays(id)));
        let Some(next) = page.next else { break };
        query.after = Some(next);
    }
    met
}

pub(crate) async fn an_order_is_found_by_what_it_was_named_with_however_it_went<F: Fixture>() {
    let fixture = F::open(bus());
    let mut shop = Shop { store: fixture.store(), orders: Vec::new() };
    let order = shop.place("o", at(0), placed("c", &["pen", "ink"], 10)).await;
    shop.happen(order, at(1), declined("first")).await;
    shop.happen(order, at(2), authorized("second", 20)).await;
    let reservation_id = ReservationId::new("r").unwrap();
    let units = vec![LineUnits { line: LineNumber::new(1).unwrap(), quantity: 1 }];
    let reserved =
        InventoryReserved { reservation_id: reservation_id.clone(), units: units.clone(), expires: None };
    shop.happen(order, at(3), OrderEvent::InventoryReserved(reserved)).await;
    let tracking_number = TrackingNumber::new("gone").unwrap();
    let shipped = OrderShipped {
        tracking_number: tracking_number.clone(),
        carrier: Carrier::new("x").unwrap(),
        reservations: vec![ReservationShare { reservation_id, units }],
    };
    shop.happen(order, at(4), OrderEvent::OrderShipped(shipped)).await;
    let lost = ShipmentLost { tracking_number: tracking_number.clone(), reason: None };
    shop.happen(order, at(5), OrderEvent::ShipmentLost(lost)).await;
    let Shop { store, orders } = shop;
    drop(store);
    let fixture = fixture.reopen(bus());
    let shop = Shop { store: fixture.store(), orders };
    for wanted in [
        SearchTerm::Customer(CustomerId::new("c").unwrap()),
        SearchTerm::Sku(sku("pen")),
        SearchTerm::Sku(sku("ink")),
        SearchTerm::Payment(payment_id("first")),
        SearchTerm::Payment(payment_id("second")),
        SearchTerm::Tracking(tracking_number),
    ] {
        assert_eq!(shop.expected(&term(wanted.clone()), Sort::default()).len(), 1, "{wanted:?}");
        shop.check(&term(wanted)).await;
    }
}

pub(crate) async fn a_page_ends_after_many_rows_that_do_not_belong_and_the_next_goes_on<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    let mut orders: Vec<_> = (0..MAX_EXAMINED + 10).map(|n| TestOrder::new(&format!("o{n}"))).collect();
    for orders in orders.chunks_mut(500) {
        let appends = orders.iter_mut().map(|order| {
            let cents = if order.id.as_str().ends_with("5000") { 2_000 } else { 10 };
            store.append(order.append_at(at(0), vec![placed("c", &["pen"], cents)]))
        });
        for outcome in futures_util::future::join_all(appends).await {
            outcome.unwrap();
        }
    }
    drop(store);
    // A store may look through all that changed lately.
    let fixture = fixture.reopen(bus());
    let store = fixture.store();
    let filter = OrderFilter { min_total: Some(cents(1_000)), ..OrderFilter::default() };
    for sort in Sort::ALL {
        let query = ListQuery { filter: filter.clone(), sort, after: None, limit: 3 };
        let first = store.many(&query).await.unwrap();
        assert_eq!(first.orders.len(), 1);
        assert!(first.next.is_some(), "it has looked at many and not at all");
        let all = follow(&*store, &filter, sort, 3).await;
        assert_eq!(all.len(), 1, "{}", sort.as_str());
    }
}
