//! What was sent to the stream, and which sequences it must have there.

use order_application::{BrokerError, Position};

use super::resumption::Placed;
use crate::send_window::SendWindow;

#[derive(Debug)]
pub(super) struct NatsWindow {
    pub(super) events: SendWindow,
    /// The position after which it began.
    after: Position,
    /// The stream's last sequence then.
    sequence_then: u64,
    /// The sequence of the last event then.
    event_sequence_then: Option<u64>,
}

impl NatsWindow {
    /// Nothing is in flight, and the event after `after` comes into the stream after `sequence`. `last` is the last event
    /// that is there.
    pub(super) fn new(after: Position, sequence: u64, last: Option<Placed>) -> Self {
        Self {
            events: SendWindow::new(after, last.map(|last| last.event)),
            after,
            sequence_then: sequence,
            event_sequence_then: last.and_then(|last| last.sequence),
        }
    }

    /// Whether an event was sent through this window.
    pub(super) fn has_sent(&self, event: Position) -> bool {
        event > self.after
    }

    /// The sequence that an event has, or is to have, in the stream, to which nobody else publishes.
    pub(super) fn sequence_of(&self, event: Position) -> u64 {
        self.sequence_then + (event.0 - self.after.0)
    }

    /// The last sequence of the stream that is acknowledged, with all before it.
    pub(super) fn acknowledged_sequence(&self) -> u64 {
        self.sequence_of(self.events.acknowledged())
    }

    /// The sequence of the last event that is acknowledged, with all before it, if it is known.
    pub(super) fn last_event_sequence(&self) -> Option<u64> {
        let last = self.events.acknowledged();
        if self.has_sent(last) { Some(self.sequence_of(last)) } else { self.event_sequence_then }
    }

    /// An event was acknowledged.
    ///
    /// # Errors
    /// [`BrokerError::OutOfStep`] if it has come to another place of the stream than it was to have.
    pub(super) fn acknowledge(&mut self, event: Position, sequence: u64) -> Result<(), BrokerError> {
        if self.events.awaited(event).is_some() && sequence != self.sequence_of(event) {
            return Err(BrokerError::OutOfStep(format!(
                "the event {event} came into the stream as its message {sequence}"
            )));
        }
        self.events.acknowledge(event);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn an_acknowledgement_that_does_not_fit_is_told() {
        // The events 101 and later, after the stream's message 7.
        let mut window = NatsWindow::new(Position(100), 7, None);
        (0..3).for_each(|_| window.events.push(Uuid::nil()));
        let elsewhere = window.acknowledge(Position(101), 9);
        assert!(matches!(elsewhere, Err(BrokerError::OutOfStep(_))), "{elsewhere:?}");
        window.acknowledge(Position(102), 9).unwrap();
        assert_eq!(window.acknowledged_sequence(), 7);
        window.acknowledge(Position(101), 8).unwrap();
        assert_eq!(window.acknowledged_sequence(), 9);
        window.acknowledge(Position(101), 8).unwrap();
        assert_eq!(window.acknowledged_sequence(), 9, "the same answer came again");
    }
}
