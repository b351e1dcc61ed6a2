//! Brings the views up to the log before the store opens: after a crash, or when they were deleted.

use std::collections::HashMap;

use order_application::{FoldedOrder, PageLimit, Position, RecordedEvent, StoreError, Unreadable, Version};
use order_domain::OrderId;

use super::SqliteLimits;
use super::connection::OpenError;
use super::log::Log;
use super::overlay::{Appended, OrderHead, OrderKey, Overlay};
use super::readers::Readers;
use super::views::{Views, ViewsError};
use super::views_path;

/// Events that are read at a time.
const PAGE: PageLimit = PageLimit::events(2_000);
/// A longer way than a crash leaves is worth a line in the log.
const EVENTS_WORTH_TELLING: u64 = 200_000;
/// Lines of the orders that are kept to spare replays; then all are forgotten.
const MAX_KEPT_LINES: usize = 200_000;

/// Views that have reached the log's head, or that will once the overlay is written.
pub(super) struct CaughtUp {
    pub(super) head: Position,
    pub(super) views: Views,
    pub(super) overlay: Overlay,
    pub(super) readers: Readers,
}

/// Opens the views of a log, or makes them, and brings them up to it.
pub(super) fn open_views(log: &Log, limits: &SqliteLimits) -> Result<CaughtUp, OpenError> {
    let path = views_path(log.path());
    match run(log, Views::open(&path, log)?, limits) {
        // Views that contradict their log are built anew. If it is the log that is corrupt, that says so too.
        Err(OpenError::Corrupt { what, .. }) => {
            tracing::warn!(path = %path.display(), what, "building the views anew");
            run(log, Views::create_anew(&path, log)?, limits)
        }
        other => other,
    }
}

/// Adds every event that the views lack to an overlay, and writes whole batches as they fill up.
pub(super) fn run(log: &Log, views: Views, limits: &SqliteLimits) -> Result<CaughtUp, OpenError> {
    let head = log.head()?;
    let behind = head.0 - views.position().0;
    if behind > EVENTS_WORTH_TELLING {
        tracing::info!(events = behind, "bringing the views up to the log");
    }
    let readers = Readers::new(log.path().to_owned(), views.path().to_owned(), views.hash_seed());
    let mut position = views.position();
    let mut catch_up =
        CatchUp { log, views, overlay: Overlay::new(), readers, kept: HashMap::new(), kept_lines: 0 };
    while position < head {
        let page = catch_up.readers.log_page(position, head, PAGE).map_err(OpenError::corrupt(log.path()))?;
        for event in &page {
            catch_up.add(event)?;
            position = event.position;
        }
        if catch_up.overlay.active_bytes() >= limits.view_batch_bytes {
            catch_up.flush()?;
        }
    }
    let CatchUp { views, overlay, readers, .. } = catch_up;
    Ok(CaughtUp { head, views, overlay, readers })
}

struct CatchUp<'a> {
    log: &'a Log,
    views: Views,
    overlay: Overlay,
    readers: Readers,
    kept: HashMap<OrderId, (OrderKey, FoldedOrder)>,
    kept_lines: usize,
}

impl CatchUp<'_> {
    fn add(&mut self, event: &RecordedEvent) -> Result<(), OpenError> {
        let (key, before) = self.before(event).map_err(OpenError::corrupt(self.log.path()))?;
        let (order, unreadable) = FoldedOrder::after(before, event);
        if let Some(error) = unreadable {
            let RecordedEvent { position, order_id, .. } = event;
            tracing::warn!(%order_id, %position, %error, "an order cannot be read; it is refused, and all others are served");
        }
        let view = order.view(&event.order_id);
        self.keep(event.order_id.clone(), key, order);
        self.overlay.add([Appended {
            key,
            first_position: event.position,
            first_version: event.version,
            events: 1,
            last_event_id: event.id,
            view,
        }]);
        Ok(())
    }

    /// The order before this event, and its key.
    fn before(&mut self, event: &RecordedEvent) -> Result<(OrderKey, Option<FoldedOrder>), StoreError> {
        if let Some((key, order)) = self.kept.remove(&event.order_id) {
            self.kept_lines -= lines(&order);
            return Ok((key, Some(order)));
        }
        // Also before a first event: a damaged log may have two for one order.
        let Some(head) = self.readers.order_head(&self.overlay, &event.order_id)? else {
            return Ok((event.position.0, None));
        };
        Ok((head.key, Some(self.replay(&event.order_id, head)?)))
    }

    /// From the log: the index has every event before the position that the views have reached, and the overlay those after.
    fn replay(&self, order_id: &OrderId, head: OrderHead) -> Result<FoldedOrder, StoreError> {
        if head.is_damaged {
            return Ok(FoldedOrder::Unreadable { version: head.version, why: Unreadable::Damaged });
        }
        let events = usize::try_from(head.version.0).unwrap_or(usize::MAX);
        let positions = self.readers.stream_positions(&self.overlay, order_id, Version::NONE, events)?;
        let mut order = None;
        for chunk in positions.chunks(PAGE.events) {
            for earlier in self.readers.events_at(order_id, chunk, usize::MAX)? {
                order = Some(FoldedOrder::after(order, &earlier).0);
            }
        }
        order.ok_or_else(|| StoreError::Corrupt(format!("order {order_id} has no first event")))
    }

    fn keep(&mut self, order_id: OrderId, key: OrderKey, order: FoldedOrder) {
        if self.kept_lines > MAX_KEPT_LINES {
            self.kept.clear();
            self.kept_lines = 0;
        }
        self.kept_lines += lines(&order);
        self.kept.insert(order_id, (key, order));
    }

    fn flush(&mut self) -> Result<(), OpenError> {
        let Some(generation) = self.overlay.begin_flush() else { return Ok(()) };
        self.views.write(&generation).and_then(|()| Ok(self.views.checkpoint()?)).map_err(
            |error| match error {
                ViewsError::Sqlite(error) => OpenError::sqlite(self.views.path())(error),
                error @ ViewsError::NotTheNextVersion(_) => {
                    OpenError::Corrupt { path: self.views.path().to_owned(), what: error.to_string() }
                }
            },
        )?;
        self.overlay.end_flush();
        Ok(())
    }
}

/// What an order takes in memory, about.
fn lines(order: &FoldedOrder) -> usize {
    match order {
        FoldedOrder::Readable(order) => order.order.lines().len(),
        FoldedOrder::Unreadable { .. } => 1,
    }
}
