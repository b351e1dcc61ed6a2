//! What is derived of the log as a whole and belongs to no order that there is: when the events of its zones were, and terms of
//! no order. A rebuild finds out the times of all zones and deletes such terms; a repair finds out those of its orders' zones.

use std::sync::Arc;

use order_application::{Position, StoreError};
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::repair::BATCH_DEADLINE;
use super::write::{BEGIN, LOCK_END, in_transaction};
use crate::postgres::database::{Database, Parameter};
use crate::postgres::servers::Object;
use crate::postgres::times::{ZONE_BITS, zone_of};

/// Zones of one step, for which appends are kept away. It takes a few milliseconds.
const ZONES_PER_STEP: i64 = 4;
/// Beyond all zones of a log.
const MAX_ZONE: i64 = i64::MAX >> ZONE_BITS;
/// Positions of one step, whose terms are looked at beside appends.
const POSITIONS_PER_STEP: i64 = 1 << 16;

/// The times of the zones from one on and before another.
const TIMES: &str = "\
    WITH found AS (\
        SELECT order_service.log_zone_v1(e.position) AS zone, min(e.time) AS earliest, max(e.time) AS latest \
            FROM order_service.events e \
            WHERE e.position >= order_service.zone_start_v1($1) AND e.position < order_service.zone_start_v1($2) \
            GROUP BY order_service.log_zone_v1(e.position)\
    ), gone AS (\
        DELETE FROM order_service.log_times l \
            WHERE l.zone >= $1 AND l.zone < $2 AND NOT EXISTS (SELECT FROM found f WHERE f.zone = l.zone)\
    ) \
    INSERT INTO order_service.log_times AS l (zone, earliest, latest) SELECT f.zone, f.earliest, f.latest FROM found f \
    ON CONFLICT (zone) DO UPDATE SET earliest = excluded.earliest, latest = excluded.latest \
        WHERE (l.earliest, l.latest) IS DISTINCT FROM (excluded.earliest, excluded.latest)";

/// Terms of no order, of a part of the log. Where no order begins up to the log's end, none ever will.
const GHOSTS: &str = "DELETE FROM order_service.order_terms t WHERE t.key >= $1 AND t.key < $2 \
    AND NOT EXISTS (SELECT FROM order_service.events e WHERE e.position = t.key AND e.version = 1)";

/// The same, outside the log: where its end was, they may be an order's by now.
const GHOSTS_OUTSIDE: &str = "DELETE FROM order_service.order_terms t WHERE (t.key < 1 OR t.key > $1) \
    AND NOT EXISTS (SELECT FROM order_service.events e WHERE e.position = t.key AND e.version = 1)";

/// Zones of which some event of these orders is at a time that they do not have.
const WRONG_ZONES: &str = "\
    SELECT DISTINCT order_service.log_zone_v1(e.position) FROM order_service.events e WHERE e.order_key = ANY($1) \
      AND NOT EXISTS (SELECT FROM order_service.log_times l \
        WHERE l.zone = order_service.log_zone_v1(e.position) AND e.time BETWEEN l.earliest AND l.latest)";

/// What a snapshot has of such zones.
pub(super) async fn wrong_zones(snapshot: &Object, keys: &[i64]) -> Result<Vec<i64>, Error> {
    let rows = snapshot.query_typed(WRONG_ZONES, &[(&keys, Type::INT8_ARRAY)]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Repairs when the events of a zone were.
pub(super) async fn repair_zone(connection: &Object, zone: i64) -> Result<(), Error> {
    let parameters: [Parameter<'_>; 2] = [(&zone, Type::INT8), (&(zone + 1), Type::INT8)];
    in_transaction(connection, &format!("{BEGIN}; {LOCK_END}"), TIMES, &parameters).await.map(drop)
}

/// One step of making it right.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Times { from: i64, before: i64 },
    Ghosts { from: i64, before: i64 },
    GhostsOutside { end: i64 },
}

/// All steps, for a log that ends at a position.
pub(super) fn steps(end: i64) -> impl Iterator<Item = Step> {
    let zones = zone_of(Position(end.cast_unsigned())) + 1;
    let within = (0..zones).step_by(ZONES_PER_STEP as usize);
    let within = within.map(move |from| (from, zones.min(from + ZONES_PER_STEP)));
    let times = [(-MAX_ZONE, 0), (zones, MAX_ZONE)].into_iter().chain(within);
    let within = (1..=end).step_by(POSITIONS_PER_STEP as usize);
    let ghosts =
        within.map(move |from| Step::Ghosts { from, before: (end + 1).min(from + POSITIONS_PER_STEP) });
    times
        .map(|(from, before)| Step::Times { from, before })
        .chain(ghosts)
        .chain([Step::GhostsOutside { end }])
}

/// What there is beyond the end of a log that ends at a position, and the times of its last zone, which had more events.
pub(super) fn beyond_end(end: i64) -> [Step; 2] {
    let from = zone_of(Position(end.cast_unsigned()));
    [Step::Times { from, before: MAX_ZONE }, Step::GhostsOutside { end }]
}

impl Step {
    pub(super) async fn run(self, database: &Database) -> Result<(), StoreError> {
        let (sql, numbers, keeps_appends_away) = match self {
            Self::Times { from, before } => (TIMES, vec![from, before], true),
            Self::Ghosts { from, before } => (GHOSTS, vec![from, before], false),
            Self::GhostsOutside { end } => (GHOSTS_OUTSIDE, vec![end], true),
        };
        let begin = if keeps_appends_away { format!("{BEGIN}; {LOCK_END}") } else { BEGIN.to_owned() };
        let parameters: Vec<Parameter<'_>> = numbers.iter().map(|number| (number as _, Type::INT8)).collect();
        let (begin, parameters) = (&begin, &parameters);
        let run = |connection: Arc<Object>| async move {
            in_transaction(&connection, begin, sql, parameters).await.map(drop)
        };
        match database.retry(BATCH_DEADLINE, run).await {
            Err(StoreError::Corrupt(why)) => {
                tracing::error!(step = ?self, why, "a part of the log cannot be read; what lists are found by is left as it is");
                Ok(())
            }
            done => done,
        }
    }
}
