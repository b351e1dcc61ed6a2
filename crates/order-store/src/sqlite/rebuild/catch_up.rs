//! Brings views up to their log by the events that they lack: at start after a crash, and views that were rebuilt while
//! the log went on.

use std::collections::HashMap;
use std::path::Path;

use fastbloom::BloomFilter;
use order_application::{FoldedOrder, PageLimit, Position, StoreError, Unreadable, Version, codec};
use order_domain::OrderId;

use crate::sqlite::SqliteLimits;
use crate::sqlite::log::entries::{self, LogEntry, UnreadableRow};
use crate::sqlite::readers::Readers;
use crate::sqlite::rebuild::build::{BuildProgress, BuiltViews};
use crate::sqlite::rebuild::folding::{OnUnreadable, fold};
use crate::sqlite::rebuild::receipts;
use crate::sqlite::views::Views;
use crate::sqlite::views::overlay::{CommittedEvents, OrderKey, StreamState};
use crate::sqlite_error::SqliteError;

/// What is read at a time.
const PAGE: PageLimit = PageLimit::events(2_000);

/// Views that have reached a position of their log, or that will once the overlay is written.
pub(crate) struct CaughtUp {
    pub(crate) views: Views,
    pub(crate) readers: Readers,
}

/// How views are brought up.
pub(crate) struct CatchUpOptions<'a> {
    /// Where the last event is that goes into them.
    pub(crate) up_to: Position,
    /// Tells orders that are surely new, which spares their look-up.
    pub(crate) known: Option<&'a mut BloomFilter>,
    /// What an event that cannot be read means.
    pub(crate) unreadable: OnUnreadable,
    pub(crate) limits: &'a SqliteLimits,
    pub(crate) progress: BuildProgress<'a>,
}

/// Adds every event that the views lack up to a position to an overlay, and writes whole batches as they fill up. Before
/// that it writes every receipt that they lack: those that the log is given meanwhile may be in the views or not, as they
/// like. Damage that is found in the views is an error.
pub(crate) fn run(
    log_path: &Path,
    mut views: Views,
    options: CatchUpOptions<'_>,
) -> Result<CaughtUp, SqliteError> {
    let (up_to, limits) = (options.up_to, options.limits);
    let mut position = views.progress().position;
    let mut go_on = || (options.progress)(position.0, up_to.0);
    receipts::bring_up(log_path, &mut views, limits.rebuild_bytes / 2, &mut go_on)?;
    let readers = Readers::new(log_path.to_owned(), &views);
    let reached = CaughtUp { views, readers };
    let mut catch_up = CatchUp { options, reached, kept: HashMap::new(), kept_bytes: 0 };
    while position < up_to {
        if (catch_up.options.progress)(position.0, up_to.0).is_break() {
            return Err(SqliteError::Stopped);
        }
        let page = catch_up.reached.readers.log.with(|log| entries::page(log, position, up_to, PAGE));
        for entry in page.map_err(SqliteError::read(log_path))? {
            position = entry.position;
            catch_up.add(entry).map_err(SqliteError::read(log_path))?;
        }
        if catch_up.reached.readers.overlay.active_bytes() >= limits.view_batch_bytes {
            catch_up.reached.flush()?;
        }
    }
    Ok(catch_up.reached)
}

impl BuiltViews {
    /// Brings views that nobody reads up to a position, if they are not there. `progress` is told how far they are.
    pub(crate) fn bring_up(
        mut self,
        log_path: &Path,
        limits: &SqliteLimits,
        up_to: Position,
        progress: BuildProgress<'_>,
    ) -> Result<Self, SqliteError> {
        let (known, unreadable) = (Some(&mut self.orders), self.unreadable);
        let options = CatchUpOptions { up_to, known, unreadable, limits, progress };
        let mut caught_up = run(log_path, self.views, options)?;
        caught_up.flush()?;
        Ok(Self { views: caught_up.views, ..self })
    }
}

