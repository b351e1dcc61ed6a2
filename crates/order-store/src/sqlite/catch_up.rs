//! Brings the views up to the log before the store opens: after a crash, or when they were deleted.

use std::collections::HashMap;

use order_application::{
    OrderSummary, PageLimit, Position, RecordedEvent, StoreError, Version, VersionedOrder, codec,
};
use order_domain::OrderId;

use super::SqliteLimits;
use super::connection::OpenError;
use super::log::Log;
use super::overlay::{Appended, OrderKey, Overlay};
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
    kept: HashMap<OrderId, (OrderKey, VersionedOrder)>,
    kept_lines: usize,
}

impl CatchUp<'_> {
    fn add(&mut self, event: &RecordedEvent) -> Result<(), OpenError> {
        let (key, before) = self.before(event).map_err(OpenError::corrupt(self.log.path()))?;
        let order = codec::replay(before, event).map_err(|error| OpenError::Corrupt {
            path: self.log.path().to_owned(),
            what: format!("event at position {}: {error}", event.position),
        })?;
        let summary: OrderSummary = order.summary(&event.order_id);
        self.keep(event.order_id.clone(), key, order);
        self.overlay.add([Appended {
            key,
            first_position: event.position,
            first_version: event.version,
            last_event_id: event.id,
            summary,
        }]);
        Ok(())
    }

    /// The order before this event, and its key.
    fn before(&mut self, event: &RecordedEvent) -> Result<(OrderKey, Option<VersionedOrder>), StoreError> {
        if let Some((key, order)) = self.kept.remove(&event.order_id) {
            self.kept_lines -= order.order.lines().len();
            return Ok((key, Some(order)));
        }
        if event.version == Version(1) {
            return Ok((event.position.0, None));
        }
        self.replay(event)
    }

    /// From the log: the index has every event before the position that the views have reached, and the overlay those after.
    fn replay(&self, event: &RecordedEvent) -> Result<(OrderKey, Option<VersionedOrder>), StoreError> {
        let events = event.version.0 as usize - 1;
        let positions =
            self.readers.stream_positions(&self.overlay, &event.order_id, Version::NONE, events)?;
        let Some(&(_, Position(key))) = positions.first() else {
            return Err(StoreError::Corrupt(format!("order {} has no first event", event.order_id)));
        };
        let mut order = None;
        for chunk in positions.chunks(PAGE.events) {
            for earlier in self.readers.events_at(&event.order_id, chunk, usize::MAX)? {
                let next = codec::replay(order.take(), &earlier).map_err(|error| {
                    StoreError::Corrupt(format!("event at position {}: {error}", earlier.position))
                })?;
                order = Some(next);
            }
        }
        Ok((key, order))
    }

    fn keep(&mut self, order_id: OrderId, key: OrderKey, order: VersionedOrder) {
        if self.kept_lines > MAX_KEPT_LINES {
            self.kept.clear();
            self.kept_lines = 0;
        }
        self.kept_lines += order.order.lines().len();
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
