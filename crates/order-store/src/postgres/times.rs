//! When the events of each zone of the log were: see `order_service.log_times`.

use std::collections::BTreeMap;
use std::fmt;

use order_application::{Position, rfc3339};
use order_domain::Timestamp;

/// A position without this many low bits is its zone.
pub(super) const ZONE_BITS: u32 = 11;

/// The zone that a position is in.
pub(super) fn zone_of(position: Position) -> i64 {
    position.0.cast_signed() >> ZONE_BITS
}

/// The first position of a zone.
pub(super) fn zone_start(zone: i64) -> i64 {
    zone.saturating_mul(1 << ZONE_BITS)
}

/// The times of a zone's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ZoneTimes {
    pub(super) earliest: Timestamp,
    pub(super) latest: Timestamp,
}

/// For people.
impl fmt::Display for ZoneTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [earliest, latest] = [self.earliest, self.latest].map(rfc3339::format);
        write!(f, "from {earliest} to {latest}")
    }
}

/// The times of all zones of a log, of which some events may be unknown.
#[derive(Debug, Default)]
pub(super) struct LogTimes {
    /// Each with how many events were added.
    zones: BTreeMap<i64, (ZoneTimes, u64)>,
}

impl LogTimes {
    pub(super) fn add(&mut self, position: Position, time: Timestamp) {
        let of_one = (ZoneTimes { earliest: time, latest: time }, 0);
        let (times, events) = self.zones.entry(zone_of(position)).or_insert(of_one);
        times.earliest = times.earliest.min(time);
        times.latest = times.latest.max(time);
        *events += 1;
    }

    /// The zones of a log that ends at a position, each with its times, unless some event of it is unknown.
    pub(super) fn zones(&self, end: Position) -> impl Iterator<Item = (i64, Option<ZoneTimes>)> {
        let last = if end == Position::START { -1 } else { zone_of(end) };
        (0..=last).map(move |zone| {
            let first = (zone << ZONE_BITS).max(1);
            let events = (((zone + 1) << ZONE_BITS) - 1).min(end.0.cast_signed()) - first + 1;
            let whole = self.zones.get(&zone).filter(|(_, known)| known.cast_signed() == events);
            (zone, whole.map(|(times, _)| *times))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_known_when_all_its_events_are() {
        let time = |n: i64| Timestamp::from_micros(n);
        let mut times = LogTimes::default();
        for position in (1..=2_047).chain(2_049..=4_095).chain(4_096..=4_100) {
            times.add(Position(position), time(if position == 7 { 9_000 } else { position as i64 }));
        }
        let first = ZoneTimes { earliest: time(1), latest: time(9_000) };
        let last = ZoneTimes { earliest: time(4_096), latest: time(4_100) };
        let zones: Vec<_> = times.zones(Position(4_100)).collect();
        assert_eq!(zones, [(0, Some(first)), (1, None), (2, Some(last))]);
        assert_eq!(times.zones(Position(4_101)).last(), Some((2, None)));
        assert_eq!(LogTimes::default().zones(Position::START).count(), 0);
    }
}
