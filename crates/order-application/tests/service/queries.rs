use std::collections::BTreeSet;

use super::*;

const ALL: EventFilter = EventFilter { types: BTreeSet::new(), order_id: None };

fn of_type(event_type: &str) -> EventFilter {
    EventFilter { types: [event_type.to_owned()].into(), order_id: None }
}

fn positions<P>(page: &EventPage<P>) -> Vec<u64> {
    page.events.iter().map(|event| event.position.0).collect()
}

#[tokio::test]
async fn unknown_orders_are_not_found() {
    let service = World::new().instance();
    assert_eq!(service.summary(&id("a")).await, Err(QueryError::OrderNotFound));
    assert_eq!(service.order(&id("a")).await, Err(QueryError::OrderNotFound));
    let history = service.history(&id("a"), Version::NONE, &ALL, PageLimit::events(1)).await;
    assert_eq!(history, Err(QueryError::OrderNotFound));
}

#[tokio::test]
async fn a_history_past_its_end_is_empty_and_not_an_unknown_order() {
    let service = World::new().instance();
    execute(&service, "a", place()).await.unwrap();
    for after in [1, 2, u64::MAX] {
        let history = service.history(&id("a"), Version(after), &ALL, PageLimit::events(1)).await.unwrap();
        assert_eq!((history.events, history.next), (vec![], None), "{after}");
    }
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
    let payments = of_type("order.payment_authorized.v1");
    let first = service.log(Position::START, &payments, PageLimit::events(4)).await.unwrap();
    assert_eq!((first.events.len(), first.next), (4, Some(first.events[3].position)));
    let rest = service.log(first.next.unwrap(), &payments, PageLimit::events(4)).await.unwrap();
    assert_eq!(rest.next, None);
    let ids: Vec<_> =
        first.events.iter().chain(&rest.events).map(|event| event.order_id.to_string()).collect();
    assert_eq!(ids, ["order-0", "order-100", "order-200", "order-300", "order-400", "order-500"]);
    let history =
        service.history(&id("order-100"), Version::NONE, &payments, PageLimit::events(4)).await.unwrap();
    assert_eq!((history.events.len(), history.next), (1, None));
}

#[tokio::test]
async fn a_filtered_page_looks_at_a_bounded_stretch_and_says_where_it_ended() {
    let mut world = World::new();
    world.limits.searched_events = 3;
    let service = world.instance();
    for order in ["a", "b", "c"] {
        execute(&service, order, place()).await.unwrap();
    }
    for payment in ["p1", "p2", "p3", "p4"] {
        execute(&service, "a", pay(payment, 1)).await.unwrap();
    }
    let payments = of_type("order.payment_authorized.v1");
    let limit = PageLimit::events(2);
    let mut pages = Vec::new();
    let mut next = Some(Position::START);
    while let Some(after) = next {
        let page = service.log(after, &payments, limit).await.unwrap();
        next = page.next;
        pages.push((positions(&page), next.map(|next| next.0)));
    }
    assert_eq!(pages, [(vec![], Some(3)), (vec![4, 5], Some(5)), (vec![6, 7], None)]);

    let reservations = of_type("order.inventory_reserved.v1");
    let history = service.history(&id("a"), Version(1), &reservations, limit).await.unwrap();
    assert_eq!((history.events, history.next), (vec![], Some(Version(4))));
    let history = service.history(&id("a"), Version(4), &reservations, limit).await.unwrap();
    assert_eq!((history.events, history.next), (vec![], None));

    let of_a = EventFilter { order_id: Some(id("a")), ..payments };
    let page = service.log(Position(5), &of_a, limit).await.unwrap();
    assert_eq!((positions(&page), page.next), (vec![6, 7], None));
    let page = service.log(Position(3), &of_a, limit).await.unwrap();
    assert_eq!((positions(&page), page.next), (vec![4, 5], Some(Position(5))));
}

/// Another instance commits: no end that one of them remembers counts.
#[tokio::test]
async fn a_position_is_ahead_only_if_the_store_does_not_have_it_at_that_moment() {
    let world = World::new();
    let (service, other) = (world.instance(), world.instance());
    let of_nobody = EventFilter { order_id: Some(id("nobody")), ..EventFilter::default() };
    for end in 0..3 {
        let ahead = QueryError::PositionAhead { last_position: Position(end) };
        for seen in [end + 1, u64::MAX] {
            for filter in [&ALL, &of_type("order.placed.v1"), &of_nobody] {
                let page = service.log(Position(seen), filter, PageLimit::events(1)).await;
                assert_eq!(page, Err(ahead.clone()), "{seen} of {end}, {filter:?}");
            }
            let after = Position(seen);
            assert_eq!(service.list(&ListQuery::placed_after(after, 1)).await, Err(ahead.clone()));
            assert_eq!(service.subscribe(after).await.err(), Some(ahead.clone()));
        }
        execute(&other, &format!("order-{end}"), place()).await.unwrap();
        let seen = Position(end + 1);
        for filter in [&ALL, &of_nobody] {
            let page = service.log(seen, filter, PageLimit::events(1)).await.unwrap();
            assert_eq!((page.events, page.next), (vec![], None));
        }
        assert_eq!(service.list(&ListQuery::placed_after(seen, 1)).await, Ok(OrderPage::default()));
        assert_eq!(service.subscribe(seen).await.unwrap().position(), seen);
    }
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

#[tokio::test]
async fn an_order_is_replayed_to_its_end_however_long_it_is() {
    let world = World::new();
    let service = world.instance();
    execute(&service, "long", place()).await.unwrap();
    execute(&service, "long", pay("p", 1)).await.unwrap();
    for n in 2..1_200 {
        execute(&service, "long", hold(n % 2 == 0)).await.unwrap();
    }
    let other = world.instance();
    assert_eq!(other.order(&id("long")).await.unwrap().version, Version(1_200));
    let repeated = execute(&world.instance(), "long", pay("p", 1)).await.unwrap();
    assert_eq!((repeated.appended, repeated.version), (false, Version(1_200)));
}
