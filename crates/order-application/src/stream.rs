//! Reading one order's events to their end, and finding one event in the log.

use order_domain::OrderId;
use uuid::Uuid;

use crate::event::{Position, RecordedEvent, Version};
use crate::ports::event_log::{EventLog, PageLimit, StoreError};

/// Events that are read at a time.
const PAGE: PageLimit = PageLimit { events: 500, bytes: 1024 * 1024 };

/// Hands over every event of an order after a version, until `take` fails.
pub(crate) async fn read_to_end(
    log: &dyn EventLog,
    order_id: &OrderId,
    after: Version,
    mut take: impl FnMut(&RecordedEvent) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    read_while(log, order_id, after, |event| take(event).map(|()| true)).await
}

/// Hands over an order's events after a version, as long as `take` wants them.
pub(crate) async fn read_while(
    log: &dyn EventLog,
    order_id: &OrderId,
    mut after: Version,
    mut take: impl FnMut(&RecordedEvent) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    loop {
        let page = log.read_stream(order_id, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.version;
        for event in &page {
            if !take(event)? {
                return Ok(());
            }
        }
        // What is far from full is the last: most orders are read at once.
        let bytes: usize = page.iter().map(|event| event.data.len()).sum();
        if page.len() < PAGE.events && bytes < PAGE.bytes / 2 {
            return Ok(());
        }
    }
}

/// The id of the event at a position. `None` at the start of the log, and where it has no event.
pub(crate) async fn id_at(log: &dyn EventLog, position: Position) -> Result<Option<Uuid>, StoreError> {
    let Some(before) = position.0.checked_sub(1) else { return Ok(None) };
    let page = log.read_log(Position(before), PageLimit::events(1)).await?;
    Ok(page.first().filter(|event| event.position == position).map(|event| event.id))
}
