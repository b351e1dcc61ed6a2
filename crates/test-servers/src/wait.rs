//! Waiting for a condition, with a bound.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Longer than anything takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

const PAUSE: Duration = Duration::from_millis(5);

/// Asks until the condition holds.
///
/// # Errors
///
/// The condition's own, at once; and when it does not hold for [`LIMIT`].
pub(crate) fn wait_until(what: &str, condition: impl FnMut() -> Result<bool>) -> Result<()> {
    if !holds_within(LIMIT, condition)? {
        bail!("waited {} s in vain until {what}", LIMIT.as_secs());
    }
    Ok(())
}

/// Asks until the condition holds or the time is over; says which.
///
/// # Errors
///
/// The condition's own, at once.
pub(crate) fn holds_within(limit: Duration, mut condition: impl FnMut() -> Result<bool>) -> Result<bool> {
    let start = Instant::now();
    while !condition()? {
        if start.elapsed() > limit {
            return Ok(false);
        }
        thread::park_timeout(PAUSE);
    }
    Ok(true)
}
