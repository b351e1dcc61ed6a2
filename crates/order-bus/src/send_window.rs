//! What was sent to a broker and is not acknowledged yet.

use std::collections::VecDeque;

use order_application::{BrokerError, FoundEvent, Position};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

/// Events in flight.
///
/// Acknowledgements are taken in any order: partitions answer independently of each other, and a cluster's leader answers
/// at once what it knows already, and later what its followers have to agree to. Whoever publishes keeps it bounded.
#[derive(Debug)]
pub(crate) struct SendWindow {
    acknowledged: Position,
    /// The last of these that was acknowledged here, or before.
    last_event: Option<AcknowledgedEvent>,
    /// Up to where somebody was told so.
    reported: Position,
    in_flight: VecDeque<InFlight>,
    /// When an acknowledgement came last, or when the first event was sent after all others had been acknowledged.
    moved_at: Instant,
}

/// An event that a broker has acknowledged, with all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AcknowledgedEvent {
    position: u64,
    id: Uuid,
}

impl AcknowledgedEvent {
    pub(crate) fn new(position: Position, id: Uuid) -> Self {
        Self { position: position.0, id }
    }

    pub(crate) fn position(self) -> Position {
        Position(self.position)
    }

    pub(crate) fn id(self) -> Uuid {
        self.id
    }

    /// For a comparison with the log. `of` names the stream or topic.
    pub(crate) fn found(self, of: &str) -> FoundEvent {
        let place = format!("the checkpoint of {of}").into();
        FoundEvent { place, position: Position(self.position), id: self.id }
    }
}

#[derive(Debug)]
struct InFlight {
    id: Uuid,
    is_acknowledged: bool,
}

impl SendWindow {
    /// Nothing is in flight, and the event after this position comes next. `last_event` was acknowledged before.
    pub(crate) fn new(after: Position, last_event: Option<AcknowledgedEvent>) -> Self {
        Self {
            acknowledged: after,
            last_event,
            reported: after,
            in_flight: VecDeque::new(),
            moved_at: Instant::now(),
        }
    }

    /// The last event that was acknowledged with all before it, as far as it is known.
    pub(crate) fn last_event(&self) -> Option<AcknowledgedEvent> {
        self.last_event
    }

    /// Everything up to here is acknowledged.
    pub(crate) fn acknowledged(&self) -> Position {
        self.acknowledged
    }

    /// The same, if it is more than this has answered with before.
    pub(crate) fn newly_acknowledged(&mut self) -> Option<Position> {
        let before = std::mem::replace(&mut self.reported, self.acknowledged);
        (self.reported > before).then_some(self.reported)
    }

    /// Since when no acknowledgement has come although some should. `None` while nothing is in flight.
    pub(crate) fn waiting_since(&self) -> Option<Instant> {
        (!self.in_flight.is_empty()).then_some(self.moved_at)
    }

    /// Refuses an event that does not continue what was sent.
    pub(crate) fn check_next(&self, position: Position) -> Result<(), BrokerError> {
        let next = self.acknowledged.plus(self.in_flight.len() as u64 + 1);
        if position == next {
            return Ok(());
        }
        Err(BrokerError::OutOfStep(format!("the event {position} cannot be published where {next} follows")))
    }

    /// Takes in the next event, by its id.
    pub(crate) fn push(&mut self, id: Uuid) {
        if self.in_flight.is_empty() {
            self.moved_at = Instant::now();
        }
        self.in_flight.push_back(InFlight { id, is_acknowledged: false });
    }

    /// The id of the event at a position, if its acknowledgement is still to come.
    pub(crate) fn awaited(&self, position: Position) -> Option<Uuid> {
        let in_flight = self.in_flight.get(self.index(position)?)?;
        (!in_flight.is_acknowledged).then_some(in_flight.id)
    }

    /// Takes an acknowledgement. Events up to the first that is not acknowledged leave the window.
    pub(crate) fn acknowledge(&mut self, position: Position) {
        let in_flight = self.index(position).and_then(|index| self.in_flight.get_mut(index));
        let Some(in_flight) = in_flight else { return };
        in_flight.is_acknowledged = true;
        self.moved_at = Instant::now();
        while self.in_flight.front().is_some_and(|first| first.is_acknowledged)
            && let Some(first) = self.in_flight.pop_front()
        {
            self.acknowledged = self.acknowledged.plus(1);
            self.last_event = Some(AcknowledgedEvent { position: self.acknowledged.0, id: first.id });
        }
    }

    fn index(&self, position: Position) -> Option<usize> {
        usize::try_from(position.0.checked_sub(self.acknowledged.0 + 1)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(position: u64) -> Uuid {
        Uuid::from_u128(position.into())
    }

    /// Events 11 and later.
    fn window(events: u64) -> SendWindow {
        let mut window = SendWindow::new(Position(10), None);
        (11..11 + events).for_each(|event| window.push(id(event)));
        window
    }

    /// What is acknowledged with this acknowledgement that was not before.
    fn acknowledge(window: &mut SendWindow, position: u64) -> Option<u64> {
        window.acknowledge(Position(position));
        window.newly_acknowledged().map(|position| position.0)
    }

    #[test]
    fn only_what_has_no_gap_before_it_is_acknowledged() {
        let mut window = window(4);
        assert_eq!(acknowledge(&mut window, 12), None);
        assert_eq!(acknowledge(&mut window, 13), None);
        assert_eq!(acknowledge(&mut window, 11), Some(13));
        assert!(window.waiting_since().is_some());
        assert_eq!(acknowledge(&mut window, 14), Some(14));
        assert!(window.waiting_since().is_none());
        assert_eq!(window.last_event(), Some(AcknowledgedEvent { position: 14, id: id(14) }));
        assert_eq!(acknowledge(&mut window, 15), None, "was never sent");
        assert_eq!(acknowledge(&mut window, 3), None, "was acknowledged before");
        assert_eq!(window.acknowledged(), Position(14));
    }

    #[test]
    fn an_acknowledgement_is_awaited_once() {
        let mut window = window(2);
        assert_eq!(window.awaited(Position(12)), Some(id(12)));
        acknowledge(&mut window, 12);
        assert_eq!(window.awaited(Position(12)), None);
        assert_eq!(window.awaited(Position(13)), None, "was never sent");
    }

    #[test]
    fn events_are_sent_without_a_gap() {
        let window = window(2);
        assert_eq!(window.check_next(Position(13)), Ok(()));
        for position in [12, 14] {
            let refused = window.check_next(Position(position));
            assert!(matches!(refused, Err(BrokerError::OutOfStep(_))), "{refused:?}");
        }
    }
}
