//! What was sent and is not acknowledged yet.

use std::collections::VecDeque;

use order_application::Position;
use tokio::time::Instant;

/// Messages are numbered 1, 2, … within a publication. Acknowledgements are taken in any order, because a cluster's
/// leader answers at once what it knows already, and later what its followers have to agree to.
#[derive(Debug)]
pub(super) struct Window {
    /// Up to here everything is acknowledged.
    acknowledged: Position,
    /// The last sequence of the stream that belongs to it.
    sequence: u64,
    /// The number of the first message in flight.
    first: u64,
    in_flight: VecDeque<InFlight>,
    /// How many of these are known to be duplicates.
    duplicates: u64,
    /// When messages were sent: for each sending, the number of its last message.
    sent: VecDeque<(u64, Instant)>,
}

#[derive(Debug)]
struct InFlight {
    /// What the stream's last sequence is to be before it.
    expected: u64,
    acknowledged: Option<Acknowledged>,
}

#[derive(Debug, Clone, Copy)]
struct Acknowledged {
    sequence: u64,
    duplicate: bool,
}

/// An acknowledgement that does not fit what was sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub(super) position: Position,
    pub(super) sequence: u64,
}

impl Window {
    /// Nothing is in flight, and the event after `position` comes into the stream after `sequence`.
    pub(super) fn new(position: Position, sequence: u64) -> Self {
        Self {
            acknowledged: position,
            sequence,
            first: 1,
            in_flight: VecDeque::new(),
            duplicates: 0,
            sent: VecDeque::new(),
        }
    }

    /// Up to where everything is acknowledged, and the last sequence that belongs to it.
    pub(super) fn acknowledged(&self) -> (Position, u64) {
        (self.acknowledged, self.sequence)
    }

    /// The number of the next message, its position, and the sequence it must follow.
    pub(super) fn next(&self) -> (u64, Position, u64) {
        let in_flight = self.in_flight.len() as u64;
        (self.first + in_flight, self.acknowledged.plus(in_flight + 1), self.expected())
    }

    /// What the stream's last sequence is when all that is in flight has arrived.
    fn expected(&self) -> u64 {
        self.sequence + self.in_flight.len() as u64 - self.duplicates
    }

    /// The next message was sent.
    pub(super) fn sent(&mut self, now: Instant) {
        let number = self.first + self.in_flight.len() as u64;
        self.in_flight.push_back(InFlight { expected: self.expected(), acknowledged: None });
        match self.sent.back_mut() {
            Some((last, at)) if *at == now => *last = number,
            _ => self.sent.push_back((number, now)),
        }
    }

    /// The position of a message in flight.
    pub(super) fn position(&self, number: u64) -> Option<Position> {
        let index = number.checked_sub(self.first)?;
        let is_in_flight = usize::try_from(index).is_ok_and(|index| index < self.in_flight.len());
        is_in_flight.then(|| self.acknowledged.plus(index + 1))
    }

    /// A message was acknowledged. As a duplicate it was in the stream already, and does not make it longer: later
    /// messages in flight are refused if they expect that, and the next one that is sent does not.
    pub(super) fn acknowledge(&mut self, number: u64, sequence: u64, duplicate: bool) -> Result<(), Misfit> {
        let Some(position) = self.position(number) else { return Ok(()) };
        let index = usize::try_from(number - self.first).unwrap_or(usize::MAX);
        let Some(entry) = self.in_flight.get_mut(index) else { return Ok(()) };
        if entry.acknowledged.is_some() {
            return Ok(());
        }
        if !duplicate && sequence != entry.expected + 1 {
            return Err(Misfit { position, sequence });
        }
        entry.acknowledged = Some(Acknowledged { sequence, duplicate });
        self.duplicates += u64::from(duplicate);
        while let Some(Acknowledged { sequence, duplicate }) =
            self.in_flight.front().and_then(|first| first.acknowledged)
        {
            self.in_flight.pop_front();
            self.duplicates -= u64::from(duplicate);
            self.first += 1;
            self.acknowledged = self.acknowledged.plus(1);
            self.sequence = self.sequence.max(sequence);
        }
        while self.sent.front().is_some_and(|(last, _)| *last < self.first) {
            self.sent.pop_front();
        }
        Ok(())
    }

    /// When the oldest message in flight was sent.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        self.sent.front().map(|(_, at)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(messages: u64) -> Window {
        let mut window = Window::new(Position(100), 7);
        for _ in 0..messages {
            window.sent(Instant::now());
        }
        window
    }

    #[test]
    fn only_what_all_before_is_acknowledged_counts() {
        let mut window = window(3);
        assert_eq!(window.next(), (4, Position(104), 10));
        window.acknowledge(2, 9, false).unwrap();
        assert_eq!(window.acknowledged(), (Position(100), 7));
        window.acknowledge(1, 8, false).unwrap();
        assert_eq!(window.acknowledged(), (Position(102), 9));
        assert!(window.waiting_since().is_some());
        window.acknowledge(3, 10, false).unwrap();
        assert_eq!(window.acknowledged(), (Position(103), 10));
        assert!(window.waiting_since().is_none());
        assert_eq!(window.next(), (4, Position(104), 10));
    }

    #[test]
    fn after_duplicates_the_right_sequence_is_expected() {
        let mut window = window(2);
        window.acknowledge(1, 3, true).unwrap();
        window.acknowledge(2, 4, true).unwrap();
        assert_eq!(window.acknowledged(), (Position(102), 7), "the stream has not become shorter");
        assert_eq!(window.next(), (3, Position(103), 7));
    }

    #[test]
    fn duplicates_tell_how_long_the_stream_is() {
        // Somebody else has published the same after the stream was looked at.
        let mut window = window(3);
        window.acknowledge(2, 9, true).unwrap();
        assert_eq!(window.next(), (4, Position(104), 9), "two are still to come");
        window.acknowledge(1, 8, true).unwrap();
        assert_eq!(window.next(), (4, Position(104), 10), "the third follows them");
        window.acknowledge(3, 10, false).unwrap();
        assert_eq!(window.acknowledged(), (Position(103), 10));
        assert_eq!(window.next(), (4, Position(104), 10));
    }

    #[test]
    fn an_acknowledgement_that_does_not_fit_is_told() {
        let mut window = window(2);
        assert_eq!(window.acknowledge(1, 9, false), Err(Misfit { position: Position(101), sequence: 9 }));
        assert_eq!(window.acknowledge(5, 9, false), Ok(()), "nothing of that number is in flight");
        window.acknowledge(1, 8, false).unwrap();
        assert_eq!(window.acknowledge(1, 8, false), Ok(()), "again");
        assert_eq!(window.position(2), Some(Position(102)));
        assert_eq!(window.position(1), None);
    }
}
