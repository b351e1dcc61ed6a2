use std::fmt;

use order_application::figures::{CacheFigures, CommandEnd, CommandFigures};

use super::page::Page;

/// Commands by what became of them. Of what has not happened yet, only that nothing was accepted is shown.
pub(crate) fn commands(page: &mut Page<'_>, figures: &CommandFigures) -> fmt::Result {
    let shown = figures.now().filter(|(_, end, count)| *count > 0 || *end == CommandEnd::Accepted);
    page.counters(
        "order_commands",
        "Commands by what became of them; those whose clients hung up before are not counted",
        shown.map(|(command, end, count)| ([("command", command), ("outcome", end.as_str())], count)),
    )
}

/// Orders that are kept for their next command.
pub(crate) fn cache(page: &mut Page<'_>, figures: CacheFigures) -> fmt::Result {
    let CacheFigures { hits, misses, bytes, max_bytes } = figures;
    page.counter("order_cache_hits", "Orders that were in memory when they were needed", hits)?;
    page.counter("order_cache_misses", "Orders that had to be read from the store", misses)?;
    page.gauge("order_cache_bytes", "What the orders in memory take, about", bytes)?;
    page.gauge("order_cache_max_bytes", "Most that orders in memory may take", max_bytes)
}
