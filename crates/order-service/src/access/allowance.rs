//! How many requests may come: so many a second, and so many at once after a pause (GCRA, as a leaky bucket is measured).

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use order_api::{AllowanceOf, Exhausted};

/// How often somebody may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) per_second: NonZeroU32,
    /// Most requests at once.
    pub(super) burst: NonZeroU32,
}

/// What somebody has left of it. To take from it waits for nobody.
pub(super) struct Allowance {
    whose: AllowanceOf,
    rate: Rate,
    limiter: DefaultDirectRateLimiter,
}

impl Allowance {
    pub(super) fn new(whose: AllowanceOf, rate: Rate) -> Self {
        let quota = Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self { whose, rate, limiter: RateLimiter::direct(quota) }
    }

    /// Goes on with what the same caller had before, if it was by the same rate.
    pub(super) fn keep(this: &mut Arc<Self>, before: Option<&Arc<Self>>) {
        if let Some(before) = before.filter(|before| before.rate == this.rate) {
            *this = Arc::clone(before);
        }
    }

    /// Takes one request.
    ///
    /// # Errors
    /// There is none left.
    pub(super) fn spend(&self) -> Result<(), Exhausted> {
        self.limiter.check().map_err(|not_until| {
            let Rate { per_second, burst } = self.rate;
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            Exhausted {
                whose: self.whose,
                burst: burst.get(),
                refill_seconds: burst.get().div_ceil(per_second.get()),
                retry_after_seconds: whole_seconds(wait.as_secs_f64()),
            }
        })
    }
}

/// At least one: whoever comes back at once is refused again.
fn whole_seconds(seconds: f64) -> u32 {
    (seconds.ceil() as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_no_request_is_left_and_it_is_said_when_there_is() {
        let number = |number| NonZeroU32::new(number).unwrap();
        let rate = Rate { per_second: number(1), burst: number(5) };
        let allowance = Allowance::new(AllowanceOf::Address, rate);
        assert!((0..5).all(|_| allowance.spend().is_ok()));
        let whose = AllowanceOf::Address;
        let exhausted = Exhausted { whose, burst: 5, refill_seconds: 5, retry_after_seconds: 1 };
        assert_eq!(allowance.spend(), Err(exhausted));
    }
}
