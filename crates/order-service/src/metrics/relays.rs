use std::fmt;
use std::sync::Arc;

use order_api::{Page, Source};
use order_application::{Clock, FollowerFigures, SystemClock};

use super::shop::age_seconds;

/// What relays count, each by its name. Their states are shown as `/ready` has them.
pub(crate) struct RelaySource(pub(crate) Vec<(String, Arc<FollowerFigures>)>);

impl Source for RelaySource {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        let now = SystemClock.now();
        let relays = || self.0.iter().map(|(name, figures)| ([("relay", name.as_str())], figures));
        page.counters(
            "order_relay_published_events",
            "Events that the broker has acknowledged to this process",
            relays().map(|(labels, figures)| (labels, figures.done.now())),
        )?;
        page.counters(
            "order_relay_failures",
            "Times that a relay could not go on",
            relays().map(|(labels, figures)| (labels, figures.failures.now())),
        )?;
        page.gauges(
            "order_relay_lag_seconds",
            "The age of the oldest event that the broker has not acknowledged; 0: there is none",
            relays().map(|(labels, figures)| (labels, age_seconds(figures.waiting_since(), now))),
        )
    }
}
