//! What the use cases count.

use tokio_util::sync::CancellationToken;

use super::silent_store::Silent;
use super::*;

fn ends(service: &OrderService) -> Vec<(&'static str, &'static str, u64)> {
    let found = service.command_figures().now().filter(|(_, _, count)| *count > 0);
    found.map(|(command, end, count)| (command, end.as_str(), count)).collect()
}

#[tokio::test]
async fn every_command_is_counted_once_by_what_became_of_it() {
    let service = World::new().instance();
    for _ in 0..2 {
        execute(&service, "a", place()).await.unwrap();
    }
    execute(&service, "a", pay("p", 9_999)).await.unwrap_err();
    execute(&service, "b", pay("p", 1)).await.unwrap_err();
    execute(&service, "a", pay("p", 3000)).await.unwrap();
    let expected = [
        ("place", "accepted", 1),
        ("place", "repeated", 1),
        ("payment", "accepted", 1),
        ("payment", "unknown_order", 1),
        ("payment", "refused", 1),
    ];
    assert_eq!(ends(&service), expected);
}

#[tokio::test]
async fn what_a_key_alone_answers_or_refuses_is_counted_as_such() {
    let service = World::new().instance();
    let (key, asked) = (ReceiptKey::new(None, "k"), Fingerprint::of(&[b"asked"]));
    let Ok(ClaimedKey::New(claim)) = service.claim(key, asked, None).await else { panic!("it is new") };
    service.execute_claimed(Some(claim), None, place(), CommandMeta::default()).await.unwrap();
    assert!(matches!(service.claim(key, asked, None).await, Ok(ClaimedKey::Answered(_))));
    assert!(service.claim(key, Fingerprint::of(&[b"something else"]), None).await.is_err());
    let expected =
        [("answered_by_key", "repeated", 1), ("answered_by_key", "key_refused", 1), ("place", "accepted", 1)];
    assert_eq!(ends(&service), expected);
}

#[tokio::test]
async fn an_order_that_has_to_be_read_for_its_command_is_a_miss_and_a_new_one_is_not() {
    let world = World::new();
    let (one, other) = (world.instance(), world.instance());
    execute(&one, "a", place()).await.unwrap();
    execute(&one, "a", pay("p", 3000)).await.unwrap();
    let figures = one.cache_figures();
    assert_eq!((figures.hits, figures.misses), (1, 0));
    assert!(figures.bytes > 0 && figures.bytes < figures.max_bytes, "{figures:?}");
    execute(&other, "a", pay("p", 3000)).await.unwrap();
    let figures = other.cache_figures();
    assert_eq!((figures.hits, figures.misses), (0, 1));
}

/// Looks at the orders of a world once.
async fn seen(world: &World) -> Option<ShopFigures> {
    let (watch, stop) = (ShopWatch::new(world.store.clone()), CancellationToken::new());
    let mut seen = watch.seen();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { watch.run(stop).await }
    });
    seen.changed().await.unwrap();
    let figures = seen.borrow().clone();
    stop.cancel();
    running.await.unwrap();
    figures
}

#[tokio::test(start_paused = true)]
async fn a_shop_sees_how_many_orders_there_are_and_what_has_waited_for_longest() {
    let world = World::new();
    let service = world.instance();
    for (second, order) in ["placed", "held", "paid", "paid-later", "reserved"].into_iter().enumerate() {
        world.clock.set(NEW_YEAR + second as i64);
        execute(&service, order, place()).await.unwrap();
        if order != "placed" {
            execute(&service, order, pay("p", 3000)).await.unwrap();
        }
    }
    execute(&service, "held", hold(true)).await.unwrap();
    execute(&service, "reserved", reserve()).await.unwrap();
    let seen = seen(&world).await.unwrap();
    let counted: Vec<_> = seen.orders.iter().filter(|(_, count)| *count > 0).copied().collect();
    let expected = [(Status::Placed, 1), (Status::PaymentAuthorized, 3), (Status::InventoryReserved, 1)];
    assert_eq!(counted, expected);
    assert_eq!(seen.orders.len(), Status::ALL.len(), "also those of which there is none");
    assert_eq!(
        seen.oldest_unreserved,
        Some(Timestamp::from_micros(NEW_YEAR + 2)),
        "who is on hold is to wait"
    );
    assert_eq!(seen.oldest_unshipped, Some(Timestamp::from_micros(NEW_YEAR + 4)));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_leaves_nothing_to_be_seen() {
    let world = World { store: Arc::new(Silent), ..World::new() };
    assert_eq!(seen(&world).await, None);
}
