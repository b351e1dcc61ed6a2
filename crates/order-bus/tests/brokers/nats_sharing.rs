//! Several that write to one stream.

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Config;
use order_application::{BrokerError, Checkpoint, FoundEvent, Position};
use order_bus::NatsOptions;

use crate::contract::{assert_left_alone, checkpoint, events, publish, send, until_it_fails, within};
use crate::nats_support::{broker, everything, fresh_stream, open, wanted};

#[tokio::test]
async fn of_two_that_publish_only_one_goes_on() {
    let (options, _) = fresh_stream("").await;
    let mut first = open(&options, &Checkpoint::default()).await;
    let mut second = open(&options, &Checkpoint::default()).await;
    publish(&mut first, &events(1, 50)).await.unwrap();
    // It believes to hold the lease, and knows nothing of the first.
    send(&mut second, &events(1, 40)).await.unwrap();
    let (reached, error) = until_it_fails(&mut second).await;
    assert!(matches!(error, BrokerError::OutOfStep(_)), "{error:?}");
    assert!(reached <= Position(40), "what it was told is there");
    publish(&mut first, &events(51, 80)).await.unwrap();

    let kept = checkpoint(80, &first);
    let mut third = open(&options, &kept).await;
    publish(&mut third, &events(81, 120)).await.unwrap();
    send(&mut first, &events(81, 90)).await.unwrap();
    let (_, error) = until_it_fails(&mut first).await;
    assert!(matches!(error, BrokerError::OutOfStep(_)), "{error:?}");
    assert_eq!(everything(&options).await, (1..=120).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_follows_a_refused_event_is_refused_too_though_its_sequence_fits() {
    let (options, _) = fresh_stream("").await;
    let mut first = open(&options, &Checkpoint::default()).await;
    publish(&mut first, &events(1, 50)).await.unwrap();
    let mut late = open(&options, &checkpoint(50, &first)).await;
    // Somebody asks for all of it again, while the messages of a holder that lost its lease are still on their way.
    let mut again = open(&options, &Checkpoint::default()).await;
    publish(&mut again, &events(1, 10)).await.unwrap();
    send(&mut late, &events(51, 80)).await.unwrap();
    let (reached, error) = until_it_fails(&mut late).await;
    assert!(matches!(error, BrokerError::OutOfStep(_)), "{error:?}");
    assert_eq!(reached, Position(50));
    publish(&mut again, &events(11, 90)).await.unwrap();
    assert_eq!(everything(&options).await, (1..=50).chain(1..=90).collect::<Vec<_>>());
}

#[tokio::test]
async fn others_messages_in_the_stream_do_no_harm() {
    let (options, js) = fresh_stream("").await;
    let prefix = wanted(&options).name.to_lowercase();
    let other = format!("other-{prefix}");
    let shared = Config { subjects: vec![format!("{prefix}.>"), other.clone()], ..wanted(&options) };
    js.create_stream(shared).await.unwrap();
    let mut opened = open(&options, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 30)).await.unwrap();
    let kept = checkpoint(30, &opened);
    publish(&mut opened, &events(31, 50)).await.unwrap();
    js.publish(other, "x".into()).await.unwrap().await.unwrap();
    send(&mut opened, &events(51, 60)).await.unwrap();
    let (_, error) = until_it_fails(&mut opened).await;
    assert!(matches!(error, BrokerError::OutOfStep(_)), "{error:?}");

    let mut opened = open(&options, &kept).await;
    assert_eq!(opened.resume_after, Position(50), "its last event is found behind the other's message");
    publish(&mut opened, &events(51, 60)).await.unwrap();
    js.publish(format!("{prefix}.note"), "x".into()).await.unwrap().await.unwrap();
    let opened = open(&options, &kept).await;
    assert_eq!(opened.resume_after, Position(60), "it is found behind a message of its own subjects, too");
    assert_eq!(everything(&options).await, (1..=60).collect::<Vec<_>>());
}

/// Sends so many messages that are no events, under the stream's subjects.
async fn send_notes(options: &NatsOptions, js: &Context, notes: u64) {
    let subject = format!("{}.note.x", wanted(options).name.to_lowercase());
    send_messages(options, js, subject, notes).await;
}

/// Until the stream has them.
async fn send_messages(options: &NatsOptions, js: &Context, subject: String, count: u64) {
    let mut stream = js.get_stream(&wanted(options).name).await.unwrap();
    let before = stream.info().await.unwrap().state.last_sequence;
    for _ in 0..count {
        js.client().publish(subject.clone(), "x".into()).await.unwrap();
    }
    within(async { while stream.info().await.unwrap().state.last_sequence < before + count {} }).await;
}

#[tokio::test]
async fn an_event_behind_messages_that_are_none_is_found_by_whoever_knows_nothing() {
    let (options, js) = fresh_stream("").await;
    let mut opened = open(&options, &Checkpoint::default()).await;
    send_notes(&options, &js, 5).await;
    assert_eq!(open(&options, &Checkpoint::default()).await.found, [], "notes alone are nobody's log");
    opened = open(&options, &checkpoint(0, &opened)).await;
    publish(&mut opened, &events(1, 20)).await.unwrap();
    send_notes(&options, &js, 1_100).await;
    let stream = js.get_stream(&wanted(&options).name).await.unwrap();
    assert!(stream.delete_message(1_000).await.unwrap(), "a message that is gone hides nothing");
    let positions = |found: &[FoundEvent]| found.iter().map(|found| found.position.0).collect::<Vec<_>>();
    let unknowing = open(&options, &Checkpoint::default()).await;
    assert_eq!((unknowing.resume_after, positions(&unknowing.found)), (Position::START, vec![20]));
    let knowing = open(&options, &checkpoint(20, &opened)).await;
    assert_eq!((knowing.resume_after, positions(&knowing.found)), (Position(20), vec![20, 20]));
}

#[tokio::test]
async fn a_stream_with_more_messages_that_are_no_events_than_can_be_looked_at_is_left_alone_unless_it_is_known()
 {
    let (options, js) = fresh_stream("").await;
    let mut opened = open(&options, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 20)).await.unwrap();
    let kept = checkpoint(20, &opened);
    send_notes(&options, &js, 20_010).await;
    opened.publication.check().await.unwrap();
    assert_left_alone(&broker(&options), &wanted(&options).name).await;
    let mut opened = open(&options, &kept).await;
    assert_eq!(opened.resume_after, Position(20));
    publish(&mut opened, &events(21, 22)).await.unwrap();
    assert_eq!(open(&options, &Checkpoint::default()).await.found[0].position, Position(22));
}

