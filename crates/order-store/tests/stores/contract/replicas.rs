use std::sync::Arc;

use order_application::{
    Append, AppendError, Checkpoint, EventBus, EventContext, EventLog, ListQuery, ListedOrder, OrderView,
    PageLimit, Position, RecordedEvent, ReplicaStore, StoreError, Subscription, Unreadable, UnreadableOrder,
    Version,
};
use order_store::MemoryStore;

use super::{ReplicaFixture, StoreOfReplica, bus, list};
use crate::order::TestOrder;

const ALL: PageLimit = PageLimit { events: usize::MAX >> 1, bytes: usize::MAX };
const NAME: &str = "replica";

fn at(position: u64) -> Checkpoint {
    Checkpoint { position: Position(position), evidence: Some(format!("bookmark {position}").into()) }
}

/// The other log, and the appends that made it: orders of one to four events, mixed, each from another place.
async fn original(orders: usize) -> (Arc<MemoryStore>, Vec<Append>) {
    let mut orders: Vec<_> = (0..orders).map(|n| TestOrder::new(&format!("order-{n}"))).collect();
    let mut appends: Vec<_> = orders.iter_mut().map(TestOrder::place).collect();
    for (n, order) in orders.iter_mut().enumerate().filter(|(n, _)| n % 3 > 0) {
        appends.push(order.pay(1));
        if n % 2 == 0 {
            appends.push(order.pay(2));
        }
    }
    for (n, append) in appends.iter_mut().enumerate() {
        for (event, m) in append.events.iter_mut().zip(n..) {
            let actor = m.is_multiple_of(2).then(|| format!("actor {m}"));
            event.context = EventContext::new(
                &format!("corr \u{1F4E6} {m}"),
                m.is_multiple_of(3).then_some(""),
                actor.as_deref(),
            );
            event.source = (m % 5 > 0).then(|| format!("/shop-{}", m % 2).into());
        }
    }
    let store = Arc::new(MemoryStore::new(bus()));
    for append in &appends {
        store.append(append.clone()).await.unwrap();
    }
    (store, appends)
}

/// Brings appends in calls of so many, and answers with the position that they reach.
async fn bring(store: &dyn ReplicaStore, appends: &[Append], in_one_call: usize) -> u64 {
    let mut reached = store.end().await.unwrap().0;
    for appends in appends.chunks(in_one_call) {
        reached += appends.iter().map(|append| append.events.len() as u64).sum::<u64>();
        assert_eq!(store.replicate(appends.to_vec(), NAME, at(reached)).await, Ok(()));
        assert_eq!(store.end().await, Ok(Position(reached)));
        assert_eq!(store.load(NAME).await, Ok(Some(at(reached))));
    }
    reached
}

#[derive(Debug, PartialEq)]
struct Content {
    log: Vec<RecordedEvent>,
    views: Vec<ListedOrder>,
    streams: Vec<Vec<RecordedEvent>>,
}

async fn content(store: &(impl StoreOfReplica + ?Sized)) -> Content {
    let log = store.read_log(Position::START, ALL).await.unwrap();
    let views = list(store, Position::START, usize::MAX >> 1).await;
    let mut streams = Vec::new();
    for ListedOrder { summary, .. } in &views {
        assert_eq!(store.one(&summary.order_id).await, Ok(Some(summary.clone())));
        assert_eq!(store.version(&summary.order_id).await, Ok(summary.version));
        streams.push(store.read_stream(&summary.order_id, Version::NONE, ALL).await.unwrap());
    }
    Content { log, views, streams }
}

pub(crate) async fn a_replica_has_the_other_logs_events_and_their_views<F: ReplicaFixture>() {
    let (original, appends) = original(60).await;
    let bus = bus();
    let mut fixture = F::open(bus.clone());
    bring(&*fixture.store(), &appends, 7).await;
    let expected = content(&*original).await;
    assert_eq!(content(&*fixture.store()).await, expected);
    fixture = fixture.reopen(bus);
    assert_eq!(content(&*fixture.store()).await, expected);
}

pub(crate) async fn what_a_replica_is_brought_is_announced<F: ReplicaFixture>() {
    let (original, appends) = original(30).await;
    let bus = bus();
    let fixture = F::open(bus.clone());
    let store = fixture.store();
    let mut announcements = bus.subscribe();
    let mut subscription = Subscription::new(store.clone(), &*bus, Position::START);
    let log = original.read_log(Position::START, ALL).await.unwrap();
    let mut heard = Vec::new();
    let mut followed = Vec::new();
    for appends in appends.chunks(5) {
        let reached = bring(&*store, appends, 5).await;
        let committed = announcements.next().await.unwrap();
        assert_eq!(committed.last_position, Position(reached));
        heard.extend_from_slice(&committed.events);
        while followed.len() < reached as usize {
            followed.extend(subscription.next().await.unwrap().unwrap().iter().cloned());
        }
    }
    assert_eq!(heard, log);
    assert_eq!(followed, log);
}

