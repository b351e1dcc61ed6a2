//! What was sent to the stream, and which sequences it must have there.

use async_nats::jetstream::publish::PublishAck;
use order_application::{BrokerError, Position};
use tokio::time::Instant;

use crate::send_window::SendWindow;

#[derive(Debug)]
pub(super) struct NatsWindow {
    messages: SendWindow<SentMessage>,
    /// The last sequence of the stream that belongs to what is acknowledged.
    sequence: u64,
    /// How many messages in flight are known to be duplicates.
    duplicates: u64,
}

#[derive(Debug)]
struct SentMessage {
    /// The sequence that it is to have in the stream; once it is answered, the one that it has.
    sequence: u64,
    is_duplicate: bool,
}

impl NatsWindow {
    /// Nothing is in flight, and the event after `position` comes into the stream after `sequence`.
    pub(super) fn new(position: Position, sequence: u64) -> Self {
        Self { messages: SendWindow::new(position), sequence, duplicates: 0 }
    }

    /// Up to where everything is acknowledged.
    pub(super) fn acknowledged(&self) -> Position {
        self.messages.acknowledged()
    }

    /// The last sequence of the stream that belongs to it.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Since when no answer has come although some should.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        self.messages.waiting_since()
    }

    /// The sequence that an event must follow, which comes next.
    pub(super) fn sequence_before(&self, event: Position) -> Result<u64, BrokerError> {
        self.messages.check_next(event)?;
        Ok(self.last_sequence())
    }

    /// The stream's last sequence when all that is in flight has arrived.
    fn last_sequence(&self) -> u64 {
        self.sequence + self.messages.len() as u64 - self.duplicates
    }

    /// The next event was sent.
    pub(super) fn sent(&mut self) {
        self.messages.push(SentMessage { sequence: self.last_sequence() + 1, is_duplicate: false });
    }

    /// An event was acknowledged. As a duplicate it was in the stream already, and does not make it longer: later
    /// messages in flight are refused if they expect that, and the next one that is sent does not.
    ///
    /// # Errors
    /// [`BrokerError::OutOfStep`] if it has come to another place of the stream than it was to have.
    pub(super) fn acknowledge(&mut self, position: Position, ack: &PublishAck) -> Result<(), BrokerError> {
        let PublishAck { sequence, duplicate: is_duplicate, .. } = *ack;
        let Some(message) = self.messages.awaited(position) else { return Ok(()) };
        if !is_duplicate && sequence != message.sequence {
            return Err(BrokerError::OutOfStep(format!(
                "the event {position} came into the stream as its message {sequence}"
            )));
        }
        *message = SentMessage { sequence, is_duplicate };
        self.duplicates += u64::from(is_duplicate);
        self.messages.acknowledge(position, |message| {
            self.duplicates -= u64::from(message.is_duplicate);
            self.sequence = self.sequence.max(message.sequence);
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events 101 and later, after the stream's message 7.
    fn window(events: u64) -> NatsWindow {
        let mut window = NatsWindow::new(Position(100), 7);
        (0..events).for_each(|_| window.sent());
        window
    }

    fn ack(sequence: u64, duplicate: bool) -> PublishAck {
        PublishAck { sequence, duplicate, ..PublishAck::default() }
    }

    fn acknowledge(window: &mut NatsWindow, position: u64, sequence: u64, duplicate: bool) {
        window.acknowledge(Position(position), &ack(sequence, duplicate)).unwrap();
    }

    #[test]
    fn the_sequence_is_that_of_what_all_before_is_acknowledged_of() {
        let mut window = window(3);
        assert_eq!(window.sequence_before(Position(104)), Ok(10));
        acknowledge(&mut window, 102, 9, false);
        assert_eq!((window.acknowledged(), window.sequence()), (Position(100), 7));
        acknowledge(&mut window, 101, 8, false);
        assert_eq!((window.acknowledged(), window.sequence()), (Position(102), 9));
        acknowledge(&mut window, 103, 10, false);
        assert_eq!((window.acknowledged(), window.sequence()), (Position(103), 10));
        assert_eq!(window.sequence_before(Position(104)), Ok(10));
    }

    #[test]
    fn after_duplicates_the_right_sequence_is_expected() {
        let mut window = window(2);
        acknowledge(&mut window, 101, 3, true);
        acknowledge(&mut window, 102, 4, true);
        assert_eq!(window.acknowledged(), Position(102));
        assert_eq!(window.sequence(), 7, "the stream has not become shorter");
        assert_eq!(window.sequence_before(Position(103)), Ok(7));
    }

    #[test]
    fn duplicates_tell_how_long_the_stream_is() {
        // Somebody else has published the same after the stream was looked at.
        let mut window = window(3);
        acknowledge(&mut window, 102, 9, true);
        assert_eq!(window.sequence_before(Position(104)), Ok(9), "two are still to come");
        acknowledge(&mut window, 101, 8, true);
        assert_eq!(window.sequence_before(Position(104)), Ok(10), "the third follows them");
        acknowledge(&mut window, 103, 10, false);
        assert_eq!((window.acknowledged(), window.sequence()), (Position(103), 10));
        assert_eq!(window.sequence_before(Position(104)), Ok(10));
    }

    #[test]
    fn an_acknowledgement_that_does_not_fit_is_told() {
        let mut window = window(2);
        let elsewhere = window.acknowledge(Position(101), &ack(9, false));
        assert!(matches!(elsewhere, Err(BrokerError::OutOfStep(_))), "{elsewhere:?}");
        acknowledge(&mut window, 101, 8, false);
        acknowledge(&mut window, 101, 8, false);
        assert_eq!(window.acknowledged(), Position(101), "the same answer came again");
    }
}
