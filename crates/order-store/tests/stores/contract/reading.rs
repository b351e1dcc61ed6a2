use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use order_application::{PageLimit, Position, Version};

use super::{Fixture, bus, list};
use crate::order::TestOrder;

pub(crate) async fn pages_end_where_their_limits_say<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    let mut order = TestOrder::new("a");
    store.append(order.place()).await.unwrap();
    store.append(order.pay(9)).await.unwrap();

    let stream = store.read_stream(&order.id, Version(4), PageLimit::events(3)).await.unwrap();
    assert_eq!(stream.iter().map(|e| e.version.0).collect::<Vec<_>>(), [5, 6, 7]);
    let log = store.read_log(Position(4), PageLimit::events(3)).await.unwrap();
    assert_eq!(log, stream);

    let tiny = PageLimit { events: 10, bytes: 1 };
    assert_eq!(store.read_stream(&order.id, Version(4), tiny).await.unwrap().len(), 1, "at least one");
    assert_eq!(store.read_log(Position(4), tiny).await.unwrap().len(), 1, "at least one");

    let unknown = TestOrder::new("unknown");
    assert_eq!(store.read_stream(&unknown.id, Version::NONE, PageLimit::events(3)).await, Ok(vec![]));
    assert_eq!(store.one(&unknown.id).await, Ok(None));
}

pub(crate) async fn beyond_the_end_there_is_nothing_however_far<F: Fixture>() {
    const MAX_SIGNED: u64 = i64::MAX as u64;
    let fixture = F::open(bus());
    let store = fixture.store();
    let mut order = TestOrder::new("a");
    store.append(order.place()).await.unwrap();
    store.append(order.pay(1)).await.unwrap();
    for beyond in [2, 3, MAX_SIGNED - 1, MAX_SIGNED, MAX_SIGNED + 1, u64::MAX - 1, u64::MAX] {
        let limit = PageLimit::events(3);
        assert_eq!(store.read_stream(&order.id, Version(beyond), limit).await, Ok(vec![]), "{beyond}");
        assert_eq!(store.read_log(Position(beyond), limit).await, Ok(vec![]), "{beyond}");
        assert_eq!(list(&*store, Position(beyond), 3).await, [], "{beyond}");
    }
    assert_eq!(store.end().await, Ok(Position(2)));
}

pub(crate) async fn lists_are_in_placement_order_and_in_pages<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    let mut orders: Vec<_> = (0..25).map(|n| TestOrder::new(&format!("{}", 1000 - n))).collect();
    for order in &mut orders {
        store.append(order.place()).await.unwrap();
        // A change of another order in between must not disturb placement order.
        store.append(order.pay(1)).await.unwrap();
    }
    store.append(orders[3].pay(1)).await.unwrap();

    let mut listed = Vec::new();
    let mut after = Position::START;
    loop {
        let page = list(&*store, after, 10).await;
        let Some(last) = page.last() else { break };
        after = last.place;
        listed.extend(page.into_iter().map(|listed| listed.summary));
    }
    assert_eq!(listed, orders.iter().map(TestOrder::summary).collect::<Vec<_>>());
}

