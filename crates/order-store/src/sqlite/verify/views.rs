//! The views, held against the orders that the log makes.

use std::path::Path;

use order_application::{OrderView, Position, Version};
use rusqlite::Connection;
use uuid::Uuid;

use crate::counted::counted;
use crate::projection;
use crate::sqlite::log::LogEnds;
use crate::sqlite::outside::OutsideFile;
use crate::sqlite::views::id_ranges::{GROUPS, proven_entries};
use crate::sqlite::views::overlay::OrderKey;
use crate::sqlite::views::progress::FileProgress;
use crate::sqlite::views::{ViewsError, files, finding, hash_order_id, reading};
use crate::sqlite_error::SqliteError;
use crate::verify::{CheckedOrder, CheckedOrders, Findings};

/// Orders of a list that are read at a time.
const LIST_ROWS: usize = 1_000;

/// What the views should have.
pub(super) struct Viewed {
    /// Orders that have a view.
    pub(super) orders: u64,
    /// What they are found by, all together; `None` if some cannot be read.
    terms: Option<u64>,
}

impl Default for Viewed {
    fn default() -> Self {
        Self { orders: 0, terms: Some(0) }
    }
}

/// The views that a server would open.
pub(super) struct CheckedViews {
    pub(super) file: OutsideFile,
    pub(super) progress: FileProgress,
}

impl CheckedViews {
    /// The highest complete file of this log. `None` if there is none that this release would open: it would build others.
    pub(super) fn open(
        log: &Connection,
        log_path: &Path,
        identity: Uuid,
        findings: &mut Findings<'_>,
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
                // Those that a first start was making which was killed.
                Err(_) if LogEnds::of(log).is_ok_and(|ends| ends == LogEnds::START) => {}
                Err(what) => findings.fault(format!("{}: {what}", path.display())),
            }
        }
        Ok(None)
    }

    fn has_come_to(&self, position: Position) -> bool {
        position <= self.progress.position
    }

    /// Everything up to here is in them.
    pub(super) fn position(&self) -> Position {
        self.progress.position
    }

    /// Each order's view is what its events make of it, or made of it when the views last came by. Of those that begin beyond them
    /// a crash may have left anything.
    pub(super) fn check_orders(
        &self,
        orders: &CheckedOrders,
        viewed: &mut Viewed,
        findings: &mut Findings<'_>,
    ) {
        let begun = orders.by_id.iter().filter(|(_, order)| self.has_come_to(order.placed_position));
        for (order_id, order) in begun {
            let hash = hash_order_id(order_id, self.progress.hash_seed);
            let fault = match reading::find(&self.file.connection, order_id, hash) {
                Ok(None) => {
                    findings.fault(format!("order {order_id}: it has no view"));
                    continue;
                }
                Ok(Some((key, view))) => self.fault_of(order, key, &view),
                Err(error) => Some(error.to_string()),
            };
            viewed.orders += 1;
            let terms = order.terms().map(|terms| terms.len() as u64);
            viewed.terms = viewed.terms.zip(terms).map(|(before, terms)| before + terms);
            if let Some(fault) = fault {
                findings.fault(format!("order {order_id}: {fault}"));
            }
        }
    }

    fn fault_of(&self, order: &CheckedOrder, key: OrderKey, view: &OrderView) -> Option<String> {
        // Views of another projection are rebuilt by the server.
        if self.progress.projection != projection() {
            return None;
        }
        let fault = order.fault_of(Position(key), view, projection());
        fault.or_else(|| {
            let version = view.version();
            let fault = || self.fault_of_lists(order, key, version);
            if order.is_readable() { self.fault_of_index(order, key, version).or_else(fault) } else { None }
        })
    }

    /// Lists find the order by everything that it has.
    fn fault_of_lists(&self, order: &CheckedOrder, key: OrderKey, version: Version) -> Option<String> {
        match finding::lost_way_to(&self.file.connection, key, &order.terms_at(version)) {
            Ok(lost) => lost.map(|what| format!("lists do not find it: {what}")),
            Err(error) => Some(format!("lists do not find it: {error}")),
        }
    }

    /// The index says of each of the order's events up to a version where it is. Those that a view has ahead of all that follows may
    /// be missing.
    fn fault_of_index(&self, order: &CheckedOrder, key: OrderKey, up_to: Version) -> Option<String> {
        let limit = order.later_positions.len() + 1;
        let indexed = reading::positions(&self.file.connection, key, Version(1), up_to.plus(1), limit);
        let events = (2..=up_to.0).map(Version).zip(order.later_positions.iter().copied());
        let is_expected = |(_, position): &(Version, Position)| self.has_come_to(*position);
        match indexed {
            Ok(indexed) if indexed.iter().copied().filter(is_expected).eq(events.filter(is_expected)) => None,
            Ok(_) => Some("the index of its events does not say where they are".to_owned()),
            Err(error) => Some(format!("the index of its events: {error}")),
        }
    }

    /// The index of orders has lost nothing, and has nothing that is of no order.
    pub(super) fn check_index(&self, viewed: u64, findings: &mut Findings<'_>) {
        let mut entries = 0;
        for group in GROUPS {
            match proven_entries(&self.file.connection, group) {
                Ok(proven) => {
                    entries += proven.iter().filter(|(_, key)| self.has_come_to(Position(*key))).count()
                }
                Err(error) => return findings.fault(format!("views: {error}")),
            }
        }
        if entries as u64 != viewed {
            let orders = counted(entries as u64, "order");
            findings.fault(format!("views: the index has {orders}, and {viewed} of these are in the log"));
        }
    }

    /// The index of terms has no more entries than its orders have terms, where all is known of those: of views that have
    /// come to the log's end.
    pub(super) fn check_terms(&self, end: Position, viewed: &Viewed, findings: &mut Findings<'_>) {
        let Some(known) = viewed.terms.filter(|_| self.progress.position == end) else { return };
        let count = "SELECT count(*) FROM order_terms";
        match self.file.connection.query_row(count, (), |row| row.get::<_, u64>(0)) {
            Ok(entries) if entries <= known => {}
            Ok(entries) => findings.fault(format!(
                "views: the index of terms has {entries} entries, and the orders have {known} terms"
            )),
            Err(error) => findings.fault(format!("views: the index of terms: {error}")),
        }
    }

    /// No view is of an order that the log does not have.
    pub(super) fn check_count(&self, viewed: u64, findings: &mut Findings<'_>) {
        let mut listed = 0;
        let mut after = Position::START;
        loop {
            let rows = match reading::list(&self.file.connection, after, LIST_ROWS) {
                Ok(rows) => rows,
                Err(error) => return findings.fault(format!("the list of orders: {error}")),
            };
            listed += rows.iter().filter(|row| self.has_come_to(Position(row.key))).count() as u64;
            match rows.last() {
                Some(last) if rows.len() == LIST_ROWS => after = Position(last.key),
                Some(_) | None => break,
            }
        }
        if listed != viewed {
            let orders = counted(listed, "order");
            findings.fault(format!("the views list {orders}, and {viewed} of these are in the log"));
        }
    }
}
