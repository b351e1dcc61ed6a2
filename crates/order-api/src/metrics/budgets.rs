use std::fmt;

use super::page::Page;

/// Bytes that many requests hold together, and how many they may, each by its name.
pub(crate) fn budgets<const BUDGETS: usize>(
    page: &mut Page<'_>,
    budgets: [(&str, (usize, usize)); BUDGETS],
) -> fmt::Result {
    let held = budgets.iter().map(|(name, (bytes, _))| ([("budget", *name)], *bytes));
    page.gauges("order_budget_used_bytes", "Bytes that requests hold together", held)?;
    let most = budgets.iter().map(|(name, (_, most))| ([("budget", *name)], *most));
    page.gauges("order_budget_max_bytes", "Most bytes that requests may hold together", most)
}

pub(crate) fn feeds(page: &mut Page<'_>, open: usize, most: usize, refused: u64) -> fmt::Result {
    page.gauge("order_feeds_open", "Live feeds that are open", open)?;
    page.gauge("order_feeds_max", "Most live feeds that may be open", most)?;
    page.counter("order_feeds_refused", "Live feeds that were refused, since there were too many", refused)
}
