//! Events from a file.

use order_application::cloud_event::PublishedEvent;
use order_application::replica::ReplicaError;
use uuid::Uuid;

use super::*;

/// Imports events one after the other.
async fn import(
    stage: &Stage,
    events: impl IntoIterator<Item = PublishedEvent>,
) -> Result<Imported, ImportError> {
    let mut import = Import::begin(stage.store.clone(), stage.limits).await?;
    for event in events {
        import.add(event).await?;
    }
    import.finish().await
}

/// A log from its beginning, as it is exported.
fn named(log: &[RecordedEvent]) -> impl Iterator<Item = PublishedEvent> {
    let mut before = None;
    log.iter()
        .map(move |event| PublishedEvent { event: event.clone(), previous_id: before.replace(event.id) })
}

/// The same as releases before that had it: without what comes before.
fn unnamed(log: &[RecordedEvent]) -> impl Iterator<Item = PublishedEvent> {
    log.iter().map(|event| PublishedEvent { event: event.clone(), previous_id: None })
}

/// A log that is the same up to a position, and then has the same orders' events with other ids.
fn parting_at(log: &[RecordedEvent], parting: usize) -> Vec<RecordedEvent> {
    let mut other = log.to_vec();
    for event in &mut other[parting - 1..] {
        event.id = Uuid::from_u128(event.id.as_u128() ^ 1);
    }
    other
}

fn assert_other_log(refused: &ImportError, position: u64, says: &str) {
    assert!(matches!(refused, ImportError::Replica(ReplicaError::OtherLog(_))), "{refused:?}");
    let begins = format!("another log than this replica's, at position {position}: {says}");
    assert!(refused.to_string().starts_with(&begins), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn what_is_imported_continues_the_log_and_the_broker_continues_that() {
    let stage = Stage::new(40, 1).await;
    let events = stage.events().await;
    stage.log.publish(0, &events[50..]);
    let mut replica = stage.start();
    replica.misses(1).await;
    replica.stop().await;

    for part in [&events[..20], &events[..60]] {
        let known = stage.store.end().await.unwrap().0;
        let imported = import(&stage, unnamed(part)).await.unwrap();
        assert_eq!(imported, Imported { added: part.len() as u64 - known, known });
    }
    let mut replica = stage.start();
    replica.becomes(ReplicaState::Following).await;
    stage.assert_equal().await;
}

#[tokio::test(start_paused = true)]
async fn an_import_keeps_the_bookmark() {
    let stage = Stage::new(40, 1).await;
    let events = stage.events().await;
    stage.log.publish(0, &events[..30]);
    let mut replica = stage.start();
    replica.reaches(30).await;
    replica.stop().await;
    import(&stage, named(&events).skip(30).take(10)).await.unwrap();
    let checkpoint = stage.store.load("replica").await.unwrap().unwrap();
    assert_eq!((checkpoint.position, checkpoint.evidence.as_deref()), (Position(40), Some("29")));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_damaged_in_the_primary_s_log_is_imported_as_it_is() {
    let stage = Stage::new(20, 1).await;
    let mut events = stage.events().await;
    events[30].version = Version(7);
    import(&stage, unnamed(&events[..20])).await.unwrap();
    import(&stage, unnamed(&events)).await.unwrap();
    assert_eq!(stage.store.read_log(Position::START, PageLimit::events(1_000)).await.unwrap(), events);
    let refused = stage.store.one(&events[30].order_id).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_begins_behind_the_replica_s_events_goes_on_after_the_last_of_them() {
    let stage = Stage::new(20, 1).await;
    let events = stage.events().await;
    import(&stage, named(&events[..20])).await.unwrap();
    let imported = import(&stage, named(&events).skip(20)).await.unwrap();
    assert_eq!(imported, Imported { added: events.len() as u64 - 20, known: 0 });
    stage.assert_equal().await;
}

/// Versions do not tell it: orders that are placed after the parting fit anything.
#[tokio::test(start_paused = true)]
async fn another_log_s_file_that_begins_behind_the_replica_s_events_is_refused() {
    let stage = Stage::new(20, 1).await;
    let events = stage.events().await;
    import(&stage, named(&events[..20])).await.unwrap();
    let other = parting_at(&events, 15);
    let refused = import(&stage, named(&other).skip(20)).await.unwrap_err();
    let (there, here) = (other[19].id, events[19].id);
    assert_other_log(
        &refused,
        21,
        &format!("the event before the one there is {there}, and here it is {here}. This replica"),
    );
    assert_eq!(stage.store.end().await, Ok(Position(20)));
}

#[tokio::test(start_paused = true)]
async fn each_line_of_a_file_is_held_against_the_one_before() {
    let stage = Stage::new(20, 1).await;
    let events = stage.events().await;
    import(&stage, named(&events[..20])).await.unwrap();
    let (there, here) = (Uuid::from_u128(7), events[9].id);
    let changed = |position: u64| {
        let mut lines: Vec<_> = named(&events).collect();
        lines[usize::try_from(position).unwrap() - 1].previous_id = Some(there);
        lines
    };
    let says = |here: &str| {
        format!("the event before the one there is {there}, and here it is {here}. This replica")
    };
    let refused = import(&stage, changed(11)).await.unwrap_err();
    assert_other_log(&refused, 11, &says(&here.to_string()));
    let refused = import(&stage, changed(31)).await.unwrap_err();
    assert_other_log(&refused, 31, &says(&events[29].id.to_string()));
    let empty = Stage::new(20, 1).await;
    for stage in [&stage, &empty] {
        assert_other_log(&import(stage, changed(1)).await.unwrap_err(), 1, &says("none"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_names_nothing_begins_with_an_event_that_the_replica_has() {
    let stage = Stage::new(20, 1).await;
    let events = stage.events().await;
    import(&stage, named(&events[..20])).await.unwrap();
    let unproven = ImportError::Unproven { end: Position(20), found: Position(21) };
    assert_eq!(import(&stage, unnamed(&events[20..])).await, Err(unproven.clone()));
    let says = unproven.to_string();
    assert!(says.contains("(`export --from-position 20`)"), "{says}");
    // What the replica has elsewhere says nothing of what it has last.
    let with_a_leap = unnamed(&events[..10]).chain(unnamed(&events[20..]));
    assert_eq!(import(&stage, with_a_leap).await, Err(unproven));
    let other = parting_at(&events, 15);
    let refused = import(&stage, unnamed(&other[19..])).await.unwrap_err();
    assert_other_log(&refused, 20, "the event there has another id. This replica");
    import(&stage, unnamed(&events[19..])).await.unwrap();
    stage.assert_equal().await;
}

#[tokio::test(start_paused = true)]
async fn gaps_and_other_logs_are_not_imported() {
    let stage = Stage::new(40, 1).await;
    let events = stage.events().await;
    let mut import = Import::begin(stage.store.clone(), stage.limits).await.unwrap();
    let mut lines = named(&events);
    import.add(lines.next().unwrap()).await.unwrap();
    let gap = ImportError::Gap { expected: Position(2), found: Position(3) };
    assert_eq!(import.add(lines.nth(1).unwrap()).await, Err(gap));
    import.finish().await.unwrap();

    let mut import = Import::begin(stage.store.clone(), stage.limits).await.unwrap();
    let event = RecordedEvent { id: events[7].id, ..events[0].clone() };
    let refused = import.add(PublishedEvent { event, previous_id: None }).await.unwrap_err();
    assert_other_log(&refused, 1, "the event there has another id. This replica");
}
