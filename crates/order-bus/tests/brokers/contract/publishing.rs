//! Publishing to a server that is well.

use std::borrow::Cow;
use std::time::Duration;

use order_application::traces::TraceContext;
use order_application::{
    BrokerError, Checkpoint, EventContext, MAX_EVENT_BYTES, Position, RecordedEvent, Version,
};
use order_domain::OrderId;

use super::{
    Fixture, assert_complete_and_in_order, checkpoint, event, events, everything, open, positions, publish,
    read, reader, send, until_it_fails,
};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

pub(crate) async fn what_was_published_is_read_back_equal<F: Fixture>() {
    let fixture = F::shared();
    let awkward = [
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:-",
        "a.b",
        "..a",
        "a..",
        "-",
        "~:_",
        &"x".repeat(128),
    ];
    let mut all: Vec<RecordedEvent> = awkward
        .into_iter()
        .zip(1..)
        .map(|(id, position)| RecordedEvent {
            order_id: OrderId::new(id).unwrap(),
            version: Version(1),
            event_type: Cow::Borrowed("order.placed.v1"),
            ..event(position)
        })
        .collect();
    all[0].context = EventContext::new("Grüße, \"%41\" 🙂 \\ \t", None, None);
    all[1].context = EventContext::new("c", None, Some(" ü "));
    all[2].context = EventContext::new("c", Some("%"), None);
    let trace = TraceContext::read(TRACE, ["rojo=00f067aa0ba902b7,congo=\"t61\" 1"]);
    all[3].context = EventContext::traced("c", None, None, trace.as_ref());
    all[3].event_type = Cow::Borrowed("order.placed.v2");
    all[4].event_type = Cow::Borrowed("order.returned.to sender.v1");
    all[5].data = format!(r#"{{"long":"{}"}}"#, "ü".repeat(200_000)).into();
    let mut opened = open(&fixture, &Checkpoint::default()).await;
    assert_eq!(opened.resume_after, Position::START);
    publish(&mut opened, &all).await.unwrap();
    opened.publication.check().await.unwrap();

    let deliveries = read(&mut *reader(&fixture, None).await, all.len()).await;
    positions(&deliveries);
    let events: Vec<_> = deliveries.into_iter().map(|delivery| delivery.event.unwrap().event).collect();
    assert_eq!(events, all);
}

pub(crate) async fn each_orders_events_come_in_their_order<F: Fixture>() {
    let fixture = F::shared();
    let mut opened = open(&fixture, &Checkpoint::default()).await;
    for page in events(1, 5_000).chunks(300) {
        send(&mut opened, page).await.unwrap();
    }
    let mut before = Position::START;
    while before < Position(5_000) {
        let now = opened.publication.acknowledged().await.unwrap();
        assert!(now > before, "it answers when there is more");
        before = now;
    }
    let positions = everything(&fixture).await;
    assert_complete_and_in_order(&positions, 5_000);
    assert_eq!(positions.len(), 5_000);
}

pub(crate) async fn a_gap_is_not_published<F: Fixture>() {
    let fixture = F::shared();
    let mut opened = open(&fixture, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 3)).await.unwrap();
    let refused = send(&mut opened, &[event(5)]).await;
    assert!(matches!(refused, Err(BrokerError::OutOfStep(_))), "{refused:?}");
    assert_eq!(everything(&fixture).await, [1, 2, 3]);
}

pub(crate) async fn it_goes_on_after_the_checkpoint<F: Fixture>() {
    let fixture = F::shared();
    let mut first = open(&fixture, &Checkpoint::default()).await;
    publish(&mut first, &events(1, 100)).await.unwrap();
    let kept = checkpoint(100, &first);
    drop(first);
    let mut second = open(&fixture, &kept).await;
    assert_eq!(second.resume_after, Position(100));
    second.publication.check().await.unwrap();
    publish(&mut second, &events(101, 150)).await.unwrap();
    let positions = everything(&fixture).await;
    assert_complete_and_in_order(&positions, 150);
    assert_eq!(positions.len(), 150, "nothing twice");
}