pub(crate) async fn what_does_not_continue_an_order_is_refused_with_all_that_came_along<F: ReplicaFixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    let mut order = TestOrder::new("a");
    let (place, pay) = (order.place(), order.pay(2));
    bring(&*store, &[place.clone(), pay.clone()], 2).await;
    let before = content(&*store).await;

    let mut good = TestOrder::new("good");
    let mut skipping = order.clone();
    skipping.pay(1);
    let mut never_placed = TestOrder::new("b");
    never_placed.place();
    let mut twice = order.clone();
    let next = twice.pay(1);
    let mut without_events = order.pay(1);
    without_events.events.clear();
    let mut with_another_view = twice.pay(1);
    with_another_view.expected_version = Version(3);
    let bad = [
        vec![place],
        vec![pay],
        vec![skipping.pay(1)],
        vec![never_placed.pay(1)],
        vec![next.clone(), next],
        vec![without_events],
        vec![with_another_view],
    ];
    for bad in bad {
        // In the middle of what is right.
        let good_ones = [good.clone().place(), TestOrder::new("other").place()];
        let [first, last] = good_ones;
        let appends: Vec<_> = [first].into_iter().chain(bad).chain([last]).collect();
        let reached = 3 + appends.iter().map(|append| append.events.len() as u64).sum::<u64>();
        let refused = store.replicate(appends, NAME, at(reached)).await;
        assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
        assert_eq!(content(&*store).await, before);
        assert_eq!(store.load(NAME).await, Ok(Some(at(3))));
    }
    bring(&*store, &[good.place()], 1).await;
}

pub(crate) async fn a_checkpoint_that_is_not_where_the_events_end_is_refused<F: ReplicaFixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    let mut order = TestOrder::new("a");
    bring(&*store, &[order.place()], 1).await;
    let before = content(&*store).await;
    let (pay, other) = (order.pay(2), TestOrder::new("b").place());
    for appends in [vec![], vec![pay.clone()], vec![pay, other]] {
        let events: u64 = appends.iter().map(|append| append.events.len() as u64).sum();
        for wrong in [events, 1 + events + 1, 0, u64::MAX] {
            let refused = store.replicate(appends.clone(), NAME, at(wrong)).await;
            assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{wrong}: {refused:?}");
        }
    }
    assert_eq!(content(&*store).await, before);
    assert_eq!(store.load(NAME).await, Ok(Some(at(1))));
}

pub(crate) async fn a_checkpoint_may_come_without_events<F: ReplicaFixture>() {
    let bus = bus();
    let fixture = F::open(bus.clone());
    let store = fixture.store();
    let bookmark = |evidence: &str| Checkpoint { position: Position(1), evidence: Some(evidence.into()) };
    assert_eq!(store.replicate(vec![], NAME, Checkpoint::default()).await, Ok(()));
    assert_eq!(store.load(NAME).await, Ok(Some(Checkpoint::default())));
    bring(&*store, &[TestOrder::new("a").place()], 1).await;
    let mut announcements = bus.subscribe();
    assert_eq!(store.replicate(vec![], NAME, bookmark("further")).await, Ok(()));
    assert_eq!(store.load(NAME).await, Ok(Some(bookmark("further"))));
    // Nothing is told of it: the next that is heard is the next event.
    bring(&*store, &[TestOrder::new("b").place()], 1).await;
    assert_eq!(announcements.next().await.unwrap().last_position, Position(2));
}

