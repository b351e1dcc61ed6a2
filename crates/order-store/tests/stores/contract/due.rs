//! Orders that do something by themselves.

use std::collections::HashSet;

use order_application::{DueOrder, DuePage, DuePlace, DueQuery, OrderViews, Position};
use order_domain::{OrderId, Timestamp};

use super::{Fixture, Store, bus};
use crate::order::TestOrder;

fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

/// Every order that is due until then, page by page.
async fn due(views: &(impl OrderViews + ?Sized), until: Timestamp, limit: usize) -> Vec<DueOrder> {
    let mut query = DueQuery { until, after: None, limit };
    let mut all = Vec::new();
    loop {
        let DuePage { orders, next } = views.due(&query).await.unwrap();
        assert!(orders.iter().all(|order| Some(order.place) > query.after), "a page comes after its cursor");
        all.extend(orders);
        let Some(next) = next else { break };
        assert!(Some(next) > query.after, "pages move on");
        query.after = Some(next);
    }
    all
}

async fn ids_due(views: &(impl OrderViews + ?Sized), until: i64) -> Vec<String> {
    let due = due(views, seconds(until), 100).await;
    due.iter().map(|order| order.order_id.to_string()).collect()
}

async fn place(store: &dyn Store, id: &str, pay_by: Option<i64>) -> (TestOrder, Position) {
    let mut order = TestOrder::new(id);
    let last = store.append(order.place_to_be_paid(pay_by.map(seconds))).await.unwrap();
    (order, last)
}

pub(crate) async fn an_order_is_due_from_its_time_on_until_it_has_nothing_left_to_do<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    place(&*store, "never", None).await;
    place(&*store, "late", Some(50)).await;
    let (mut early, key) = place(&*store, "early", Some(10)).await;
    assert_eq!(ids_due(&*store, 9).await, [""; 0]);
    assert_eq!(ids_due(&*store, 10).await, ["early"]);
    assert_eq!(ids_due(&*store, 1000).await, ["early", "late"]);
    let place = DuePlace { due_at: seconds(10), placed_position: key };
    let order_id = OrderId::new("early").unwrap();
    assert_eq!(due(&*store, seconds(10), 100).await, [DueOrder { place, order_id }]);
    store.append(early.pay_all()).await.unwrap();
    assert_eq!(ids_due(&*store, 1000).await, ["late"]);
}

pub(crate) async fn what_is_due_is_known_after_a_restart<F: Fixture>() {
    let fixture = F::open(bus());
    place(&*fixture.store(), "late", Some(50)).await;
    place(&*fixture.store(), "early", Some(10)).await;
    let fixture = fixture.reopen(bus());
    assert_eq!(ids_due(&*fixture.store(), 1000).await, ["early", "late"]);
    place(&*fixture.store(), "between", Some(20)).await;
    assert_eq!(ids_due(&*fixture.store(), 1000).await, ["early", "between", "late"]);
}

pub(crate) async fn what_is_due_comes_in_pages_by_time_and_place<F: Fixture>() {
    let fixture = F::open(bus());
    let mut expected = Vec::new();
    for n in 0..60_i64 {
        let due_at = (n * 7) % 5;
        let (_, placed_position) = place(&*fixture.store(), &format!("order-{n}"), Some(due_at)).await;
        expected.push(DuePlace { due_at: seconds(due_at), placed_position });
    }
    expected.sort_unstable();
    let fixture = fixture.reopen(bus());
    for limit in [1, 7, 60, 61] {
        let found = due(&*fixture.store(), seconds(9), limit).await;
        assert_eq!(found.iter().map(|order| order.place).collect::<Vec<_>>(), expected, "limit {limit}");
    }
    let ids: HashSet<_> =
        due(&*fixture.store(), seconds(1), 7).await.into_iter().map(|due| due.order_id).collect();
    assert_eq!(ids.len(), 24, "only those up to the time");
}