pub(crate) async fn what_was_acknowledged_after_the_checkpoint_is_not_published_again<F: Fixture>() {
    let fixture = F::shared();
    let mut first = open(&fixture, &Checkpoint::default()).await;
    publish(&mut first, &events(1, 20)).await.unwrap();
    let kept = checkpoint(20, &first);
    publish(&mut first, &events(21, 60)).await.unwrap();
    drop(first);
    let mut second = open(&fixture, &kept).await;
    let resume_after = second.resume_after.0;
    assert!((20..=60).contains(&resume_after), "{resume_after}");
    publish(&mut second, &events(resume_after + 1, 80)).await.unwrap();
    let positions = everything(&fixture).await;
    assert_complete_and_in_order(&positions, 80);
    assert!(positions.len() <= 80 + 40, "no more than was not saved: {}", positions.len());
}

pub(crate) async fn without_evidence_events_are_published_again<F: Fixture>() {
    let fixture = F::shared();
    let mut first = open(&fixture, &Checkpoint::default()).await;
    publish(&mut first, &events(1, 50)).await.unwrap();
    drop(first);
    let asked = Checkpoint { position: Position(10), evidence: None };
    let mut second = open(&fixture, &asked).await;
    assert_eq!(second.resume_after, Position(10));
    publish(&mut second, &events(11, 50)).await.unwrap();
    let expected: Vec<u64> = (1..=50).chain(11..=50).collect();
    let mut positions = everything(&fixture).await;
    positions.sort_unstable();
    assert_eq!(positions, {
        let mut sorted = expected;
        sorted.sort_unstable();
        sorted
    });
}

pub(crate) async fn without_evidence_a_broker_that_has_less_than_was_published_is_given_the_rest<
    F: Fixture,
>() {
    let fixture = F::shared();
    let asked = Checkpoint { position: Position(50), evidence: None };
    let mut empty = open(&fixture, &asked).await;
    assert_eq!(empty.resume_after, Position::START, "it never had anything");
    publish(&mut empty, &events(1, 30)).await.unwrap();
    let mut shorter = open(&fixture, &asked).await;
    assert_eq!(shorter.resume_after, Position(30), "it has nothing later");
    publish(&mut shorter, &events(31, 60)).await.unwrap();
    assert_eq!(open(&fixture, &asked).await.resume_after, Position(50), "it may have had all");
    assert_eq!(everything(&fixture).await, (1..=60).collect::<Vec<_>>());
}

pub(crate) async fn a_checkpoint_that_was_moved_beyond_what_was_acknowledged_is_not_believed<F: Fixture>() {
    let fixture = F::shared();
    let mut first = open(&fixture, &Checkpoint::default()).await;
    publish(&mut first, &events(1, 50)).await.unwrap();
    let moved = Checkpoint { position: Position(80), ..checkpoint(50, &first) };
    let mut second = open(&fixture, &moved).await;
    assert_eq!(second.resume_after, Position(50));
    publish(&mut second, &events(51, 90)).await.unwrap();
    assert_eq!(everything(&fixture).await, (1..=90).collect::<Vec<_>>());
}

pub(crate) async fn what_the_broker_has_is_found_whether_or_not_there_is_a_checkpoint<F: Fixture>() {
    let fixture = F::shared();
    let mut first = open(&fixture, &Checkpoint::default()).await;
    assert_eq!(first.found, [], "nothing is there");
    publish(&mut first, &events(1, 50)).await.unwrap();
    let kept = checkpoint(50, &first);
    publish(&mut first, &events(51, 60)).await.unwrap();
    for known in [kept, Checkpoint::default(), Checkpoint { position: Position(10), evidence: None }] {
        let found = open(&fixture, &known).await.found;
        assert!(found.iter().all(|found| found.id == event(found.position.0).id), "{found:?}");
        assert!(found.iter().any(|found| found.position == Position(60)), "the last one: {found:?}");
        let acknowledged = found.iter().any(|found| found.position == Position(50));
        assert!(acknowledged || known.evidence.is_none(), "what the checkpoint tells of: {found:?}");
    }
}

pub(crate) async fn an_event_that_somebody_else_has_sent_is_noticed_while_nothing_is_published<F: Fixture>() {
    let fixture = F::shared();
    let mut first = open(&fixture, &Checkpoint::default()).await;
    publish(&mut first, &events(1, 5)).await.unwrap();
    first.publication.check().await.unwrap();
    let kept = checkpoint(5, &first);
    let mut second = open(&fixture, &kept).await;
    publish(&mut second, &events(6, 6)).await.unwrap();
    let noticed = first.publication.check().await;
    let Err(BrokerError::OutOfStep(why)) = &noticed else { panic!("{noticed:?}") };
    assert!(why.contains("an event that was not sent here, of position 6"), "{why}");
    let found = open(&fixture, &kept).await.found;
    assert!(found.iter().any(|found| found.position == Position(6)), "{found:?}");
}