pub(crate) async fn a_replica_takes_no_commands_and_others_no_copies<F: ReplicaFixture>() {
    let fixture = F::open(bus());
    let (replica, (ordinary, _directory)) = (fixture.store(), F::ordinary());
    let place = TestOrder::new("a").place();
    let refused = replica.append(place.clone()).await;
    assert!(matches!(refused, Err(AppendError::Store(StoreError::Unavailable(_)))), "{refused:?}");
    let refused = ordinary.replicate(vec![place.clone()], NAME, at(1)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    for store in [&replica, &ordinary] {
        assert_eq!(store.end().await, Ok(Position::START));
        assert_eq!(store.load(NAME).await, Ok(None));
    }
    assert_eq!(ordinary.append(place.clone()).await, Ok(Position(1)));
    bring(&*replica, &[place], 1).await;
}

pub(crate) async fn a_replica_goes_on_after_a_restart<F: ReplicaFixture>() {
    let (original, appends) = original(60).await;
    let bus = bus();
    let mut fixture = F::open(bus.clone());
    let mut reached = 0;
    for appends in appends.chunks(appends.len().div_ceil(4)) {
        assert_eq!(fixture.store().end().await, Ok(Position(reached)));
        let checkpoint = fixture.store().load(NAME).await.unwrap().unwrap_or_default();
        assert_eq!(checkpoint.position, Position(reached));
        reached = bring(&*fixture.store(), appends, 9).await;
        fixture = fixture.reopen(bus.clone());
    }
    assert_eq!(content(&*fixture.store()).await, content(&*original).await);
}

pub(crate) async fn many_events_are_brought_in_one_call<F: ReplicaFixture>() {
    let (original, appends) = original(2_000).await;
    let fixture = F::open(bus());
    bring(&*fixture.store(), &appends, appends.len()).await;
    assert_eq!(content(&*fixture.store()).await, content(&*original).await);
}

/// A next event of an order that this release does not know, with the view that comes of it.
fn newer(order: &TestOrder) -> Append {
    let mut append = order.clone().pay(1);
    append.events[0].event_type = "order.gift_wrapped.v1".into();
    unreadable(append, Unreadable::Newer)
}

fn unreadable(mut append: Append, why: Unreadable) -> Append {
    let order_id = append.order_id.clone();
    append.view = OrderView::Unreadable(UnreadableOrder { order_id, version: append.view.version(), why });
    append
}

/// Forty orders in a replica, of which the second has an event of a newer release, the third has two beginnings, and the
/// fourth lacks a version.
pub(crate) async fn bring_unreadable_orders(store: &dyn ReplicaStore) -> Vec<TestOrder> {
    let mut orders: Vec<_> = (0..40).map(|n| TestOrder::new(&format!("order-{n}"))).collect();
    let mut appends: Vec<_> = orders.iter_mut().map(TestOrder::place).collect();
    appends.push(newer(&orders[1]));
    appends.push(unreadable(TestOrder::new("order-2").place(), Unreadable::Damaged));
    let gap = Append { expected_version: Version(2), ..orders[3].clone().pay(1) };
    appends.push(unreadable(gap, Unreadable::Damaged));
    appends.extend(orders[4..].iter_mut().map(|order| order.pay(1)));
    bring(store, &appends, 6).await;
    orders
}

pub(crate) async fn assert_unreadable_orders_are_refused(
    store: &(impl StoreOfReplica + ?Sized),
    orders: &[TestOrder],
) {
    let page = store.many(&ListQuery::placed_after(Position::START, 10)).await.unwrap();
    assert_eq!((page.orders.len(), page.left_out, page.next), (7, 3, Some(Position(10))));
    let rest = store.many(&ListQuery::placed_after(Position(10), 100)).await.unwrap();
    assert_eq!((rest.orders.len(), rest.left_out, rest.next), (30, 0, None));
    for order in orders.iter().skip(4).chain(&orders[..1]) {
        assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
        assert_eq!(store.version(&order.id).await, Ok(order.version()));
    }
    let [too_new, twice, gap] = [&orders[1].id, &orders[2].id, &orders[3].id];
    assert!(matches!(store.one(too_new).await, Err(StoreError::NewerRelease(_))));
    assert_eq!(store.version(too_new).await, Ok(Version(2)));
    // A release that knows the event can read it.
    let stream = store.read_stream(too_new, Version::NONE, ALL).await.unwrap();
    assert_eq!(stream.last().map(|event| &*event.event_type), Some("order.gift_wrapped.v1"));
    for order_id in [twice, gap] {
        assert!(matches!(store.one(order_id).await, Err(StoreError::Corrupt(_))), "{order_id}");
        let stream = store.read_stream(order_id, Version::NONE, ALL).await;
        assert!(matches!(stream, Err(StoreError::Corrupt(_))), "{order_id}: {stream:?}");
    }
    assert_eq!(store.read_log(Position::START, ALL).await.unwrap().len(), 79);
}

pub(crate) async fn orders_that_cannot_be_read_are_refused_and_all_others_are_served<F: ReplicaFixture>() {
    let bus = bus();
    let fixture = F::open(bus.clone());
    let orders = bring_unreadable_orders(&*fixture.store()).await;
    assert_unreadable_orders_are_refused(&*fixture.store(), &orders).await;
    let fixture = fixture.reopen(bus);
    assert_unreadable_orders_are_refused(&*fixture.store(), &orders).await;
}
