//! This machine's clock, held against the database's: each instance has its own, and only that one is the same for all.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use order_application::rfc3339;
use order_domain::Timestamp;

/// How far they may be apart.
const LARGEST_GAP: Duration = Duration::from_secs(5 * 60);

/// What the database's clock said, and this machine's when it was asked and when the answer was there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) asked: Timestamp,
    pub(super) database: Timestamp,
    pub(super) answered: Timestamp,
}

impl Reading {
    /// How far this machine's clock is ahead at least, or behind if that is less than 0.
    fn micros_ahead(self) -> i64 {
        let database = self.database.as_micros();
        let ahead = self.asked.as_micros().saturating_sub(database).max(0);
        ahead - database.saturating_sub(self.answered.as_micros()).max(0)
    }
}

/// Whether the clocks agree.
#[derive(Default)]
pub(super) struct ComparedClocks {
    /// Why this machine's is not to be acted by.
    doubt: Mutex<Option<String>>,
}

impl ComparedClocks {
    /// Notes how they are, and tells it once when they come to differ, and when they agree again.
    pub(super) fn compare(&self, reading: Reading) {
        let ahead = reading.micros_ahead();
        let differ = u128::from(ahead.unsigned_abs()) > LARGEST_GAP.as_micros();
        let mut doubt = self.lock();
        if differ == doubt.is_some() {
            return;
        }
        let (here, database) = (rfc3339::format(reading.answered), rfc3339::format(reading.database));
        if differ {
            tracing::warn!(
                here,
                database,
                "this machine's clock and the database's are more than five minutes apart; until they agree, this instance fires \
                 no timers and deletes no old receipts"
            );
            let way = if ahead > 0 { "ahead of" } else { "behind" };
            let seconds = ahead.unsigned_abs() / 1_000_000;
            *doubt = Some(format!("this machine's clock is {seconds} seconds {way} the database's"));
        } else {
            tracing::info!(here, database, "this machine's clock and the database's agree again");
            *doubt = None;
        }
    }

    /// Why this machine's is not to be acted by, if it is not.
    pub(super) fn doubt(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        // Each change is one assignment.
        self.doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_doubted_only_if_it_is_far_off_however_long_the_answer_took() {
        let second = |seconds: i64| Timestamp::from_micros(seconds * 1_000_000);
        for (asked, answered, doubt) in [
            (1_000, 1_000, None),
            (1_300, 1_300, None),
            (700, 700, None),
            (0, 5_000, None),
            (1_301, 1_400, Some("this machine's clock is 301 seconds ahead of the database's")),
            (100, 600, Some("this machine's clock is 400 seconds behind the database's")),
        ] {
            let clocks = ComparedClocks::default();
            let compare = |database| {
                let (asked, answered) = (second(asked), second(answered));
                clocks.compare(Reading { asked, database, answered });
                clocks.doubt()
            };
            assert_eq!(compare(second(1_000)).as_deref(), doubt, "{asked} to {answered}");
            assert_eq!(compare(second(answered)), None);
        }
    }
}