pub(crate) async fn a_repetition_that_is_interrupted_is_completed<F: Fixture>() {
    let fixture = F::shared();
    let mut first = open(&fixture, &Checkpoint::default()).await;
    publish(&mut first, &events(1, 50)).await.unwrap();
    drop(first);
    // Saved before anything was sent, and once more on the way.
    let second = open(&fixture, &Checkpoint::default()).await;
    let kept = checkpoint(0, &second);
    drop(second);
    let mut third = open(&fixture, &kept).await;
    assert_eq!(third.resume_after, Position::START);
    publish(&mut third, &events(1, 20)).await.unwrap();
    let kept = checkpoint(20, &third);
    drop(third);
    let mut fourth = open(&fixture, &kept).await;
    assert_eq!(fourth.resume_after, Position(20));
    publish(&mut fourth, &events(21, 60)).await.unwrap();
    assert_eq!(everything(&fixture).await.len(), 50 + 60);
}

pub(crate) async fn an_event_that_is_too_large_is_refused_and_those_before_it_are_acknowledged<F: Fixture>() {
    let fixture = F::shared();
    let mut all = events(1, 40);
    all[19].data = format!(r#"{{"long":"{}"}}"#, "x".repeat(F::TOO_LARGE_BYTES)).into();
    let mut opened = open(&fixture, &Checkpoint::default()).await;
    // It may be refused here, or where it arrives.
    let (reached, error) = match send(&mut opened, &all).await {
        Err(error) => {
            publish_nothing_until(&mut opened, Position(19)).await;
            (Position(19), error)
        }
        Ok(()) => until_it_fails(&mut opened).await,
    };
    assert_eq!(reached, Position(19), "all before it is acknowledged");
    let BrokerError::Refused { position, why } = error else { panic!("{error:?}") };
    assert_eq!(position, Position(20));
    assert!(why.contains("raise"), "it says what to do: {why}");
    assert!(!why.contains('\n'), "{why}");
    assert_eq!(everything(&fixture).await, (1..=19).collect::<Vec<_>>(), "nothing after it");
}

pub(crate) async fn the_largest_event_is_taken_by_a_server_as_it_is_installed<F: Fixture>() {
    let fixture = F::shared();
    let state = format!("a={}", "b".repeat(256));
    let trace = TraceContext::read(TRACE, [&*state, &state.replace('a', "c")[..253]]).unwrap();
    assert!(trace.state.is_some(), "512 bytes are taken over");
    let (long, actor) = ("c".repeat(255), "a".repeat(255));
    let context = EventContext::traced(&long, Some(&long), Some(&actor), Some(&trace));
    let around = r#"{"long":""}"#.len();
    let largest = RecordedEvent {
        order_id: OrderId::new("o".repeat(128)).unwrap(),
        data: format!(r#"{{"long":"{}"}}"#, "x".repeat(MAX_EVENT_BYTES - around)).into(),
        context,
        ..event(1)
    };
    assert_eq!(largest.data.len(), MAX_EVENT_BYTES);
    let mut opened = open(&fixture, &Checkpoint::default()).await;
    publish(&mut opened, &[largest]).await.unwrap();
    assert_eq!(everything(&fixture).await, [1]);
}

async fn publish_nothing_until(opened: &mut order_application::Opened, position: Position) {
    super::within(async { while opened.publication.acknowledged().await.unwrap() < position {} }).await;
}

pub(crate) async fn a_wait_that_is_cancelled_loses_nothing<F: Fixture>() {
    let fixture = F::shared();
    let mut opened = open(&fixture, &Checkpoint::default()).await;
    let idle = tokio::time::timeout(Duration::from_millis(50), opened.publication.acknowledged()).await;
    assert!(idle.is_err(), "nothing is under way, so it waits");
    for position in 1..=20 {
        send(&mut opened, &[event(position)]).await.unwrap();
        let _ = tokio::time::timeout(Duration::from_micros(200), opened.publication.acknowledged()).await;
    }
    // Whatever was told and to nobody: the next event's acknowledgement comes after all of them.
    publish(&mut opened, &[event(21)]).await.unwrap();
    assert_eq!(everything(&fixture).await, (1..=21).collect::<Vec<_>>());
}
