//! The views, held against the orders that the log makes.

use std::path::Path;

use order_application::{FoldedOrder, OrderView, Position, RecordedEvent, Version};
use order_domain::OrderId;
use rusqlite::Connection;
use uuid::Uuid;

use crate::projection;
use crate::sqlite::log::{entries, event_id_at};
use crate::sqlite::verify::outside::OutsideFile;
use crate::sqlite::views::id_ranges::{GROUPS, proven_entries};
use crate::sqlite::views::overlay::OrderKey;
use crate::sqlite::views::progress::FileProgress;
use crate::sqlite::views::{ViewsError, files, hash_order_id, reading};
use crate::sqlite_error::SqliteError;
use crate::verify::{CheckedOrder, VerifyReport, difference};

/// LogRows of a list that are read at a time.
const LIST_ROWS: usize = 1_000;

/// The views that a server would open.
pub(super) struct CheckedViews {
    file: OutsideFile,
    progress: FileProgress,
}

impl CheckedViews {
    /// The highest complete file of this log. `None` if there is none that this release would open: it would build others.
    pub(super) fn open(
        log_path: &Path,
        identity: Uuid,
        report: &mut VerifyReport,
    ) -> Result<Option<Self>, SqliteError> {
        for number in files::numbers(log_path)? {
            let path = files::path(log_path, number);
            let opened =
                OutsideFile::open(log_path, &path).map_err(|error| error.to_string()).and_then(|file| {
                    match FileProgress::load_usable(&file.connection, identity) {
                        Ok(progress) => Ok(Some(Self { file, progress })),
                        Err(ViewsError::Useless(_)) => Ok(None),
                        Err(error) => Err(error.to_string()),
                    }
                });
            match opened {
                Ok(Some(views)) => return Ok(Some(views)),
                Ok(None) => {}
                Err(what) => report.fault(format!("{}: {what}", path.display())),
            }
        }
        Ok(None)
    }

    /// Everything up to here is in them.
    pub(super) fn position(&self) -> Position {
        self.progress.position
    }

    /// They know no more than the log has.
    pub(super) fn check_end(&self, log: &Connection, end: Position, report: &mut VerifyReport) {
        let FileProgress { position, event_id, .. } = self.progress;
        if position > end {
            return report.fault(format!(
                "the views are ahead of their log, which lacks the events at positions {} to {position}",
                end.plus(1)
            ));
        }
        if position == Position::START {
            return;
        }
        if event_id_at(log, position).ok().flatten() != Some(event_id) {
            report.fault(format!(
                "the views are of another history: they end with event {event_id} at position {position}, which the log \
                 does not have there"
            ));
        }
    }

    /// The order's view is what its events make of it, or made of it when the views last came by. Answers whether it has one.
    pub(super) fn check_order(
        &self,
        log: &Connection,
        order_id: &OrderId,
        order: &CheckedOrder,
        report: &mut VerifyReport,
    ) -> bool {
        let hash = hash_order_id(order_id, self.progress.hash_seed);
        let found = match reading::find(&self.file.connection, order_id, hash) {
            Ok(found) => found,
            Err(error) => {
                report.fault(format!("order {order_id}: {error}"));
                return true;
            }
        };
        let Some((key, view)) = found else {
            if order.placed_position <= self.progress.position {
                report.fault(format!("order {order_id}: it has no view"));
            }
            return false;
        };
        if let Err(fault) = self.check_view(log, order_id, order, key, &view) {
            report.fault(format!("order {order_id}: {fault}"));
        }
        true
    }

    fn check_view(
        &self,
        log: &Connection,
        order_id: &OrderId,
        order: &CheckedOrder,
        key: OrderKey,
        view: &OrderView,
    ) -> Result<(), String> {
        // An order whose rows cannot be read may be anything; one of an earlier projection is made anew by the server.
        let Some(fold) = order.view(order_id) else { return Ok(()) };
        if self.progress.projection != projection() {
            return Ok(());
        }
        if key != order.placed_position.0 {
            let begins = order.placed_position;
            return Err(format!("its view has the key {key}, and it begins at position {begins}"));
        }
        if !order.is_readable() {
            // Its views may have been right when the rest came.
            return if view.version() == fold.version() { compare(view, &fold) } else { Ok(()) };
        }
        let events = self.events(log, order_id, key, view.version())?;
        if view.version() == fold.version() {
            return compare(view, &fold);
        }
        // The order may have gone on since the views last came by.
        if view.version() < order.viewed_version || view.version() > fold.version() {
            return Err(format!(
                "its view is at version {}, and its events at {}",
                view.version(),
                fold.version()
            ));
        }
        let mut earlier = None;
        for event in &events {
            earlier = Some(FoldedOrder::after(earlier, event).0);
        }
        let earlier = earlier.map(|order| order.view(order_id));
        earlier.map_or(Ok(()), |earlier| compare(view, &earlier))
    }

    /// The order's events up to a version, where the index says that they are.
    fn events(
        &self,
        log: &Connection,
        order_id: &OrderId,
        key: OrderKey,
        up_to: Version,
    ) -> Result<Vec<RecordedEvent>, String> {
        let limit = usize::try_from(up_to.0).unwrap_or(usize::MAX);
        let later = reading::positions(&self.file.connection, key, Version(1), up_to.plus(1), limit);
        let later = later.map_err(|error| format!("the index of its events: {error}"))?;
        let all = std::iter::once((Version(1), Position(key))).chain(later);
        let mut events = Vec::new();
        let mut scratch = Vec::new();
        for ((version, position), expected) in all.zip(1..) {
            match entries::event_at(log, position, &mut scratch) {
                Ok(Some(event)) if event.order_id == *order_id && event.version.0 == expected => {
                    events.push(event);
                }
                _ => return Err(format!("version {version} is not at position {position}")),
            }
        }
        if events.len() as u64 != up_to.0 {
            return Err(format!("the index of its events lacks versions after {}", events.len()));
        }
        Ok(events)
    }

    /// The index of orders has lost nothing, and has nothing that is of no order.
    pub(super) fn check_index(&self, viewed: u64, report: &mut VerifyReport) {
        let mut entries = 0;
        for group in GROUPS {
            match proven_entries(&self.file.connection, group) {
                Ok(proven) => entries += proven.len() as u64,
                Err(error) => return report.fault(format!("views: {error}")),
            }
        }
        if entries != viewed {
            report.fault(format!(
                "views: the index has {entries} orders, and {viewed} of these are in the log"
            ));
        }
    }

    /// No view is of an order that the log does not have.
    pub(super) fn check_count(&self, viewed: u64, report: &mut VerifyReport) {
        let mut listed = 0;
        let mut after = Position::START;
        loop {
            let rows = match reading::list(&self.file.connection, after, LIST_ROWS) {
                Ok(rows) => rows,
                Err(error) => return report.fault(format!("the list of orders: {error}")),
            };
            listed += rows.len() as u64;
            match rows.last() {
                Some((last, _)) if rows.len() == LIST_ROWS => after = Position(*last),
                Some(_) | None => break,
            }
        }
        if listed != viewed {
            report.fault(format!("the views list {listed} orders, and {viewed} of these are in the log"));
        }
    }
}

fn compare(view: &OrderView, fold: &OrderView) -> Result<(), String> {
    difference(view, fold).map_or(Ok(()), Err)
}
