//! Reading beside the writers: overlay first, then a fresh snapshot of the views, then the log.

use std::path::{Path, PathBuf};

use order_application::{
    Checkpoint, ListQuery, OrderPage, OrderView, PageLimit, Position, RecordedEvent, StoreError, Unreadable,
    Version,
};
use order_domain::OrderId;
use rusqlite::{Connection, OptionalExtension, params};

use super::known_orders::KnownOrders;
use super::log::{checkpoints, pages};
use super::overlay::{FlushCount, OrderHead, OrderKey, Overlay};
use super::pool::{Pool, Snapshots};
use super::row;
use super::views::{hash_order_id, order_columns, read_order};
use crate::copy::NamedCheckpoints;

/// The rows of the orders whose ids have a hash. One that the index has and the table lacks is null.
const FIND: &str = concat!(
    "SELECT ",
    order_columns!(),
    ", i.key FROM order_ids AS i LEFT JOIN orders AS o ON o.key = i.key WHERE i.hash = ?1"
);

const LIST: &str =
    concat!("SELECT ", order_columns!(), ", o.key FROM orders AS o WHERE o.key > ?1 ORDER BY o.key LIMIT ?2");

const POSITIONS: &str = "SELECT version, position FROM order_events \
    WHERE key = ?1 AND version > ?2 ORDER BY version LIMIT ?3";

const INDEX_PAGE: &str =
    "SELECT hash, key FROM order_ids WHERE (hash, key) > (?1, ?2) ORDER BY hash, key LIMIT ?3";

const EVENT: &str = concat!("SELECT ", row::columns!(), " FROM events WHERE position = ?1");

/// Times that a list is read again because a generation went to the views in the middle. Each is written for about a
/// second and a list is read in milliseconds, so a second time is rare and a fifth does not happen.
const MAX_LIST_READS: usize = 16;

/// More would not fit a parameter.
pub(super) const MAX_LIST_ROWS: usize = u32::MAX as usize;

/// Connections for reading both files.
pub(super) struct Readers {
    log: Pool,
    views: Snapshots,
    hash_seed: u64,
}

impl Readers {
    pub(super) fn new(log_path: PathBuf, views_path: PathBuf, hash_seed: u64) -> Self {
        Self { log: Pool::new(log_path), views: Snapshots::new(views_path), hash_seed }
    }

    /// Where an order stands now.
    pub(super) fn order_head(
        &self,
        overlay: &Overlay,
        order_id: &OrderId,
    ) -> Result<Option<OrderHead>, StoreError> {
        match overlay.head(order_id) {
            Ok(head) => Ok(Some(head)),
            Err(flushed) => self.head_in_views(order_id, flushed),
        }
    }

    fn head_in_views(
        &self,
        order_id: &OrderId,
        flushed: FlushCount,
    ) -> Result<Option<OrderHead>, StoreError> {
        let found = self.views.with(flushed, |views| find(views, order_id, self.hash_seed))??;
        Ok(found.map(|(key, view)| OrderHead::of(key, &view)))
    }