/// Lists are read all the while orders are placed and paid: every page is complete, without a hole or a repetition, and
/// never behind what was acknowledged before it was asked for.
pub(crate) async fn a_list_is_right_while_orders_are_added_and_changed<F: Fixture>() {
    const ORDERS: usize = 600;
    let fixture = F::open(bus());
    let store = fixture.store();
    let done = Arc::new(AtomicBool::new(false));
    let placed = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let reader = tokio::spawn({
        let (store, done, placed) = (store.clone(), done.clone(), placed.clone());
        async move {
            let mut lists = 0;
            while !done.load(Ordering::SeqCst) {
                let acknowledged = placed.load(Ordering::SeqCst);
                let list = list(&*store, Position::START, 10 * ORDERS).await;
                let ids: Vec<_> = list.iter().map(|o| o.summary.order_id.to_string()).collect();
                let expected: Vec<_> = (0..ids.len()).map(|n| format!("order-{n}")).collect();
                assert_eq!(ids, expected);
                assert!(ids.len() >= acknowledged, "{} of {acknowledged} listed", ids.len());
                // All but the newest order were paid before the next was placed.
                let paid = list.iter().rev().skip(1).all(|o| o.summary.version == Version(2));
                assert!(paid, "an order is behind");
                lists += 1;
            }
            lists
        }
    });
    for n in 0..ORDERS {
        let mut order = TestOrder::new(&format!("order-{n}"));
        store.append(order.place()).await.unwrap();
        placed.store(n + 1, Ordering::SeqCst);
        store.append(order.pay(1)).await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    assert!(reader.await.unwrap() > 0);
}

pub(crate) async fn ten_thousand_events_in_one_order<F: Fixture>() {
    let bus = bus();
    let fixture = F::open(bus.clone());
    let mut order = TestOrder::new("a");
    let store = fixture.store();
    store.append(order.place()).await.unwrap();
    for payments in [1, 4_999, 4_000, 999] {
        store.append(order.pay(payments)).await.unwrap();
        // Others in between, so that the order's events are in several batches of the views.
        for n in 0..20 {
            let other = format!("other-{payments}-{n}");
            store.append(TestOrder::new(&other).place()).await.unwrap();
        }
    }
    drop(store);
    let fixture = fixture.reopen(bus);
    let store = fixture.store();
    let mut version = Version::NONE;
    loop {
        let page = store.read_stream(&order.id, version, PageLimit::events(777)).await.unwrap();
        let Some(last) = page.last() else { break };
        assert_eq!(page[0].version, version.plus(1));
        version = last.version;
    }
    assert_eq!(version, Version(10_000));
    assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
}

pub(crate) async fn awkward_ids_and_texts_are_kept_as_they_are<F: Fixture>() {
    let ids = ["...", "a", "A", "~", "-", "_", ":", "nul", "0", "-1", &"x".repeat(128)];
    let texts =
        ["Robert'); DROP TABLE orders; --", "💶 ünï", "\u{202e}rtl", "\"quoted\\\"", "%s%n", "${jndi:x}"];
    let bus = bus();
    let fixture = F::open(bus.clone());
    let store = fixture.store();
    let mut orders = Vec::new();
    for (n, id) in ids.iter().enumerate() {
        let mut order = TestOrder::new(id);
        store.append(order.place_for(texts[n % texts.len()])).await.unwrap();
        store.append(order.pay(1)).await.unwrap();
        orders.push(order);
    }
    drop(store);
    let fixture = fixture.reopen(bus);
    let store = fixture.store();
    for order in orders {
        assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
        let stream = store.read_stream(&order.id, Version::NONE, PageLimit::events(10)).await.unwrap();
        assert_eq!(stream.len(), 2, "{}", order.id);
    }
}

pub(crate) async fn everything_is_there_after_a_restart<F: Fixture>() {
    let bus = bus();
    let mut fixture = F::open(bus.clone());
    let mut orders: Vec<_> = (0..40).map(|n| TestOrder::new(&format!("order-{n}"))).collect();
    for restart in 0..4_u64 {
        let store = fixture.store();
        for (n, order) in orders.iter_mut().enumerate() {
            if restart == 0 {
                store.append(order.place()).await.unwrap();
            } else if n as u64 % 4 >= restart {
                store.append(order.pay(restart)).await.unwrap();
            }
        }
        let log = store.read_log(Position::START, PageLimit::events(10_000)).await.unwrap();
        drop(store);
        fixture = fixture.reopen(bus.clone());
        let store = fixture.store();
        assert_eq!(store.read_log(Position::START, PageLimit::events(10_000)).await.unwrap(), log);
        let list = list(&*store, Position::START, 100).await;
        let summaries: Vec<_> = orders.iter().map(TestOrder::summary).collect();
        assert_eq!(list.into_iter().map(|o| o.summary).collect::<Vec<_>>(), summaries);
        for order in &orders {
            assert_eq!(store.version(&order.id).await, Ok(order.version()));
        }
    }
}
