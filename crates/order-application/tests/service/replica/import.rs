//! Events from a file.

use super::*;

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
        let mut import = Import::begin(stage.store.clone(), stage.limits).await.unwrap();
        for event in part {
            import.add(event.clone()).await.unwrap();
        }
        let imported = import.finish().await.unwrap();
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
    let mut import = Import::begin(stage.store.clone(), stage.limits).await.unwrap();
    for event in &events[29..40] {
        import.add(event.clone()).await.unwrap();
    }
    import.finish().await.unwrap();
    let checkpoint = stage.store.load("replica").await.unwrap().unwrap();
    assert_eq!((checkpoint.position, checkpoint.evidence.as_deref()), (Position(40), Some("29")));
}

/// Imports events one after the other.
async fn import(stage: &Stage, events: &[RecordedEvent]) -> Result<Imported, ImportError> {
    let mut import = Import::begin(stage.store.clone(), stage.limits).await?;
    for event in events {
        import.add(event.clone()).await?;
    }
    import.finish().await
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_damaged_in_the_primary_s_log_is_imported_as_it_is() {
    let stage = Stage::new(20, 1).await;
    let mut events = stage.events().await;
    events[30].version = Version(7);
    import(&stage, &events[..20]).await.unwrap();
    import(&stage, &events).await.unwrap();
    assert_eq!(stage.store.read_log(Position::START, PageLimit::events(1_000)).await.unwrap(), events);
    let refused = stage.store.one(&events[30].order_id).await;
    assert!(matches!(refused, Err(StoreError::Corrupt(_))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_begins_behind_the_store_s_events_is_not_imported() {
    let stage = Stage::new(20, 1).await;
    let events = stage.events().await;
    import(&stage, &events[..20]).await.unwrap();
    let unproven = ImportError::Unproven { end: Position(20), found: Position(21) };
    assert_eq!(import(&stage, &events[20..]).await, Err(unproven));
    let other = RecordedEvent { id: events[0].id, ..events[19].clone() };
    let refused = import(&stage, &[&[other], &events[20..]].concat()).await.unwrap_err();
    assert!(refused.to_string().contains("another log than this replica's, at position 20"), "{refused}");
    assert_eq!(stage.store.end().await, Ok(Position(20)));
    assert_eq!(
        import(&stage, &events[19..]).await,
        Ok(Imported { added: events.len() as u64 - 20, known: 1 })
    );
}

#[tokio::test(start_paused = true)]
async fn gaps_and_other_logs_are_not_imported() {
    let stage = Stage::new(40, 1).await;
    let events = stage.events().await;
    let mut import = Import::begin(stage.store.clone(), stage.limits).await.unwrap();
    import.add(events[0].clone()).await.unwrap();
    let gap = ImportError::Gap { expected: Position(2), found: Position(3) };
    assert_eq!(import.add(events[2].clone()).await, Err(gap));
    import.finish().await.unwrap();

    let mut import = Import::begin(stage.store.clone(), stage.limits).await.unwrap();
    let other = RecordedEvent { id: events[7].id, ..events[0].clone() };
    let refused = import.add(other).await.unwrap_err();
    assert!(refused.to_string().contains("another log than this replica's, at position 1"), "{refused}");
}
