use super::*;

#[tokio::test]
async fn unknown_orders_are_not_found() {
    let service = World::new().instance();
    assert_eq!(service.summary(&id("a")).await, Err(QueryError::OrderNotFound));
    assert_eq!(service.order(&id("a")).await, Err(QueryError::OrderNotFound));
    let history = service.history(&id("a"), Version::NONE, &[], PageLimit::events(1)).await;
    assert_eq!(history, Err(QueryError::OrderNotFound));
}

#[tokio::test]
async fn a_history_past_its_end_is_empty_and_not_an_unknown_order() {
    let service = World::new().instance();
    execute(&service, "a", place()).await.unwrap();
    assert_eq!(service.history(&id("a"), Version(1), &[], PageLimit::events(1)).await, Ok(vec![]));
}

#[tokio::test]
async fn pages_of_one_type_skip_the_others() {
    let service = World::new().instance();
    for n in 0..600 {
        let order_id = format!("order-{n}");
        execute(&service, &order_id, place()).await.unwrap();
        if n % 100 == 0 {
            execute(&service, &order_id, pay("p", 1)).await.unwrap();
        }
    }
    let payments = ["order.payment_authorized.v1".to_owned()];
    let first = service.log(Position::START, &payments, PageLimit::events(4)).await.unwrap();
    assert_eq!(first.len(), 4);
    let rest = service.log(first[3].position, &payments, PageLimit::events(4)).await.unwrap();
    let ids: Vec<_> = first.iter().chain(&rest).map(|event| event.order_id.to_string()).collect();
    assert_eq!(ids, ["order-0", "order-100", "order-200", "order-300", "order-400", "order-500"]);
    let history =
        service.history(&id("order-100"), Version::NONE, &payments, PageLimit::events(4)).await.unwrap();
    assert_eq!(history.len(), 1);
}

#[tokio::test]
async fn the_whole_order_is_what_its_events_make_it() {
    let world = World::new();
    let service = world.instance();
    for command in [place(), pay("p", 3000), reserve()] {
        execute(&service, "a", command).await.unwrap();
    }
    let cached = service.order(&id("a")).await.unwrap();
    let replayed = world.instance().order(&id("a")).await.unwrap();
    assert_eq!(cached, replayed);
    assert_eq!(cached.summary(&id("a")), service.summary(&id("a")).await.unwrap());
}
