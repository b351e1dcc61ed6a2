//! Puts the deliveries of several partitions into the order of the log.
//!
//! What continues the log is ready to be applied; what comes early is held, within bounds. Nothing here waits or reads:
//! this is the part whose every step can be tested.

mod partition;

use std::collections::BTreeMap;

use uuid::Uuid;

use self::partition::Partition;
use super::ReplicaLimits;
use crate::cloud_event::PublishedEvent;
use crate::event::Position;
use crate::ports::broker::Delivery;

/// Bytes of an event besides its data, about.
const EVENT_BYTES: usize = 384;

/// Deliveries on their way into the log's order.
pub(super) struct Merge {
    limits: ReplicaLimits,
    /// The first position that is neither in the store nor ready nor on its way there.
    next: Position,
    ready: Vec<PublishedEvent>,
    ready_bytes: usize,
    /// What came before its time, by position. Does not have `next`, unless `ready` is full.
    early: BTreeMap<Position, Arrival>,
    early_bytes: usize,
    partitions: Vec<Partition>,
    /// Repetitions that only the store can tell from another log's events, by position.
    unchecked: BTreeMap<Position, Uuid>,
    /// What is being looked for.
    pub(super) missing: Option<Position>,
    /// From the first to the last early arrival that was dropped and is still needed.
    dropped: Option<(Position, Position)>,
    /// How many messages have been delivered.
    pub(super) delivered: u64,
    /// The highest position that was ever heard of.
    pub(super) highest: Position,
    /// Changes whenever there is hope for what is waited for.
    pub(super) heard: u64,
}

/// An event that came before its time, and from where.
struct Arrival {
    message: PublishedEvent,
    partition: usize,
    offset: u64,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Added {
    /// It is an event that was not known, or one that was.
    Taken,
    /// It is not an event.
    Unreadable(String),
    /// Another event has its position.
    OtherLog(Position),
}

/// Events that continue the store's log, and the offsets from which to read on: those of the last messages that need not be
/// read again, so that what is there can be compared.
pub(super) struct Batch {
    pub(super) events: Vec<PublishedEvent>,
    pub(super) resume_from: Vec<Option<u64>>,
}

impl Merge {
    /// Merges what comes after `after`.
    pub(super) fn new(after: Position, partitions: usize, limits: ReplicaLimits) -> Self {
        Self {
            limits,
            next: after.plus(1),
            ready: Vec::new(),
            ready_bytes: 0,
            early: BTreeMap::new(),
            early_bytes: 0,
            partitions: (0..partitions).map(|_| Partition::default()).collect(),
            unchecked: BTreeMap::new(),
            missing: None,
            dropped: None,
            delivered: 0,
            highest: after,
            heard: 0,
        }
    }

    /// Takes a delivery, whose partition must be one of those that there are.
    pub(super) fn add(&mut self, delivery: Delivery) -> Added {
        let Delivery { partition, offset, event } = delivery;
        self.delivered += 1;
        let place = &mut self.partitions[partition];
        if !place.has_passed(self.next) {
            self.heard += 1;
        }
        place.next_offset = Some(offset + 1);
        let message = match event {
            Ok(message) => message,
            Err(fault) => return Added::Unreadable(fault),
        };
        let position = message.event.position;
        place.furthest = place.furthest.max(Some(position));
        self.highest = self.highest.max(position);
        if position < self.next {
            return self.check_repetition(position, message.event.id);
        }
        if position == self.next && !self.is_full() {
            self.push_ready(message);
            self.fill_ready();
            return Added::Taken;
        }
        self.hold(Arrival { message, partition, offset })
    }

    /// Whether there is something to apply.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether what is ready is as much as is applied at once.
    pub(super) fn is_full(&self) -> bool {
        self.ready.len() >= self.limits.batch_events || self.ready_bytes >= self.limits.batch_bytes
    }

    /// Takes what is ready.
    pub(super) fn take_batch(&mut self) -> Batch {
        let events = std::mem::take(&mut self.ready);
        self.ready_bytes = 0;
        let needed = self.partitions.iter().map(Partition::first_needed);
        let resume_from = needed.map(|offset| Some(offset?.saturating_sub(1))).collect();
        self.fill_ready();
        Batch { events, resume_from }
    }

    /// The position that everything else waits for, while later ones are here or have been.
    pub(super) fn gap(&self) -> Option<Position> {
        let waits = match self.first_early() {
            Some(first) => first > self.next,
            None => self.may_have_dropped_it(),
        };
        waits.then_some(self.next)
    }

    /// The first of the later positions.
    pub(super) fn first_early(&self) -> Option<Position> {
        self.early.first_key_value().map(|(position, _)| *position)
    }

