use std::time::Duration;

use super::*;

#[tokio::test]
async fn the_workflow_is_recorded_step_by_step() {
    let world = World::new();
    let service = world.instance();
    let steps = [(place(), Status::Placed), (pay("p", 3000), Status::PaymentAuthorized)];
    let steps = steps.into_iter().chain([(reserve(), Status::InventoryReserved), (ship(), Status::Shipped)]);
    for ((command, status), version) in steps.zip(1..) {
        let outcome = execute(&service, "a", command).await.unwrap();
        assert_eq!((outcome.version, outcome.appended), (Version(version), true));
        let summary = service.summary(&id("a")).await.unwrap();
        assert_eq!((summary.status, summary.version), (status, Version(version)));
    }
    let types: Vec<_> = service
        .history(&id("a"), Version::NONE, &EventFilter::default(), PageLimit::events(10))
        .await
        .unwrap()
        .events
        .into_iter()
        .map(|event| event.event_type)
        .collect();
    let workflow = ["placed", "payment_authorized", "inventory_reserved", "shipped"];
    assert_eq!(types, workflow.map(|event| format!("order.{event}.v1")));
}

#[tokio::test]
async fn an_order_without_an_id_gets_one() {
    let service = World::new().instance();
    let outcome = service.execute(None, place(), CommandMeta::default()).await.unwrap();
    assert!(Uuid::parse_str(outcome.order_id.as_str()).is_ok());
    assert!(service.summary(&outcome.order_id).await.is_ok());
}

