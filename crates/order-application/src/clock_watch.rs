use std::time::Duration;

use order_domain::Timestamp;
use tokio::time::Instant;

use crate::ports::clock::Clock;

/// How far the time of day and the time that has passed may part.
const LARGEST_JUMP: Duration = Duration::from_secs(5 * 60);

/// Whether the time of day goes on as time passes. A clock that is set two days ahead by mistake would release everything at
/// once, so whoever acts by it waits for a while after each jump: whoever set it wrong may set it right meanwhile.
pub(crate) struct ClockWatch {
    wall: Timestamp,
    passed: Instant,
    pause: Duration,
    paused_until: Option<Instant>,
}

impl ClockWatch {
    pub(crate) fn new(clock: &dyn Clock, pause: Duration) -> Self {
        Self { wall: clock.now(), passed: Instant::now(), pause, paused_until: None }
    }

    /// Looks at the clock, and says whether what it shows may be acted on: it has not jumped, and nobody knows better.
    pub(crate) fn is_trusted(&mut self, clock: &dyn Clock) -> bool {
        let (wall, passed) = (clock.now(), Instant::now());
        let by_the_wall = i128::from(wall.as_micros()) - i128::from(self.wall.as_micros());
        let really = passed.duration_since(self.passed).as_micros().cast_signed();
        if (by_the_wall - really).unsigned_abs() > LARGEST_JUMP.as_micros() {
            (self.wall, self.passed) = (wall, passed);
            self.paused_until = Some(passed + self.pause);
        }
        self.paused_until.is_none_or(|until| passed >= until) && clock.doubt().is_none()
    }
}
