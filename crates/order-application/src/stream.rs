//! Reading one order's events to their end.

use order_domain::OrderId;

use crate::event::{RecordedEvent, Version};
use crate::ports::event_log::{EventLog, PageLimit, StoreError};

/// Events that are read at a time.
const PAGE: PageLimit = PageLimit { events: 500, bytes: 1024 * 1024 };

/// Hands over every event of an order after a version, until `take` fails.
pub(crate) async fn read_to_end(
    log: &dyn EventLog,
    order_id: &OrderId,
    mut after: Version,
    mut take: impl FnMut(&RecordedEvent) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    loop {
        let page = log.read_stream(order_id, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.version;
        page.iter().try_for_each(&mut take)?;
        // What is far from full is the last: most orders are read at once.
        let bytes: usize = page.iter().map(|event| event.data.len()).sum();
        if page.len() < PAGE.events && bytes < PAGE.bytes / 2 {
            return Ok(());
        }
    }
}