#[tokio::test]
async fn a_repeated_command_is_answered_and_appends_nothing() {
    let world = World::new();
    let service = world.instance();
    execute(&service, "a", place()).await.unwrap();
    execute(&service, "a", pay("p", 3000)).await.unwrap();
    for command in [place(), pay("p", 3000)] {
        let outcome = execute(&service, "a", command).await.unwrap();
        assert_eq!((outcome.version, outcome.appended), (Version(2), false));
    }
    assert_eq!(world.store.read_log(Position::START, PageLimit::events(10)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_refusal_says_what_the_order_is_and_may_do() {
    let service = World::new().instance();
    execute(&service, "a", place()).await.unwrap();
    let (error, facts) = refusal(execute(&service, "a", ship()).await);
    assert_eq!(error, OrderError::InTheWay(ShipOrder::NOTHING_RESERVED));
    let allowed_actions = vec![Action::Payment, Action::Decline, Action::Cancel, Action::Hold];
    assert_eq!(facts, Some(OrderFacts { status: Status::Placed, version: Version(1), allowed_actions }));
    assert_eq!(refusal(execute(&service, "b", ship()).await), (OrderError::NotFound, None));
}

#[tokio::test]
async fn a_version_that_does_not_match_is_refused_unless_it_is_done_already() {
    let service = World::new().instance();
    execute(&service, "a", place()).await.unwrap();
    let with = |if_match| CommandMeta { if_match: Some(if_match), ..CommandMeta::default() };
    let at = |version| with(NamedVersions::OneOf(vec![Version(version)]));

    let stale = service.execute(Some(id("a")), pay("p", 3000), at(7)).await;
    assert!(matches!(stale, Err(CommandError::VersionMismatch(Some(_)))), "{stale:?}");
    assert!(service.execute(Some(id("a")), pay("p", 3000), at(1)).await.is_ok());
    // The same again was done at version 1, whatever the order's version is now.
    assert!(service.execute(Some(id("a")), pay("p", 3000), at(1)).await.is_ok());
    // What cannot be at any version is still told as a mismatch first.
    let both = service.execute(Some(id("a")), pay("q", 1), at(1)).await;
    assert!(matches!(both, Err(CommandError::VersionMismatch(Some(_)))), "{both:?}");
    assert!(service.execute(Some(id("a")), reserve(), with(NamedVersions::Any)).await.is_ok());
    let new = service.execute(Some(id("b")), place(), with(NamedVersions::Any)).await;
    assert!(matches!(new, Err(CommandError::VersionMismatch(None))), "{new:?}");
}

#[tokio::test]
async fn an_order_takes_so_many_events_and_no_more() {
    let mut world = World::new();
    (world.limits.order_events, world.limits.last_events) = (5, 2);
    let service = world.instance();
    execute(&service, "a", place()).await.unwrap();
    execute(&service, "a", pay("p", 1)).await.unwrap();
    execute(&service, "a", pay("q", 1)).await.unwrap();
    let full = execute(&service, "a", pay("r", 1)).await;
    let Err(CommandError::Refused { error, facts: Some(facts) }) = full else { panic!("{full:?}") };
    assert_eq!(error, OrderError::InTheWay(Obstacle::HISTORY_FULL));
    assert!(!facts.allowed_actions.contains(&Action::Payment), "{facts:?}");
    assert!(facts.allowed_actions.contains(&Action::Cancel), "{facts:?}");
    assert!(!execute(&service, "a", pay("q", 1)).await.unwrap().appended, "a repetition is still answered");
    assert!(execute(&service, "a", cancel()).await.unwrap().appended, "there is room for the order's end");
}

#[tokio::test]
async fn an_event_that_is_too_large_is_refused_and_leaves_nothing() {
    let mut world = World::new();
    world.limits.event_bytes = 1_000;
    let service = world.instance();
    let large = execute(&service, "a", place_lines(100)).await;
    let Err(CommandError::Refused { error, facts: None }) = large else { panic!("{large:?}") };
    assert_eq!(error, OrderError::InTheWay(Obstacle::EVENT_FULL));
    assert_eq!(service.summary(&id("a")).await, Err(QueryError::OrderNotFound));
}

#[tokio::test]
async fn a_clock_that_jumps_back_does_not_turn_an_orders_time_back() {
    let world = World::new();
    let service = world.instance();
    execute(&service, "a", place()).await.unwrap();
    world.clock.set(NEW_YEAR - 86_400_000_000);
    execute(&service, "a", pay("p", 1)).await.unwrap();
    execute(&service, "b", place()).await.unwrap();
    world.clock.set(NEW_YEAR + 86_400_000_000);
    execute(&service, "a", pay("q", 1)).await.unwrap();
    let history = service
        .history(&id("a"), Version::NONE, &EventFilter::default(), PageLimit::events(10))
        .await
        .unwrap();
    let times: Vec<_> = history.events.iter().map(|event| event.time.as_micros() - NEW_YEAR).collect();
    assert_eq!(times, [0, 0, 86_400_000_000]);
}

#[tokio::test]
async fn events_of_one_command_share_its_correlation_and_actor() {
    let world = World::new();
    let service = world.instance();
    let meta = CommandMeta {
        correlation_id: Some("request-7".into()),
        actor: Some("clerk".into()),
        ..CommandMeta::default()
    };
    service.execute(Some(id("a")), place(), meta).await.unwrap();
    execute(&service, "a", pay("p", 1)).await.unwrap();
    let log = world.store.read_log(Position::START, PageLimit::events(10)).await.unwrap();
    assert_eq!(
        (log[0].context.as_json(), &log[0].source),
        (r#"{"correlationid":"request-7","actor":"clerk"}"#, &None)
    );
    assert!(
        Uuid::parse_str(&log[1].context.get("correlationid").unwrap()).is_ok(),
        "made where none was given"
    );
}

/// The caller hangs up at every possible moment; what is left is a whole command or none, and the next command finds
/// the order as the store has it.
#[tokio::test]
async fn a_caller_that_goes_away_leaves_a_whole_command_or_none() {
    let world = World::new();
    let service = world.instance();
    for n in 0..200 {
        let order_id = format!("order-{n}");
        let command = service.execute(Some(id(&order_id)), place(), CommandMeta::default());
        let patience = Duration::from_micros(n % 40);
        let _ = tokio::time::timeout(patience, command).await;
        // The next command waits its turn behind the one that nobody waits for.
        let outcome = execute(&service, &order_id, place()).await.unwrap();
        assert_eq!(outcome.version, Version(1));
    }
    let log = world.store.read_log(Position::START, PageLimit::events(1_000)).await.unwrap();
    assert_eq!(log.len(), 200);
}
