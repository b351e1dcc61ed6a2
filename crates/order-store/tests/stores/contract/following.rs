use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use order_application::{EventBus, PageLimit, Position, Subscription};

use super::{Fixture, Store, bus};
use crate::order::TestOrder;

const WRITERS: usize = 8;
const ORDERS_PER_WRITER: usize = 60;
const EVENTS: usize = WRITERS * ORDERS_PER_WRITER * 3;

/// Places and pays orders from several tasks at once: three events each.
fn write_concurrently(store: &Arc<dyn Store>) -> Vec<tokio::task::JoinHandle<()>> {
    (0..WRITERS)
        .map(|writer| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                for n in 0..ORDERS_PER_WRITER {
                    let mut order = TestOrder::new(&format!("order-{writer}-{n}"));
                    store.append(order.place()).await.unwrap();
                    store.append(order.pay(2)).await.unwrap();
                }
            })
        })
        .collect()
}

pub(crate) async fn positions_have_no_gap_however_many_write<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    for writer in write_concurrently(&store) {
        writer.await.unwrap();
    }
    let log =
        store.read_log(Position::START, PageLimit { events: 2 * EVENTS, bytes: usize::MAX }).await.unwrap();
    let positions: Vec<_> = log.iter().map(|event| event.position.0).collect();
    assert_eq!(positions, (1..=EVENTS as u64).collect::<Vec<_>>());
}

pub(crate) async fn a_reader_that_follows_skips_nothing_and_sees_nothing_twice<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (store, done) = (store.clone(), done.clone());
        async move {
            let mut seen = Vec::new();
            loop {
                // Asked before the read, so that the last read comes after the last write.
                let last_read = done.load(Ordering::SeqCst);
                let after = Position(seen.len() as u64);
                let page = store.read_log(after, PageLimit::events(17)).await.unwrap();
                if last_read && page.is_empty() {
                    return seen;
                }
                for event in page {
                    assert_eq!(
                        event.position.0,
                        seen.len() as u64 + 1,
                        "seen n means seen everything up to n"
                    );
                    let version = store.version(&event.order_id).await.unwrap();
                    assert!(version >= event.version, "a view is behind an event that was read");
                    seen.push(event.id);
                }
                tokio::task::yield_now().await;
            }
        }
    });
    for writer in write_concurrently(&store) {
        writer.await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    let seen = reader.await.unwrap();
    assert_eq!(seen.len(), EVENTS);
}

pub(crate) async fn commits_are_announced_in_order<F: Fixture>() {
    let bus = bus();
    let fixture = F::open(bus.clone());
    let store = fixture.store();
    let mut announcements = bus.subscribe();
    let listener = tokio::spawn(async move {
        let mut last = Position::START;
        while last.0 < 200 {
            let committed = announcements.next().await.unwrap();
            let positions: Vec<_> = committed.events.iter().map(|event| event.position).collect();
            let expected: Vec<_> = (last.0 + 1..=committed.last_position.0).map(Position).collect();
            assert_eq!(positions, expected);
            last = committed.last_position;
        }
    });
    for n in 0..100 {
        let mut order = TestOrder::new(&format!("order-{n}"));
        store.append(order.place()).await.unwrap();
        store.append(order.pay(1)).await.unwrap();
    }
    listener.await.unwrap();
}

pub(crate) async fn a_slow_subscriber_loses_nothing<F: Fixture>() {
    follow_slowly::<F>(|subscription| subscription).await;
}

pub(crate) async fn a_slow_subscriber_that_reads_ahead_loses_nothing<F: Fixture>() {
    follow_slowly::<F>(Subscription::reading_ahead).await;
}

async fn follow_slowly<F: Fixture>(prepare: fn(Subscription) -> Subscription) {
    let bus = bus();
    let fixture = F::open(bus.clone());
    let store = fixture.store();
    store.append(TestOrder::new("before").place()).await.unwrap();
    let mut subscription = prepare(Subscription::new(store.clone(), &*bus, Position::START));
    let first = subscription.next().await.unwrap().unwrap();
    assert_eq!(first.len(), 1);

    // It takes nothing while far more is committed than the bus keeps.
    for writer in write_concurrently(&store) {
        writer.await.unwrap();
    }
    let mut next = 2;
    while next <= EVENTS as u64 + 1 {
        for event in subscription.next().await.unwrap().unwrap() {
            assert_eq!(event.position.0, next);
            next += 1;
        }
    }
    // And it is live again.
    store.append(TestOrder::new("after").place()).await.unwrap();
    let live = subscription.next().await.unwrap().unwrap();
    assert_eq!(live[0].order_id.as_str(), "after");
}
