use std::fmt;

use order_api::{Page, Source};
use order_application::{Clock, ShopFigures, SystemClock};
use order_domain::Timestamp;
use tokio::sync::watch;

/// All orders at a glance, as of the last look. Without values: it failed, or there was none yet.
pub(crate) struct ShopSource(pub(crate) watch::Receiver<Option<ShopFigures>>);

impl Source for ShopSource {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let (seen, now) = (self.0.borrow().clone(), SystemClock.now());
        let by_status = seen.iter().flat_map(|seen| &seen.orders);
        page.gauges(
            "orders",
            "Orders by their status, counted up to 100,000 every half minute",
            by_status.map(|(status, orders)| ([("status", status.as_str())], *orders)),
        )?;
        let age = |since: Option<Timestamp>| ([], age_seconds(since, now));
        page.gauges(
            "order_oldest_unreserved_seconds",
            "How long ago the first order was placed that is paid for, has no stock reserved and is not on hold; 0: there is none",
            seen.iter().map(|seen| age(seen.oldest_unreserved)),
        )?;
        page.gauges(
            "order_oldest_unshipped_seconds",
            "How long ago the first order was placed whose stock is reserved, of which nothing is shipped and that is not on hold; 0: there is none",
            seen.iter().map(|seen| age(seen.oldest_unshipped)),
        )
    }
}

/// How long ago something was; 0 without it, or when it is to come.
pub(super) fn age_seconds(since: Option<Timestamp>, now: Timestamp) -> f64 {
    let micros = since.map_or(0, |since| now.as_micros().saturating_sub(since.as_micros()));
    micros.max(0) as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_younger_than_now() {
        let at = Timestamp::from_micros;
        for (since, now, age) in [(None, 5, 0.0), (Some(1_000_000), 2_500_000, 1.5), (Some(9), 5, 0.0)] {
            assert_eq!(age_seconds(since.map(at), at(now)), age);
        }
    }
}