#[tokio::test]
async fn however_many_messages_others_have_a_stream_without_an_event_is_published_to() {
    let (options, js) = fresh_stream("").await;
    let prefix = wanted(&options).name.to_lowercase();
    let other = format!("other-{prefix}");
    let shared = Config { subjects: vec![format!("{prefix}.>"), other.clone()], ..wanted(&options) };
    js.create_stream(shared).await.unwrap();
    send_messages(&options, &js, other, 20_010).await;
    send_notes(&options, &js, 2).await;
    let mut opened = open(&options, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 3)).await.unwrap();
    assert_eq!(everything(&options).await, [1, 2, 3]);
}

/// Only what came since the last look is looked at.
#[tokio::test]
async fn messages_that_are_no_events_do_not_hide_an_event_that_was_not_sent_here() {
    let (options, js) = fresh_stream("").await;
    let mut first = open(&options, &Checkpoint::default()).await;
    publish(&mut first, &events(1, 5)).await.unwrap();
    send_notes(&options, &js, 10).await;
    first.publication.check().await.unwrap();
    let mut second = open(&options, &checkpoint(5, &first)).await;
    publish(&mut second, &events(6, 6)).await.unwrap();
    send_notes(&options, &js, 10).await;
    let noticed = first.publication.check().await;
    let Err(BrokerError::OutOfStep(why)) = &noticed else { panic!("{noticed:?}") };
    assert!(why.contains("an event that was not sent here, of position 6"), "{why}");
}

#[tokio::test]
async fn an_event_behind_a_message_that_is_none_is_not_published_again() {
    let (options, js) = fresh_stream("").await;
    let mut opened = open(&options, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 4)).await.unwrap();
    let kept = checkpoint(4, &opened);
    publish(&mut opened, &events(5, 5)).await.unwrap();
    send_notes(&options, &js, 1).await;
    let mut opened = open(&options, &kept).await;
    assert_eq!(opened.resume_after, Position(5));
    publish(&mut opened, &events(6, 9)).await.unwrap();
    assert_eq!(everything(&options).await, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

/// Its last sequence tells nothing: others' messages have filled it up.
#[tokio::test]
async fn a_stream_that_was_filled_up_by_others_after_a_loss_is_given_what_it_lacks() {
    let (options, js) = fresh_stream("").await;
    let prefix = wanted(&options).name.to_lowercase();
    let other = format!("other-{prefix}");
    let shared = Config { subjects: vec![format!("{prefix}.>"), other.clone()], ..wanted(&options) };
    let stream = js.create_stream(&shared).await.unwrap();
    let mut opened = open(&options, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 30)).await.unwrap();
    let created = stream.cached_info().created.unix_timestamp_nanos();
    let evidence = checkpoint(30, &opened).evidence.unwrap();
    // As of a stream that had forty more, of which the last was where somebody else's message is now.
    for _ in 0..50 {
        js.publish(other.clone(), "x".into()).await.unwrap().await.unwrap();
    }
    let evidence = evidence.replace(r#""sequence":30"#, r#""sequence":70"#);
    let evidence = evidence.replace(r#""event_sequence":30"#, r#""event_sequence":70"#);
    let evidence = evidence.replace(r#""position":30"#, r#""position":70"#);
    assert!(evidence.contains(&created.to_string()) && evidence.matches(":70").count() == 3, "{evidence}");
    let kept = Checkpoint { position: Position(70), evidence: Some(evidence.into()) };
    assert_eq!(open(&options, &kept).await.resume_after, Position(30));
}