    /// Where each of these orders stands, in their order. Those that are neither in the overlay nor surely new are looked up.
    pub(super) fn order_heads<'a>(
        &self,
        overlay: &Overlay,
        known: &KnownOrders,
        order_ids: impl Iterator<Item = &'a OrderId>,
    ) -> Result<Vec<Result<Option<OrderHead>, StoreError>>, StoreError> {
        let mut heads = Vec::new();
        let mut unsure = Vec::new();
        let flushed = overlay.heads(order_ids, &mut |order_id, head| {
            if head.is_none() && !known.is_surely_new(order_id) {
                unsure.push((heads.len(), order_id));
            }
            heads.push(Ok(head));
        });
        if unsure.is_empty() {
            return Ok(heads);
        }
        self.views.with(flushed, |views| {
            for (index, order_id) in unsure {
                let found = find(views, order_id, self.hash_seed)?;
                heads[index] = found.map(|found| found.map(|(key, view)| OrderHead::of(key, &view)));
            }
            Ok(())
        })?;
        Ok(heads)
    }

    /// An order's view.
    pub(super) fn view(
        &self,
        overlay: &Overlay,
        order_id: &OrderId,
    ) -> Result<Option<OrderView>, StoreError> {
        let flushed = match overlay.view(order_id) {
            Ok(view) => return Ok(Some(view)),
            Err(flushed) => flushed,
        };
        let found = self.views.with(flushed, |views| find(views, order_id, self.hash_seed))??;
        Ok(found.map(|(_, view)| view))
    }

    /// A page of a list.
    pub(super) fn list(&self, overlay: &Overlay, query: &ListQuery) -> Result<OrderPage, StoreError> {
        // One more than is wanted tells whether there is a next page.
        let rows = self.rows(overlay, query.after, query.limit.min(MAX_LIST_ROWS) + 1)?;
        Ok(OrderPage::of(rows.into_iter().map(|(key, view)| (Position(key), view)), query.limit))
    }

    /// The rows of orders that were placed after a position.
    pub(super) fn rows(
        &self,
        overlay: &Overlay,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(OrderKey, OrderView)>, StoreError> {
        for _ in 0..MAX_LIST_READS {
            let flushed_before = overlay.flushed();
            let mut rows = self.views.with(flushed_before, |views| select_list(views, after, limit))??;
            let complete = rows.len() < limit;
            if overlay.merge_list(&mut rows, after.0, complete, limit) == flushed_before {
                return Ok(rows);
            }
        }
        Err(StoreError::Overloaded)
    }

    /// The positions of an order's events with versions above `after`, ascending.
    pub(super) fn stream_positions(
        &self,
        overlay: &Overlay,
        order_id: &OrderId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<(Version, Position)>, StoreError> {
        let (recent, flushed) = overlay.stream(order_id);
        let (head, recent) = match recent {
            Some(stream) => stream,
            None => match self.head_in_views(order_id, flushed)? {
                Some(head) => (head, Vec::new()),
                None => return Ok(Vec::new()),
            },
        };
        if head.is_damaged {
            return Err(Unreadable::Damaged.error(order_id));
        }
        let mut positions = Vec::new();
        if after == Version::NONE {
            positions.push((Version(1), Position(head.key)));
        }
        let first_recent = recent.first().map_or(head.version.plus(1), |(version, _)| *version);
        let next = after.0.max(1) + 1;
        if next < first_recent.0 && next <= head.version.0 {
            self.views.with(flushed, |views| {
                let mut statement = views.prepare_cached(POSITIONS)?;
                let mut rows = statement.query(params![head.key, next - 1, limit])?;
                while let Some(row) = rows.next()? {
                    let version = Version(row.get(0)?);
                    if version >= first_recent {
                        break;
                    }
                    positions.push((version, Position(row.get(1)?)));
                }
                Ok(())
            })?;
        }
        positions.extend(recent.into_iter().filter(|(version, _)| *version > after));
        positions.truncate(limit);
        check_contiguous(order_id, after, head.version, limit, &positions)?;
        Ok(positions)
    }

    /// The events at these positions, which must be the order's.
    pub(super) fn events_at(
        &self,
        order_id: &OrderId,
        positions: &[(Version, Position)],
        max_bytes: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        let mut events = Vec::with_capacity(positions.len());
        let mut bytes = 0;
        let mut scratch = Vec::new();
        self.log.with(|log| {
            let mut statement = log.prepare_cached(EVENT)?;
            for (version, position) in positions {
                let event = statement.query_row([position.0], |row| Ok(row::read(row, &mut scratch)));
                let event = match event.optional()? {
                    Some(Ok(event)) if event.order_id == *order_id && event.version == *version => event,
                    Some(Err(error)) => return Ok(Err(error)),
                    Some(Ok(_)) | None => return Ok(Err(misplaced(order_id, *version, *position))),
                };
                bytes += event.data.len();
                if bytes > max_bytes && !events.is_empty() {
                    break;
                }
                events.push(event);
            }
            Ok(Ok(()))
        })??;
        Ok(events)
    }

    /// A page of the log after a position, up to `head`.
    pub(super) fn log_page(
        &self,
        after: Position,
        head: Position,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.log.with(|log| pages::select(log, after, head, limit))?
    }

    /// A checkpoint of somebody who follows the log.
    pub(super) fn checkpoint(&self, name: &str) -> Result<Option<Checkpoint>, StoreError> {
        self.log.with(|log| checkpoints::load(log, name))
    }

    /// All checkpoints that were ever saved.
    pub(super) fn checkpoints(&self) -> Result<NamedCheckpoints, StoreError> {
        self.log.with(checkpoints::load_all)
    }

    /// Entries of the index of orders, as (hash, key), after one of them.
    pub(super) fn index_page(
        &self,
        overlay: &Overlay,
        after: Option<(i64, OrderKey)>,
        limit: usize,
    ) -> Result<Vec<(i64, OrderKey)>, StoreError> {
        let (hash, key) = after.unwrap_or((i64::MIN, 0));
        self.views.with(overlay.flushed(), |views| {
            let mut statement = views.prepare_cached(INDEX_PAGE)?;
            statement.query_map(params![hash, key, limit], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
    }

    /// Lets go of snapshots that are older than so many flushes, so that the views' write-ahead log can start anew.
    pub(super) fn end_snapshots_before(&self, flushed: FlushCount) -> Result<(), StoreError> {
        self.views.end_before(flushed)
    }

    pub(super) fn views_path(&self) -> &Path {
        self.views.path()
    }

    /// Closes the idle connections.
    pub(super) fn close(&self) {
        self.log.close();
        self.views.close();
    }
}

/// The key and the view of an order. The inner error says how the views contradict themselves.
#[expect(clippy::type_complexity, reason = "an answer, none, or one of two kinds of error")]
fn find(
    views: &Connection,
    order_id: &OrderId,
    hash_seed: u64,
) -> rusqlite::Result<Result<Option<(OrderKey, OrderView)>, StoreError>> {
    let mut statement = views.prepare_cached(FIND)?;
    let mut rows = statement.query([hash_order_id(order_id, hash_seed)])?;
    let mut scratch = Vec::new();
    while let Some(row) = rows.next()? {
        let found = read_order(row, &mut scratch)?;
        match found {
            Ok((key, view)) if view.order_id() == order_id => return Ok(Ok(Some((key, view)))),
            // Another order with the same hash.
            Ok(_) => {}
            Err(what) => return Ok(Err(StoreError::Corrupt(what))),
        }
    }
    Ok(Ok(None))
}

/// Rows of a list. The inner error says what is wrong with one of them.
#[expect(clippy::type_complexity, reason = "an answer, or one of two kinds of error")]
fn select_list(
    views: &Connection,
    after: Position,
    limit: usize,
) -> rusqlite::Result<Result<Vec<(OrderKey, OrderView)>, StoreError>> {
    let mut statement = views.prepare_cached(LIST)?;
    let mut rows = statement.query(params![after.0, limit])?;
    let mut scratch = Vec::new();
    let mut list = Vec::new();
    while let Some(row) = rows.next()? {
        match read_order(row, &mut scratch)? {
            Ok(row) => list.push(row),
            Err(what) => return Ok(Err(StoreError::Corrupt(what))),
        }
    }
    Ok(Ok(list))
}

fn misplaced(order_id: &OrderId, version: Version, position: Position) -> StoreError {
    StoreError::Corrupt(format!("version {version} of order {order_id} is not at position {position}"))
}

/// The index must name every version, or a replay would silently be of another history.
fn check_contiguous(
    order_id: &OrderId,
    after: Version,
    head: Version,
    limit: usize,
    positions: &[(Version, Position)],
) -> Result<(), StoreError> {
    let expected = head.0.saturating_sub(after.0).min(limit as u64) as usize;
    let contiguous =
        positions.iter().zip(after.0 + 1..).all(|((version, _), expected)| version.0 == expected);
    // More than expected: the order moved on between two looks, which is as good.
    if contiguous && positions.len() >= expected {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!("the index of order {order_id} lacks versions after {after}")))
}
