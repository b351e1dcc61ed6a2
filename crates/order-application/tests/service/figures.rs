//! What the use cases count.

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
    let Ok(ClaimedKey::New(claim)) = service.claim(key, asked).await else { panic!("it is new") };
    service.execute_claimed(Some(claim), None, place(), CommandMeta::default()).await.unwrap();
    assert!(matches!(service.claim(key, asked).await, Ok(ClaimedKey::Answered(_))));
    assert!(service.claim(key, Fingerprint::of(&[b"something else"])).await.is_err());
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
