//! How fast the views are compared with the log.

use std::num::NonZeroU32;

use clap::Args;
use serde::Deserialize;

/// So slow that nobody notices it, and yet a million events take no more than 17 minutes.
const DEFAULT_RATE: u32 = 1_000;

/// How fast the views are compared with the log.
#[derive(Debug, Default, Args, Deserialize)]
pub(crate) struct ScrubOptions {
    /// Compare the views with the log in the background, at this many events a second; 0 switches it off [default: 1000].
    #[arg(long, value_name = "EVENTS", env = "ORDER_SERVICE_SCRUB_RATE")]
    scrub_rate: Option<u32>,
}

/// `None`: never.
pub(super) fn scrub_rate(given: ScrubOptions, in_file: ScrubOptions) -> Option<NonZeroU32> {
    NonZeroU32::new(given.scrub_rate.or(in_file.scrub_rate).unwrap_or(DEFAULT_RATE))
}
