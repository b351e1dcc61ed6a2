//! The real clock and the real source of ids.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use order_domain::Timestamp;
use uuid::{NoContext, Uuid};

use crate::ports::clock::Clock;
use crate::ports::ids::IdSource;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter that reads the clock")]
    fn now(&self) -> Timestamp {
        to_timestamp(SystemTime::now())
    }
}

/// UUIDv7 from the machine's clock and randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct UuidV7Ids;

impl IdSource for UuidV7Ids {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter that makes ids")]
    fn next(&self) -> Uuid {
        // There is no such id from before 1970.
        if SystemTime::now() < UNIX_EPOCH {
            return Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, 0, 0));
        }
        Uuid::now_v7()
    }
}

/// However wrong a clock is, it has a time.
fn to_timestamp(time: SystemTime) -> Timestamp {
    let micros = |distance: Duration| i64::try_from(distance.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(match time.duration_since(UNIX_EPOCH) {
        Ok(after) => micros(after),
        Err(before) => -micros(before.duration()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_of_the_clock_is_one() {
        let year = Duration::from_secs(366 * 86_400);
        for (time, expected) in [
            (UNIX_EPOCH, 0),
            (UNIX_EPOCH + Duration::from_micros(5), 5),
            (UNIX_EPOCH - Duration::from_micros(5), -5),
            (UNIX_EPOCH + 20_000 * year, 632_448_000_000_000_000),
        ] {
            assert_eq!(to_timestamp(time), Timestamp::from_micros(expected));
        }
    }
}
