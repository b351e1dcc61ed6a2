//! The real clock and the real source of ids.

use order_domain::Timestamp;
use uuid::Uuid;

use crate::ports::clock::Clock;
use crate::ports::ids::IdSource;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter that reads the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
    }
}

/// UUIDv7 from the machine's clock and randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct UuidV7Ids;

impl IdSource for UuidV7Ids {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter that makes ids")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}
