use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

/// Pages in a second, as long as a page is not too large: each is over so soon that no request notices it.
const PAGES_A_SECOND: u32 = 10;
/// Most events of a page.
const MAX_PAGE: u32 = 500;

/// Spreads work evenly over time.
pub(super) struct Pace {
    rate: NonZeroU32,
    /// When the next page is due.
    next: Instant,
}

impl Pace {
    /// So many events a second.
    pub(super) fn new(rate: NonZeroU32) -> Self {
        Self { rate, next: Instant::now() }
    }

    /// How many events to take at a time.
    pub(super) fn page(&self) -> usize {
        (self.rate.get() / PAGES_A_SECOND).clamp(1, MAX_PAGE) as usize
    }

    /// How long to wait after so many events. Time that was lost is not made up for: that would be a burst.
    pub(super) fn after(&mut self, events: u64) -> Duration {
        let now = Instant::now();
        let takes = Duration::from_secs_f64(events as f64 / f64::from(self.rate.get()));
        self.next = (self.next + takes).max(now);
        self.next - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_pace_is_even_and_what_took_too_long_is_not_made_up_for() {
        let mut pace = Pace::new(NonZeroU32::new(1_000).unwrap());
        assert_eq!(pace.page(), 100);
        tokio::time::advance(Duration::from_millis(30)).await;
        assert_eq!(pace.after(100), Duration::from_millis(70), "what the work took is part of it");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(pace.after(100), Duration::ZERO);
        assert_eq!(pace.after(100), Duration::from_millis(100));
    }

    #[tokio::test]
    async fn pages_are_small_at_any_pace() {
        let page = |rate| Pace::new(NonZeroU32::new(rate).unwrap()).page();
        assert_eq!([page(1), page(15), page(2_000), page(u32::MAX)], [1, 1, 200, 500]);
    }
}
