//! Reading beside the writers: overlay first, then a fresh snapshot of the views, then the log.

mod pool;

use std::path::PathBuf;

use order_application::{
    Checkpoint, ListQuery, OrderPage, OrderView, PageLimit, Position, RecordedEvent, StoreError, Unreadable,
    Version,
};
use order_domain::OrderId;
use rusqlite::Connection;

use crate::copy::NamedCheckpoints;
use crate::sqlite::log::entries::{self, LogEntry};
use crate::sqlite::log::row;
use crate::sqlite::log::scan::no_event;
use crate::sqlite::log::{end, follower_checkpoints, pages};
use crate::sqlite::readers::pool::{LogPool, ServedFile, ViewsSnapshots};
use crate::sqlite::rebuild::requests::RebuildRequests;
use crate::sqlite::views::id_ranges::{self, ProvenEntries};
use crate::sqlite::views::known_orders::KnownOrders;
use crate::sqlite::views::overlay::{FlushCount, OrderKey, Overlay, RecentStream, StreamState};
use crate::sqlite::views::{Views, ViewsError, hash_order_id, reading};

/// Times that a list is read again because a generation went to the views in the middle. Each is written for about a
/// second and a list is read in milliseconds, so a second time is rare and a fifth does not happen.
const MAX_LIST_READS: usize = 16;

/// More would not fit a parameter.
pub(crate) const MAX_LIST_ROWS: usize = u32::MAX as usize;

/// The overlay, and connections for reading both files.
pub(crate) struct Readers {
    log: LogPool,
    views: ViewsSnapshots,
    pub(crate) overlay: Overlay,
    hash_seed: u64,
    pub(crate) rebuilds: RebuildRequests,
}

impl Readers {
    /// Reads a log and a file of its views.
    pub(crate) fn new(log_path: PathBuf, views: &Views) -> Self {
        let (path, number) = (views.path().to_owned(), views.number());
        let hash_seed = views.progress().hash_seed;
        let rebuilds = RebuildRequests::new(number);
        let views = ViewsSnapshots::new(ServedFile { path, number });
        let overlay = Overlay::new();
        Self { log: LogPool::new(log_path), views, overlay, hash_seed, rebuilds }
    }

    /// Where an order stands now.
    pub(crate) fn stream_state(&self, order_id: &OrderId) -> Result<Option<StreamState>, StoreError> {
        match self.overlay.stream_state(order_id) {
            Ok(stream) => Ok(Some(stream)),
            Err(flushed) => self.state_in_views(order_id, flushed),
        }
    }

    /// Where an order stands of which the log has just named an event, and where its events before that one are: those in
    /// the views up to the position that they have reached, and those in the self.overlay. `None` if it is the first.
    ///
    /// A crash may have left rows in the views that are ahead of that position. What they know more is about to be met.
    pub(crate) fn stream_before(
        &self,
        order_id: &OrderId,
        event: Version,
        reached: Position,
    ) -> Result<Option<RecentStream>, StoreError> {
        let (recent, flushed) = self.overlay.stream(order_id);
        let (stream, recent, known) = match recent {
            Some((stream, recent)) => (stream, recent, stream.version),
            None => {
                // Without a proof that there is none: nobody places an order for want of it.
                let find = |views: &_| reading::find_unproven(views, order_id, self.hash(order_id), reached);
                match self.in_views(flushed, find)? {
                    Some((key, view)) => {
                        let stream = StreamState::of(key, &view);
                        (stream, Vec::new(), stream.version.min(Version(event.0.saturating_sub(1))))
                    }
                    None => return Ok(None),
                }
            }
        };
        if stream.is_damaged {
            return Ok(Some((stream, Vec::new())));
        }
        let below = recent.first().map_or(Version(u64::MAX), |(version, _)| *version);
        let in_views =
            |views: &_| Ok(reading::positions(views, stream.key, Version(1), below, MAX_LIST_ROWS)?);
        let mut positions = vec![(Version(1), Position(stream.key))];
        if below > Version(2) {
            let earlier = self.in_views(flushed, in_views)?;
            positions.extend(earlier.into_iter().take_while(|(_, position)| *position <= reached));
        }
        positions.extend(recent);
        self.check_contiguous(order_id, Version::NONE, known, usize::MAX, &positions)?;
        Ok(Some((stream, positions)))
    }

