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
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !condition()? {
        if start.elapsed() > LIMIT {
            bail!("waited {} s in vain until {what}", LIMIT.as_secs());
        }
        thread::park_timeout(PAUSE);
    }
    Ok(())
}