    /// Whether every partition has delivered something later than the position that is waited for.
    pub(super) fn all_have_passed(&self) -> bool {
        self.partitions.iter().all(|partition| partition.has_passed(self.next))
    }

    /// Whether the position that is waited for may be among those that were dropped.
    pub(super) fn may_have_dropped_it(&self) -> bool {
        self.dropped.is_some_and(|(first, last)| first <= self.next && self.next <= last)
    }

    /// From now on the position that is waited for is looked for. Nothing holds a partition back any more: of what
    /// comes, the part that is needed first is held.
    pub(super) fn look_for_missing(&mut self) {
        self.missing = Some(self.next);
    }

    /// The partitions that are to be paused or to go on from now on. Those that are ahead are paused once no more can be
    /// held, until half of it is gone.
    pub(super) fn steer(&mut self) -> Vec<(usize, bool)> {
        let is_full = self.has_early(1);
        let has_room = self.missing.is_some() || !self.has_early(2);
        let mut switched = Vec::new();
        for (number, partition) in self.partitions.iter_mut().enumerate() {
            let may_be_paused = !has_room && partition.has_passed(self.next);
            let is_paused = may_be_paused && (is_full || partition.is_paused);
            if std::mem::replace(&mut partition.is_paused, is_paused) != is_paused {
                switched.push((number, is_paused));
            }
        }
        switched
    }

    /// Repetitions of events up to this position, with which the store has to be compared.
    pub(super) fn take_unchecked(&mut self, stored: Position) -> BTreeMap<Position, Uuid> {
        let later = self.unchecked.split_off(&stored.plus(1));
        std::mem::replace(&mut self.unchecked, later)
    }

    /// Events that are here and not applied.
    pub(super) fn in_hand(&self) -> usize {
        self.ready.len() + self.early.len()
    }

    fn check_repetition(&mut self, position: Position, id: Uuid) -> Added {
        let first_ready = self.next.0 - self.ready.len() as u64;
        let known = match position.0.checked_sub(first_ready) {
            Some(index) => self.ready[index as usize].event.id,
            None => *self.unchecked.entry(position).or_insert(id),
        };
        if known == id { Added::Taken } else { Added::OtherLog(position) }
    }

    fn push_ready(&mut self, message: PublishedEvent) {
        if self.missing.take().is_some() {
            self.begin_anew();
        }
        self.ready_bytes += bytes(&message);
        self.ready.push(message);
        self.next = self.next.plus(1);
        self.heard += 1;
    }

    /// Moves early arrivals whose time has come.
    fn fill_ready(&mut self) {
        while !self.is_full()
            && let Some(arrival) = self.early.remove(&self.next)
        {
            self.early_bytes -= bytes(&arrival.message);
            self.partitions[arrival.partition].held.remove(&arrival.offset);
            self.push_ready(arrival.message);
        }
        if self.dropped.is_some_and(|(_, last)| last < self.next) {
            self.dropped = None;
            self.partitions.iter_mut().for_each(|partition| partition.dropped_from = None);
        }
    }

    fn hold(&mut self, arrival: Arrival) -> Added {
        let position = arrival.message.event.position;
        if let Some(twin) = self.early.get(&position) {
            let same = twin.message.event.id == arrival.message.event.id;
            return if same { Added::Taken } else { Added::OtherLog(position) };
        }
        self.partitions[arrival.partition].held.insert(arrival.offset);
        self.early_bytes += bytes(&arrival.message);
        self.early.insert(position, arrival);
        while self.missing.is_some() && self.has_early(1) && self.early.len() > 1 {
            self.drop_last();
        }
        Added::Taken
    }

    /// Whether there is more than a part of what may come early.
    fn has_early(&self, divisor: usize) -> bool {
        self.early.len() > self.limits.early_events / divisor
            || self.early_bytes > self.limits.early_bytes / divisor
    }

    /// Of what is too much, the latest is needed last.
    fn drop_last(&mut self) {
        let Some((position, last)) = self.early.pop_last() else { return };
        self.early_bytes -= bytes(&last.message);
        self.partitions[last.partition].drop_held(last.offset);
        let (first, end) = self.dropped.unwrap_or((position, position));
        self.dropped = Some((first.min(position), end.max(position)));
    }

    /// What was missing is published again, and what follows most likely as well: no partition has passed that yet.
    fn begin_anew(&mut self) {
        self.partitions.iter_mut().for_each(|partition| partition.furthest = None);
    }
}

/// What an event takes in memory, about.
fn bytes(message: &PublishedEvent) -> usize {
    message.event.data.len() + EVENT_BYTES
}
