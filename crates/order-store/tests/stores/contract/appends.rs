use std::sync::Arc;

use order_application::{AppendError, PageLimit, Position, StoreError, Version};

use super::{Fixture, bus, list};
use crate::order::TestOrder;

const ALL: PageLimit = PageLimit { events: usize::MAX >> 1, bytes: usize::MAX };

pub(crate) async fn an_append_is_seen_by_every_read_that_follows<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    let mut order = TestOrder::new("a");
    for (append, position) in [(order.place(), 1), (order.pay(2), 3), (order.pay(1), 4)] {
        let (events, summary) = (append.events.clone(), append.view.clone().into_summary().unwrap());
        let first = append.expected_version.0 + 1;
        assert_eq!(store.append(append).await, Ok(Position(position)));

        let stream = store.read_stream(&order.id, Version(first - 1), ALL).await.unwrap();
        let log = store.read_log(Position(first - 1), ALL).await.unwrap();
        assert_eq!(stream, log, "with one order, its stream is the log");
        assert_eq!(stream.len(), events.len());
        for ((recorded, new), version) in stream.iter().zip(&events).zip(first..) {
            assert_eq!((recorded.position.0, recorded.version.0), (version, version));
            assert_eq!((recorded.id, &recorded.data, recorded.time), (new.id, &new.data, new.time));
            assert_eq!((&recorded.event_type, &recorded.order_id), (&new.event_type, &order.id));
            assert_eq!(recorded.context.get("correlationid").as_deref(), Some("corr-1"));
        }
        assert_eq!(store.version(&order.id).await, Ok(summary.version));
        assert_eq!(store.one(&order.id).await, Ok(Some(summary.clone())));
        assert_eq!(list(&*store, Position::START, 10).await[0].summary, summary);
    }
}

pub(crate) async fn an_append_at_another_version_is_refused_and_leaves_nothing<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    let mut order = TestOrder::new("a");
    let mut unplaced = order.clone();
    store.append(order.place()).await.unwrap();
    let mut behind = order.clone();
    store.append(order.pay(1)).await.unwrap();
    let mut ahead = order.clone();
    ahead.pay(1);

    for append in [unplaced.place(), behind.pay(3), ahead.pay(1)] {
        let refused = store.append(append).await;
        assert_eq!(refused, Err(AppendError::Conflict { current: Version(2) }));
    }
    let mut never_placed = TestOrder::new("b");
    never_placed.place();
    assert_eq!(
        store.append(never_placed.pay(1)).await,
        Err(AppendError::Conflict { current: Version::NONE })
    );

    assert_eq!(store.read_log(Position::START, ALL).await.unwrap().len(), 2);
    assert_eq!(store.read_stream(&order.id, Version::NONE, ALL).await.unwrap().len(), 2);
    assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
    assert_eq!(list(&*store, Position::START, 10).await.len(), 1);
    assert_eq!(store.version(&never_placed.id).await, Ok(Version::NONE));
}

pub(crate) async fn of_many_appends_at_one_version_one_succeeds<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    let mut order = TestOrder::new("a");
    store.append(order.place()).await.unwrap();
    for round in 1..20 {
        let attempts = (0..16).map(|_| {
            let (store, append) = (store.clone(), order.clone().pay(1));
            tokio::spawn(async move { store.append(append).await })
        });
        let mut winners = 0;
        for attempt in attempts.collect::<Vec<_>>() {
            match attempt.await.unwrap() {
                Ok(_) => winners += 1,
                Err(error) => assert_eq!(error, AppendError::Conflict { current: Version(round + 1) }),
            }
        }
        assert_eq!(winners, 1);
        order.pay(1);
    }
    assert_eq!(store.version(&order.id).await, Ok(Version(20)));
    assert_eq!(store.read_log(Position::START, ALL).await.unwrap().len(), 20);
}

pub(crate) async fn a_refused_append_does_not_sink_its_neighbours<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let store = store.clone();
            let mut order = TestOrder::new(&format!("order-{n}"));
            let bad = n % 3 == 0;
            if bad {
                order.place();
            }
            tokio::spawn(async move {
                let append = if bad { order.pay(1) } else { order.place() };
                (bad, store.append(append).await)
            })
        })
        .collect();
    let mut accepted = 0;
    for task in tasks {
        let (bad, outcome) = task.await.unwrap();
        assert_eq!(outcome.is_err(), bad, "{outcome:?}");
        accepted += usize::from(!bad);
    }
    assert_eq!(store.read_log(Position::START, ALL).await.unwrap().len(), accepted);
    assert_eq!(list(&*store, Position::START, 1000).await.len(), accepted);
}

pub(crate) async fn appends_to_one_order_may_share_a_batch<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    for n in 0..20 {
        let mut order = TestOrder::new(&format!("order-{n}"));
        // Polled in this order, without waiting for each other.
        let (first, second, third) = (order.place(), order.pay(1), order.pay(2));
        let (first, second, third) =
            tokio::join!(store.append(first), store.append(second), store.append(third));
        assert_eq!((first.is_ok(), second.is_ok(), third.is_ok()), (true, true, true));
        assert_eq!(store.one(&order.id).await, Ok(Some(order.summary())));
        let stream = store.read_stream(&order.id, Version::NONE, ALL).await.unwrap();
        assert_eq!(stream.iter().map(|e| e.version.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }
}

pub(crate) async fn an_append_whose_caller_goes_away_is_whole_or_not_there<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    let mut orders = Vec::new();
    for n in 0..50 {
        let mut order = TestOrder::new(&format!("order-{n}"));
        let placed = store.append(order.place());
        let mut placed = Box::pin(placed);
        // One poll, which hands it over, and away.
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(placed.as_mut().poll(cx))).await;
        drop((placed, polled));
        orders.push(order);
    }
    // An append that comes after all of them, and is waited for.
    store.append(TestOrder::new("last").place()).await.unwrap();
    let store = Arc::clone(&store);
    for order in orders {
        let version = store.version(&order.id).await.unwrap();
        let stream = store.read_stream(&order.id, Version::NONE, ALL).await.unwrap();
        assert_eq!(stream.len() as u64, version.0, "no part of an append");
        let summary = store.one(&order.id).await.unwrap();
        assert_eq!(summary, (version.0 == 1).then(|| order.summary()));
    }
}

pub(crate) async fn what_is_refused_because_it_waited_too_long_is_never_written<F: Fixture>() {
    let fixture = F::open_without_queue_wait();
    let store = fixture.store();
    let tasks: Vec<_> = (0..500)
        .map(|number| {
            let (store, mut order) = (store.clone(), TestOrder::new(&format!("order-{number}")));
            tokio::spawn(async move { (store.append(order.place()).await, order.id) })
        })
        .collect();
    let (mut written, mut refused) = (Vec::new(), Vec::new());
    for task in tasks {
        match task.await.unwrap() {
            (Ok(_), order_id) => written.push(order_id),
            (Err(error), order_id) => {
                assert_eq!(error, StoreError::Overloaded.into());
                refused.push(order_id);
            }
        }
    }
    // Whatever was still on its way is there now, too.
    drop(store);
    let fixture = fixture.reopen(bus());
    let store = fixture.store();
    for (orders, version) in [(&written, Version(1)), (&refused, Version::NONE)] {
        for order_id in orders {
            assert_eq!(store.version(order_id).await, Ok(version), "{order_id}");
        }
    }
    assert_eq!(store.end().await, Ok(Position(written.len() as u64)));
}
