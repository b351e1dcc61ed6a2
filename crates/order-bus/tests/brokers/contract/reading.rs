//! Reading as a replica does.

use std::time::Duration;

use order_application::Checkpoint;

use super::{Fixture, PATIENCE, event, events, open, positions, publish, read, reader, within};

pub(crate) async fn a_reader_goes_on_from_its_bookmark<F: Fixture>() {
    let fixture = F::shared();
    let mut opened = open(&fixture, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 100)).await.unwrap();
    let mut first = reader(&fixture, None).await;
    let deliveries = read(&mut *first, 100).await;
    assert_eq!(first.partitions(), 1, "the suite's brokers have one partition");
    // Handed out is not yet kept: the bookmark says what is.
    let bookmark = first.bookmark(&[Some(deliveries[40].offset)]);
    drop(first);
    let mut second = reader(&fixture, Some(&bookmark)).await;
    let unread = second.bookmark(&[None]);
    assert_eq!(positions(&read(&mut *second, 60).await), (41..=100).collect::<Vec<_>>());
    // A reader that was handed nothing stays where it was.
    let mut third = reader(&fixture, Some(&unread)).await;
    assert_eq!(positions(&read(&mut *third, 60).await), (41..=100).collect::<Vec<_>>());
}

pub(crate) async fn a_reader_that_waits_is_woken<F: Fixture>() {
    let fixture = F::shared();
    let mut opened = open(&fixture, &Checkpoint::default()).await;
    let mut reader = reader(&fixture, None).await;
    let idle = tokio::time::timeout(Duration::from_millis(100), reader.next()).await;
    assert!(idle.is_err(), "there is nothing");
    for position in 1..=5 {
        publish(&mut opened, &[event(position)]).await.unwrap();
        assert_eq!(positions(&read(&mut *reader, 1).await), [position]);
    }
}

pub(crate) async fn a_paused_reader_waits_and_goes_on_where_it_was<F: Fixture>() {
    let fixture = F::shared();
    let mut opened = open(&fixture, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 10)).await.unwrap();
    let mut reader = reader(&fixture, None).await;
    assert_eq!(positions(&read(&mut *reader, 10).await).len(), 10);
    reader.pause(0).unwrap();
    publish(&mut opened, &events(11, 20)).await.unwrap();
    let paused = tokio::time::timeout(Duration::from_millis(300), reader.next()).await;
    assert!(paused.is_err(), "{paused:?}");
    reader.resume(0).unwrap();
    assert_eq!(positions(&read(&mut *reader, 10).await), (11..=20).collect::<Vec<_>>());
}

pub(crate) async fn a_reader_knows_how_far_behind_it_is<F: Fixture>() {
    let fixture = F::shared();
    let mut opened = open(&fixture, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 30)).await.unwrap();
    let mut reader = reader(&fixture, None).await;
    assert_eq!(reader.behind().await.unwrap(), 30);
    read(&mut *reader, 30).await;
    assert_eq!(reader.behind().await.unwrap(), 0);
    publish(&mut opened, &events(31, 40)).await.unwrap();
    // It may be told what was known a moment ago.
    let catches_up = async { while reader.behind().await.unwrap() != 10 {} };
    tokio::time::timeout(PATIENCE, catches_up).await.expect("it learns of more");
    within(read(&mut *reader, 10)).await;
}
