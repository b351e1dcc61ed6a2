use std::collections::BTreeMap;

use super::bytes;
use crate::cloud_event::PublishedEvent;
use crate::event::Position;
use crate::replica::ReplicaLimits;

/// An event that came before its time, and from where.
pub(super) struct Arrival {
    pub(super) message: PublishedEvent,
    pub(super) partition: usize,
    pub(super) offset: u64,
}

impl Arrival {
    pub(super) fn position(&self) -> Position {
        self.message.event.position
    }
}

/// Events that came before their time, by position.
#[derive(Default)]
pub(super) struct Early {
    arrivals: BTreeMap<Position, Arrival>,
    bytes: usize,
}

impl Early {
    pub(super) fn len(&self) -> usize {
        self.arrivals.len()
    }

    pub(super) fn get(&self, position: Position) -> Option<&Arrival> {
        self.arrivals.get(&position)
    }

    /// The position of the first.
    pub(super) fn first(&self) -> Option<Position> {
        self.arrivals.first_key_value().map(|(position, _)| *position)
    }

    pub(super) fn insert(&mut self, arrival: Arrival) {
        self.bytes += bytes(&arrival.message);
        self.arrivals.insert(arrival.position(), arrival);
    }

    /// Takes the first, if it is at this position.
    pub(super) fn take_first(&mut self, position: Position) -> Option<Arrival> {
        let first = self.arrivals.first_entry().filter(|first| *first.key() == position)?;
        let arrival = first.remove();
        self.bytes -= bytes(&arrival.message);
        Some(arrival)
    }

    pub(super) fn take_last(&mut self) -> Option<Arrival> {
        let (_, arrival) = self.arrivals.pop_last()?;
        self.bytes -= bytes(&arrival.message);
        Some(arrival)
    }

    /// Whether there is more than a part of what is allowed.
    pub(super) fn exceeds(&self, limits: &ReplicaLimits, divisor: usize) -> bool {
        self.arrivals.len() > limits.early_events / divisor || self.bytes > limits.early_bytes / divisor
    }
}
