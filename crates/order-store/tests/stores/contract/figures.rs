//! What stores count.

use order_application::figures::Shed;
use order_domain::Status;

use super::{Fixture, bus};
use crate::order::TestOrder;

pub(crate) async fn orders_are_counted_by_their_status_up_to_a_limit<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    for number in 0..7 {
        let mut order = TestOrder::new(&format!("order-{number}"));
        store.append(order.place()).await.unwrap();
        if number % 3 == 0 {
            store.append(order.pay_all()).await.unwrap();
        }
    }
    drop(store);
    // A store may be some seconds behind with this, and is not any more.
    let fixture = fixture.reopen(bus());
    let store = fixture.store();
    for (status, at_most, counted) in [
        (Status::Placed, 100, 4),
        (Status::Placed, 2, 2),
        (Status::PaymentAuthorized, 100, 3),
        (Status::Shipped, 100, 0),
    ] {
        assert_eq!(store.count(status, at_most).await, Ok(counted), "{status:?}, at most {at_most}");
    }
}

pub(crate) async fn every_append_is_counted_in_its_batch_and_nothing_waits_in_the_end<F: Fixture>() {
    let fixture = F::open(bus());
    let store = fixture.store();
    let appending = (0..100).map(|number| {
        let (store, mut order) = (store.clone(), TestOrder::new(&format!("order-{number}")));
        tokio::spawn(async move { store.append(order.place()).await.unwrap() })
    });
    for append in appending.collect::<Vec<_>>() {
        append.await.unwrap();
    }
    let figures = store.figures();
    if let Some(writing) = figures.writing {
        let (batches, commits) = (writing.batch_appends.now(), writing.commit_micros.now());
        assert_eq!(batches.sum, 100);
        assert_eq!(batches.counts.iter().sum::<u64>(), commits.counts.iter().sum::<u64>());
        assert!(commits.sum > 0);
    }
    if let Some(queue) = figures.queue {
        assert_eq!(queue.requests, 0);
        assert!(queue.max_requests > 0 && queue.max_bytes > 0);
    }
}

pub(crate) async fn what_waited_too_long_is_counted_as_shed<F: Fixture>() {
    let fixture = F::open_without_queue_wait();
    let store = fixture.store();
    let appending = (0..500).map(|number| {
        let (store, mut order) = (store.clone(), TestOrder::new(&format!("order-{number}")));
        tokio::spawn(async move { store.append(order.place()).await.is_err() })
    });
    let mut refused = 0;
    for append in appending.collect::<Vec<_>>() {
        refused += u64::from(append.await.unwrap());
    }
    let Some(writing) = store.figures().writing else { return assert_eq!(refused, 0) };
    let shed: Vec<_> = writing.shed_so_far().filter(|(_, count)| *count > 0).collect();
    assert!(refused > 0, "it lets nobody wait");
    assert_eq!(shed, [(Shed::WaitedTooLong, refused)]);
}
