//! Reading as a replica does.

use std::time::Duration;

use order_application::{BrokerReader, Checkpoint, Delivery};

use super::{Fixture, PATIENCE, checkpoint, event, events, open, positions, publish, read, reader, within};

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

pub(crate) async fn a_bookmark_of_another_broker_means_the_beginning<F: Fixture>() {
    let fixture = F::shared();
    let mut opened = open(&fixture, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 10)).await.unwrap();
    for foreign in ["{}", "no JSON"] {
        let mut reader = reader(&fixture, Some(foreign)).await;
        assert_eq!(positions(&read(&mut *reader, 10).await), (1..=10).collect::<Vec<_>>(), "{foreign}");
    }
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
    reader.set_paused(0, true).unwrap();
    publish(&mut opened, &events(11, 20)).await.unwrap();
    let paused = tokio::time::timeout(Duration::from_millis(300), reader.next()).await;
    assert!(paused.is_err(), "{paused:?}");
    reader.set_paused(0, false).unwrap();
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

pub(crate) async fn a_reader_gets_everything_though_its_server_is_killed<F: Fixture>() {
    let mut fixture = F::own();
    let mut opened = open(&fixture, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 50)).await.unwrap();
    let kept = checkpoint(50, &opened);
    let mut deliveries = Vec::new();
    let mut reading = Some(reader(&fixture, None).await);
    while deliveries.len() < 20 {
        deliveries.extend(reading.as_mut().unwrap().next().await.unwrap());
    }
    let bookmark = |deliveries: &[Delivery], reader: &dyn BrokerReader| {
        reader.bookmark(&[deliveries.last().map(|last| last.offset + 1)])
    };
    let mut known = bookmark(&deliveries, &**reading.as_ref().unwrap());
    fixture.kill_hard();
    fixture.start_again();
    let mut opened = open(&fixture, &kept).await;
    publish(&mut opened, &events(51, 90)).await.unwrap();
    within(async {
        while deliveries.len() < 90 {
            // Whoever reads opens it again after each error; some brokers' clients do that themselves.
            let Some(reader) = &mut reading else {
                reading = fixture.log().open(Some(&known)).await.ok();
                continue;
            };
            match reader.next().await {
                Ok(more) => {
                    deliveries.extend(more);
                    known = bookmark(&deliveries, &**reader);
                }
                Err(_) => reading = None,
            }
        }
    })
    .await;
    assert_eq!(positions(&deliveries), (1..=90).collect::<Vec<_>>());
}