    fn state_in_views(
        &self,
        order_id: &OrderId,
        flushed: FlushCount,
    ) -> Result<Option<StreamState>, StoreError> {
        self.in_views(flushed, |views| reading::stream_state(views, order_id, self.hash(order_id)))
    }

    /// Where each of these orders stands, in their order. Those that are neither in the overlay nor surely new are looked up,
    /// and one of them that cannot be found out does not keep the others from it.
    pub(crate) fn stream_states<'a>(
        &self,
        known: &KnownOrders,
        order_ids: impl Iterator<Item = &'a OrderId>,
    ) -> Vec<Result<Option<StreamState>, StoreError>> {
        let mut streams = Vec::new();
        let mut unsure = Vec::new();
        let flushed = self.overlay.stream_states(order_ids, &mut |order_id, stream| {
            if stream.is_none() && !known.is_surely_new(order_id) {
                unsure.push((streams.len(), order_id));
            }
            streams.push(Ok(stream));
        });
        for (index, order_id) in unsure {
            streams[index] = self.state_in_views(order_id, flushed);
        }
        streams
    }

    /// An order's view.
    pub(crate) fn view(&self, order_id: &OrderId) -> Result<Option<OrderView>, StoreError> {
        let flushed = match self.overlay.view(order_id) {
            Ok(view) => return Ok(Some(view)),
            Err(flushed) => flushed,
        };
        let found = self.in_views(flushed, |views| reading::find(views, order_id, self.hash(order_id)))?;
        Ok(found.map(|(_, view)| view))
    }

    /// A page of a list.
    pub(crate) fn list(&self, query: &ListQuery) -> Result<OrderPage, StoreError> {
        // One more than is wanted tells whether there is a next page.
        let rows = self.rows(query.after.min(row::MAX_POSITION), query.limit.min(MAX_LIST_ROWS) + 1)?;
        Ok(OrderPage::of(rows.into_iter().map(|(key, view)| (Position(key), view)), query.limit))
    }

    /// The rows of orders that were placed after a position.
    pub(crate) fn rows(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<(OrderKey, OrderView)>, StoreError> {
        for _ in 0..MAX_LIST_READS {
            let flushed_before = self.overlay.flushed();
            let mut rows = self.in_views(flushed_before, |views| reading::list(views, after, limit))?;
            let complete = rows.len() < limit;
            if self.overlay.merge_list(&mut rows, after.0, complete, limit) == flushed_before {
                return Ok(rows);
            }
        }
        Err(StoreError::Overloaded)
    }

    /// Reads from the views. What does not add up is told, and is no answer.
    fn in_views<T>(
        &self,
        flushed: FlushCount,
        read: impl FnOnce(&Connection) -> Result<T, ViewsError>,
    ) -> Result<T, StoreError> {
        let (number, answer) = self.views.with(flushed, read);
        answer.map_err(|error| match error.damage() {
            Some(what) => self.rebuilds.damaged(number, what),
            None => StoreError::Unavailable(error.to_string()),
        })
    }

    fn hash(&self, order_id: &OrderId) -> i64 {
        hash_order_id(order_id, self.hash_seed)
    }

    /// The positions of an order's events with versions above `after`, ascending.
    pub(crate) fn stream_positions(
        &self,
        order_id: &OrderId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<(Version, Position)>, StoreError> {
        let (recent, flushed) = self.overlay.stream(order_id);
        let (stream, recent) = match recent {
            Some(stream) => stream,
            None => match self.state_in_views(order_id, flushed)? {
                Some(stream) => (stream, Vec::new()),
                None => return Ok(Vec::new()),
            },
        };
        if stream.is_damaged {
            return Err(Unreadable::Damaged.error(order_id));
        }
        if after >= stream.version {
            return Ok(Vec::new());
        }
        let mut positions = Vec::new();
        if after == Version::NONE {
            positions.push((Version(1), Position(stream.key)));
        }
        let first_recent = recent.first().map_or(stream.version.plus(1), |(version, _)| *version);
        let next = after.0.max(1) + 1;
        if next < first_recent.0 && next <= stream.version.0 {
            let (after, below) = (Version(next - 1), first_recent);
            let in_views = |views: &_| Ok(reading::positions(views, stream.key, after, below, limit)?);
            positions.extend(self.in_views(flushed, in_views)?);
        }
        positions.extend(recent.into_iter().filter(|(version, _)| *version > after));
        positions.truncate(limit);
        self.check_contiguous(order_id, after, stream.version, limit, &positions)?;
        Ok(positions)
    }

    /// The index must name every version, or a replay would silently be of another history.
    fn check_contiguous(
        &self,
        order_id: &OrderId,
        after: Version,
        up_to: Version,
        limit: usize,
        positions: &[(Version, Position)],
    ) -> Result<(), StoreError> {
        let expected = up_to.0.saturating_sub(after.0).min(limit as u64) as usize;
        let contiguous =
            positions.iter().zip(after.0 + 1..).all(|((version, _), expected)| version.0 == expected);
        // More than expected: the order moved on between two looks, which is as good.
        if contiguous && positions.len() >= expected {
            return Ok(());
        }
        let what = format!("the index of order {order_id} lacks versions after {after}");
        Err(self.rebuilds.damaged(self.views.file().number, what))
    }

    /// The events at these positions, which must be the order's.
    pub(crate) fn events_at(
        &self,
        order_id: &OrderId,
        positions: &[(Version, Position)],
        max_bytes: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        self.log.with(|log| {
            let mut events = Vec::with_capacity(positions.len());
            let (mut bytes, mut scratch) = (0, Vec::new());
            for (version, position) in positions {
                let event = match entries::event_at(log, *position, &mut scratch)? {
                    Some(event) if event.order_id == *order_id && event.version == *version => event,
                    // It is the log that lacks an event, and not the index that names one that there is not.
                    None if *position > Position::START && *position <= end(log)? => {
                        return Err(no_event(*position));
                    }
                    Some(_) | None => {
                        let what =
                            format!("version {version} of order {order_id} is not at position {position}");
                        return Err(self.rebuilds.damaged(self.views.file().number, what).into());
                    }
                };
                bytes += event.data.len();
                if bytes > max_bytes && !events.is_empty() {
                    break;
                }
                events.push(event);
            }
            Ok(events)
        })
    }

    /// A page of the log after a position, up to its end.
    pub(crate) fn log_page(
        &self,
        after: Position,
        log_end: Position,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.log.with(|log| pages::select(log, after, Some(log_end), limit))
    }

    /// Rows of the log after a position, up to another, those included that cannot be read.
    pub(crate) fn log_entries(
        &self,
        after: Position,
        up_to: Position,
        limit: PageLimit,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.log.with(|log| entries::select(log, after, up_to, limit))
    }

    /// A checkpoint of somebody who follows the log.
    pub(crate) fn checkpoint(&self, name: &str) -> Result<Option<Checkpoint>, StoreError> {
        self.log.with(|log| Ok(follower_checkpoints::load(log, name)?))
    }

    /// All checkpoints that were ever saved.
    pub(crate) fn checkpoints(&self) -> Result<NamedCheckpoints, StoreError> {
        self.log.with(|log| Ok(follower_checkpoints::load_all(log)?))
    }

    /// Entries of the index of orders that are certain to be all that there are, from a hash on (`None`: the first).
    pub(crate) fn proven_entries(
        &self,
        from: Option<i64>,
        limit: usize,
    ) -> Result<ProvenEntries, StoreError> {
        self.in_views(self.overlay.flushed(), |views| id_ranges::proven_entries(views, from, limit))
    }

    /// Lets go of all snapshots, so that the views' write-ahead log can be copied, or start anew.
    pub(crate) fn end_snapshots(&self) {
        self.views.end_before(self.overlay.renew_snapshots());
    }

    /// What order ids are hashed with.
    pub(crate) fn hash_seed(&self) -> u64 {
        self.hash_seed
    }

    /// The views' file that is being read.
    pub(crate) fn served_file(&self) -> ServedFile {
        self.views.file()
    }

    /// Reads another file of views from now on. It has the same hash seed.
    pub(crate) fn replace_views(&self, views: &Views) {
        self.views.replace(ServedFile { path: views.path().to_owned(), number: views.number() });
    }

    /// Closes the idle connections.
    pub(crate) fn close(&self) {
        self.log.close();
        self.views.close();
    }
}
