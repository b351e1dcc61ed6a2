//! Which times are where in the log.
//!
//! Times follow positions, but only about: clocks are set right, and several write at once. So no place in the log can be
//! looked up by a time. Instead the log is cut into zones of so many positions, and for each is written between which times
//! the events in it are that are an order's first or last. A list of orders of a time passes over the zones of other times. Databases for
//! analysis call that a zone map.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use order_application::{OrderView, TimeRange};
use order_domain::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::sqlite::views::{PutOrder, ViewsError};

/// Positions share a zone if they share all but so many lower bits.
const ZONE_BITS: u32 = 11;

/// Times that were there stay there: a zone that is thought to be wider than it is costs a look, and no order.
const WIDEN: &str = "INSERT INTO log_times (zone, earliest, latest) VALUES (?1, ?2, ?3) \
    ON CONFLICT (zone) DO UPDATE SET earliest = min(earliest, excluded.earliest), latest = max(latest, excluded.latest) \
    WHERE earliest > excluded.earliest OR latest < excluded.latest";

const COVERS: &str = "SELECT 1 FROM log_times WHERE zone = ?1 AND ?2 BETWEEN earliest AND latest";

/// Upwards and downwards.
pub(super) const NEXT: [&str; 2] = [
    "SELECT zone FROM log_times \
        WHERE zone BETWEEN ?1 AND ?2 AND latest > ?3 AND earliest < ?4 ORDER BY zone LIMIT 1",
    "SELECT zone FROM log_times \
        WHERE zone BETWEEN ?1 AND ?2 AND latest > ?3 AND earliest < ?4 ORDER BY zone DESC LIMIT 1",
];

/// The times of orders on their way into the file.
#[derive(Default)]
pub(super) struct LogTimes(BTreeMap<u64, (Timestamp, Timestamp)>);

impl LogTimes {
    /// Takes in the times of an order's first and last event.
    pub(super) fn add(&mut self, order: &PutOrder<'_>) {
        // No list of a time has one that cannot be read.
        if let OrderView::Readable(summary) = order.view {
            self.widen(order.key, summary.placed_at);
            self.widen(order.updated_position.0, summary.updated_at);
        }
    }

    fn widen(&mut self, position: u64, time: Timestamp) {
        let (earliest, latest) = self.0.entry(position >> ZONE_BITS).or_insert((time, time));
        *earliest = time.min(*earliest);
        *latest = time.max(*latest);
    }

    pub(super) fn write(&self, views: &Connection) -> rusqlite::Result<()> {
        let mut widen = views.prepare_cached(WIDEN)?;
        for (zone, (earliest, latest)) in &self.0 {
            widen.execute(params![zone, earliest.as_micros(), latest.as_micros()])?;
        }
        Ok(())
    }
}

/// Whether the zone of a position has a time.
pub(crate) fn covers(views: &Connection, position: u64, time: Timestamp) -> Result<bool, ViewsError> {
    let mut statement = views.prepare_cached(COVERS)?;
    Ok(statement.exists(params![position >> ZONE_BITS, time.as_micros()])?)
}

/// The first zone in a range of positions, or the last, that has times in a range; cut to those positions.
pub(crate) fn next(
    views: &Connection,
    positions: &RangeInclusive<u64>,
    times: TimeRange,
    descending: bool,
) -> Result<Option<RangeInclusive<u64>>, ViewsError> {
    let mut statement = views.prepare_cached(NEXT[usize::from(descending)])?;
    let after = times.after.map_or(i64::MIN, Timestamp::as_micros);
    let before = times.before.map_or(i64::MAX, Timestamp::as_micros);
    let (first, last) = (positions.start() >> ZONE_BITS, positions.end() >> ZONE_BITS);
    let zone = statement.query_row(params![first, last, after, before], |row| row.get::<_, u64>(0));
    Ok(zone.optional()?.map(|zone| {
        let (start, end) = (zone << ZONE_BITS, (zone << ZONE_BITS) | ((1 << ZONE_BITS) - 1));
        *positions.start().max(&start)..=*positions.end().min(&end)
    }))
}
