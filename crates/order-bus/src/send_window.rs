//! What was sent to a broker and is not acknowledged yet.

use std::collections::VecDeque;

use order_application::{BrokerError, Position};
use tokio::time::Instant;

/// Events in flight, each with what its broker's adapter has to remember of it.
///
/// Acknowledgements are taken in any order: partitions answer independently of each other, and a cluster's leader answers
/// at once what it knows already, and later what its followers have to agree to. Whoever publishes keeps it bounded.
#[derive(Debug)]
pub(crate) struct SendWindow<T> {
    acknowledged: Position,
    in_flight: VecDeque<InFlight<T>>,
    /// When an acknowledgement came last, or when the first event was sent after all others had been acknowledged.
    moved_at: Instant,
}

#[derive(Debug)]
struct InFlight<T> {
    event: T,
    is_acknowledged: bool,
}

impl<T> SendWindow<T> {
    /// Nothing is in flight, and the event after this position comes next.
    pub(crate) fn new(after: Position) -> Self {
        Self { acknowledged: after, in_flight: VecDeque::new(), moved_at: Instant::now() }
    }

    /// Everything up to here is acknowledged.
    pub(crate) fn acknowledged(&self) -> Position {
        self.acknowledged
    }

    pub(crate) fn len(&self) -> usize {
        self.in_flight.len()
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

    /// Takes in the next event.
    pub(crate) fn push(&mut self, event: T) {
        if self.in_flight.is_empty() {
            self.moved_at = Instant::now();
        }
        self.in_flight.push_back(InFlight { event, is_acknowledged: false });
    }

    /// The event at a position, if its acknowledgement is still to come.
    pub(crate) fn awaited(&mut self, position: Position) -> Option<&mut T> {
        let awaited = self.in_flight_at(position).filter(|in_flight| !in_flight.is_acknowledged);
        awaited.map(|in_flight| &mut in_flight.event)
    }

    /// Takes an acknowledgement. Events up to the first that is not acknowledged leave the window, through `leave`.
    pub(crate) fn acknowledge(&mut self, position: Position, mut leave: impl FnMut(T)) {
        let Some(in_flight) = self.in_flight_at(position) else { return };
        in_flight.is_acknowledged = true;
        self.moved_at = Instant::now();
        while self.in_flight.front().is_some_and(|first| first.is_acknowledged) {
            self.acknowledged = self.acknowledged.plus(1);
            self.in_flight.pop_front().into_iter().for_each(|first| leave(first.event));
        }
    }

    fn in_flight_at(&mut self, position: Position) -> Option<&mut InFlight<T>> {
        let index = position.0.checked_sub(self.acknowledged.0 + 1)?;
        self.in_flight.get_mut(usize::try_from(index).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events 11 and later, each known by its position.
    fn window(events: u64) -> SendWindow<u64> {
        let mut window = SendWindow::new(Position(10));
        (11..11 + events).for_each(|event| window.push(event));
        window
    }

    /// What leaves with this acknowledgement.
    fn acknowledge(window: &mut SendWindow<u64>, position: u64) -> Vec<u64> {
        let mut left = Vec::new();
        window.acknowledge(Position(position), |event| left.push(event));
        left
    }

    #[test]
    fn only_what_has_no_gap_before_it_is_acknowledged() {
        let mut window = window(4);
        assert_eq!(acknowledge(&mut window, 12), [0; 0]);
        assert_eq!(acknowledge(&mut window, 13), [0; 0]);
        assert_eq!((window.acknowledged(), window.len()), (Position(10), 4));
        assert_eq!(acknowledge(&mut window, 11), [11, 12, 13]);
        assert_eq!((window.acknowledged(), window.len()), (Position(13), 1));
        assert!(window.waiting_since().is_some());
        assert_eq!(acknowledge(&mut window, 14), [14]);
        assert!(window.waiting_since().is_none());
        assert_eq!(acknowledge(&mut window, 15), [0; 0], "was never sent");
        assert_eq!(acknowledge(&mut window, 3), [0; 0], "was acknowledged before");
    }

    #[test]
    fn an_acknowledgement_is_awaited_once() {
        let mut window = window(2);
        assert_eq!(window.awaited(Position(12)), Some(&mut 12));
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
