//! What the suite's tests have in common.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use order_application::{
    Broker, BrokerError, BrokerLog, BrokerReader, Checkpoint, Delivery, EventContext, Opened, Position,
    RecordedEvent, Version,
};
use order_domain::{OrderId, Timestamp};
use uuid::Uuid;

use super::Fixture;

/// For what must happen. A broker that hangs fails the test, and does not stop the run.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// What the port calls "within seconds".
pub(crate) const SOON: Duration = Duration::from_secs(15);
/// What the events are spread over.
const ORDERS: u64 = 7;

/// The event of a log that has always been there: the same for the same position.
pub(crate) fn event(position: u64) -> RecordedEvent {
    let earlier = position - 1;
    RecordedEvent {
        position: Position(position),
        order_id: OrderId::new(format!("ord.{}", earlier % ORDERS)).unwrap(),
        version: Version(earlier / ORDERS + 1),
        id: id(position),
        event_type: Cow::Borrowed(if earlier < ORDERS {
            "order.placed.v1"
        } else {
            "order.payment_authorized.v1"
        }),
        time: Timestamp::from_micros(1_767_225_600_123_456),
        data: format!(r#"{{"position":{position},"note":"ü"}}"#).into(),
        context: EventContext::new(
            &format!("request {position}"),
            position.is_multiple_of(2).then_some("payment-1"),
            position.is_multiple_of(3).then_some("clerk \"7\""),
        ),
        source: Some("/order-service".into()),
    }
}

fn id(position: u64) -> Uuid {
    Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0000 | u128::from(position))
}

/// The id of the event before the one at a position.
pub(crate) fn previous_id(position: u64) -> Option<Uuid> {
    (position > 1).then(|| id(position - 1))
}

pub(crate) fn events(from: u64, to: u64) -> Vec<RecordedEvent> {
    (from..=to).map(event).collect()
}

/// Asserts that a relay that knows nothing of what was published there publishes nothing either, and says where.
pub(crate) async fn assert_left_alone(broker: &dyn Broker, place: &str) {
    for unknown in [
        Checkpoint::default(),
        Checkpoint { position: Position(20), evidence: None },
        Checkpoint { position: Position(20), evidence: Some("{}".into()) },
    ] {
        let refused = broker.open(&unknown).await.err().expect("it is opened");
        let BrokerError::Misconfigured(why) = &refused else { panic!("{refused:?}") };
        assert!(why.contains(place) && why.contains("Nothing is published"), "{why}");
    }
}

pub(crate) fn checkpoint(position: u64, opened: &Opened) -> Checkpoint {
    Checkpoint { position: Position(position), evidence: Some(opened.publication.evidence()) }
}

/// Opens it, as often as it takes: a server that was just started may need a moment.
pub(crate) async fn open(fixture: &impl Fixture, checkpoint: &Checkpoint) -> Opened {
    let start = Instant::now();
    loop {
        match fixture.broker().open(checkpoint).await {
            Ok(opened) => return opened,
            Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
        }
    }
}

/// Publishes all of it, as what comes after the event before the first.
pub(crate) async fn send(opened: &mut Opened, events: &[RecordedEvent]) -> Result<(), BrokerError> {
    let Some(first) = events.first() else { return Ok(()) };
    opened.publication.publish(previous_id(first.position.0), events).await
}

/// Publishes all of it, and waits until all is acknowledged.
pub(crate) async fn publish(opened: &mut Opened, events: &[RecordedEvent]) -> Result<(), BrokerError> {
    let Some(last) = events.last() else { return Ok(()) };
    send(opened, events).await?;
    let acknowledged = async {
        while opened.publication.acknowledged().await? < last.position {}
        Ok(())
    };
    within(acknowledged).await
}

/// The position that it has reached when it ends with an error, and the error.
pub(crate) async fn until_it_fails(opened: &mut Opened) -> (Position, BrokerError) {
    within(async {
        let mut reached = opened.resume_after;
        loop {
            match opened.publication.acknowledged().await {
                Ok(position) => reached = position,
                Err(error) => return (reached, error),
            }
        }
    })
    .await
}

/// A reader from the beginning, or from a bookmark.
pub(crate) async fn reader(fixture: &impl Fixture, bookmark: Option<&str>) -> Box<dyn BrokerReader> {
    fixture.log().open(bookmark).await.unwrap()
}

/// The next messages, as many as are asked for.
pub(crate) async fn read(reader: &mut dyn BrokerReader, count: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    within(async {
        while deliveries.len() < count {
            deliveries.extend(reader.next().await.unwrap());
        }
    })
    .await;
    deliveries
}

/// All messages that the broker has, as positions.
pub(crate) async fn everything(fixture: &impl Fixture) -> Vec<u64> {
    everything_in(&*fixture.log()).await
}

/// The same of any log.
pub(crate) async fn everything_in(log: &dyn BrokerLog) -> Vec<u64> {
    let mut reader = log.open(None).await.unwrap();
    let mut deliveries = Vec::new();
    within(async {
        while reader.behind().await.unwrap() > 0 {
            deliveries.extend(reader.next().await.unwrap());
        }
    })
    .await;
    positions(&deliveries)
}

/// The positions of messages, each of which names the event before it.
#[track_caller]
pub(crate) fn positions(deliveries: &[Delivery]) -> Vec<u64> {
    let position = |delivery: &Delivery| {
        let message = delivery.event.as_ref().unwrap();
        let position = message.event.position.0;
        assert_eq!(message.previous_id, previous_id(position), "of the event {position}");
        position
    };
    deliveries.iter().map(position).collect()
}

/// Whether nothing up to `last` is missing, and each order's events come for the first time in their order.
#[track_caller]
pub(crate) fn assert_complete_and_in_order(positions: &[u64], last: u64) {
    let mut versions: HashMap<u64, u64> = HashMap::new();
    let mut first_occurrences = Vec::new();
    for position in positions {
        let (order, version) = ((position - 1) % ORDERS, (position - 1) / ORDERS + 1);
        let known = versions.entry(order).or_default();
        assert!(version <= *known + 1, "version {version} of order {order} comes after {known}");
        if version > *known {
            *known = version;
            first_occurrences.push(*position);
        }
    }
    first_occurrences.sort_unstable();
    assert_eq!(first_occurrences, (1..=last).collect::<Vec<_>>());
}

pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it comes to an end")
}