impl CaughtUp {
    /// Writes what is in the overlay.
    pub(crate) fn flush(&mut self) -> Result<(), SqliteError> {
        let Self { views, readers } = self;
        let Some(generation) = readers.overlay.begin_flush() else { return Ok(()) };
        let written = views.write(&generation).and_then(|()| Ok(readers.copy_wal(views)?));
        written.map_err(|error| error.at(views.path()))?;
        readers.overlay.end_flush();
        Ok(())
    }
}

struct CatchUp<'a> {
    options: CatchUpOptions<'a>,
    reached: CaughtUp,
    /// Orders that may soon have their next event, which spares their replay; when there are too many, all are forgotten.
    kept: HashMap<OrderId, (OrderKey, FoldedOrder)>,
    kept_bytes: usize,
}

impl CatchUp<'_> {
    /// Adds an event. Where it cannot be read, the order that it says it is of is believed if it would have continued it.
    fn add(&mut self, entry: LogEntry) -> Result<(), StoreError> {
        let (order_id, first_version, last_event_id) = match &entry.event {
            Ok(event) => (event.order_id.clone(), event.version, event.id),
            Err(UnreadableRow { order_id: Some(order_id), version, event_id, .. }) => {
                (order_id.clone(), *version, event_id.unwrap_or_default())
            }
            Err(row) => return Err(row.error.clone()),
        };
        let first_position = entry.position;
        let terms = entry.event.as_ref().map(codec::search_terms).unwrap_or_default();
        let before = self.before(&order_id, first_version)?;
        let (key, before) = before.map_or((first_position.0, None), |(key, order)| (key, Some(order)));
        let order = fold(before, &order_id, entry, self.options.unreadable)?;
        let view = order.view(&order_id);
        self.keep(order_id, key, order);
        self.reached.readers.overlay.add([CommittedEvents {
            key,
            first_position,
            first_version,
            events: 1,
            last_event_id,
            view,
            terms,
        }]);
        Ok(())
    }

    /// The order before an event of it, and its key. Asked also for a first event: a damaged log may have two for one order.
    fn before(
        &mut self,
        order_id: &OrderId,
        event: Version,
    ) -> Result<Option<(OrderKey, FoldedOrder)>, StoreError> {
        if let Some((key, order)) = self.kept.remove(order_id) {
            self.kept_bytes -= order.heap_bytes();
            return Ok(Some((key, order)));
        }
        let hash = self.reached.views.hash(order_id).cast_unsigned();
        if let Some(known) = &mut self.options.known
            && !known.insert_hash(hash)
        {
            return Ok(None);
        }
        let reached = self.reached.views.progress().position;
        match self.reached.readers.stream_before(order_id, event, reached)? {
            Some((stream, positions)) => Ok(Some((stream.key, self.replay(order_id, stream, &positions)?))),
            None => Ok(None),
        }
    }

    fn replay(
        &self,
        order_id: &OrderId,
        stream: StreamState,
        positions: &[(Version, Position)],
    ) -> Result<FoldedOrder, StoreError> {
        let damaged = FoldedOrder::Unreadable { version: stream.version, why: Unreadable::Damaged };
        if stream.is_damaged {
            return Ok(damaged);
        }
        let mut order = None;
        for chunk in positions.chunks(PAGE.events) {
            match self.reached.readers.events_at(order_id, chunk, usize::MAX) {
                Ok(events) => {
                    for earlier in events {
                        order = Some(FoldedOrder::after(order, &earlier).0);
                    }
                }
                Err(StoreError::Corrupt(_)) => return Ok(damaged),
                Err(error) => return Err(error),
            }
        }
        order.ok_or_else(|| StoreError::Corrupt(format!("order {order_id} has no first event")))
    }

    fn keep(&mut self, order_id: OrderId, key: OrderKey, order: FoldedOrder) {
        if self.kept_bytes > self.options.limits.rebuild_bytes / 2 {
            self.kept.clear();
            self.kept_bytes = 0;
        }
        self.kept_bytes += order.heap_bytes();
        self.kept.insert(order_id, (key, order));
    }
}
