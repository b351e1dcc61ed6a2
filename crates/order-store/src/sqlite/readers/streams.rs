//! Where one order's events are, by overlay and views, and the events that the log has there.

use order_application::{Position, RecordedEvent, StoreError, Unreadable, Version};
use order_domain::OrderId;

use crate::sqlite::log::row::MAX_POSITION;
use crate::sqlite::log::scan::no_event;
use crate::sqlite::log::{end, entries};
use crate::sqlite::readers::{MAX_LIST_ROWS, Readers};
use crate::sqlite::views::overlay::{FlushCount, RecentStream, StreamState};
use crate::sqlite::views::reading;

impl Readers {
    /// The positions of an order's events with versions above `after`, ascending.
    pub(crate) fn stream_positions(
        &self,
        order_id: &OrderId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<(Version, Position)>, StoreError> {
        let (recent, flushed) = self.overlay.stream(order_id);
        let recent = match recent {
            Some(recent) => Some(recent),
            None => self.state_in_views(order_id, flushed)?.map(|stream| (stream, Vec::new())),
        };
        let Some((stream, recent)) = recent else { return Ok(Vec::new()) };
        if stream.is_damaged {
            return Err(Unreadable::Damaged.error(order_id));
        }
        if after >= stream.version {
            return Ok(Vec::new());
        }
        let mut positions = self.positions((stream, recent), flushed, after, MAX_POSITION, limit)?;
        positions.truncate(limit);
        self.check_contiguous(order_id, after, stream.version, limit, &positions)?;
        Ok(positions)
    }

    /// Where an order's events after a version are, by the views up to a position, and by the overlay.
    fn positions(
        &self,
        (stream, recent): RecentStream,
        flushed: FlushCount,
        after: Version,
        reached: Position,
        limit: usize,
    ) -> Result<Vec<(Version, Position)>, StoreError> {
        let mut positions = Vec::new();
        if after == Version::NONE {
            positions.push((Version(1), Position(stream.key)));
        }
        let from = after.max(Version(1));
        let below = recent.first().map_or(stream.version.plus(1), |(version, _)| *version);
        if from.plus(1) < below {
            let read = |views: &_| reading::positions(views, stream.key, from, below, limit);
            let earlier = self.in_views(flushed, read)?;
            positions.extend(earlier.into_iter().take_while(|(_, position)| *position <= reached));
        }
        positions.extend(recent.into_iter().filter(|(version, _)| *version > after));
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
        Err(self.rebuilds.damaged(self.views.number(), what))
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
                        return Err(self.rebuilds.damaged(self.views.number(), what).into());
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

    /// Where an order stands of which the log has just named an event, and where its events before that one are: those in
    /// the views up to the position that they have reached, and those in the overlay. `None` if it is the first.
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
        let positions = self.positions((stream, recent), flushed, Version::NONE, reached, MAX_LIST_ROWS)?;
        self.check_contiguous(order_id, Version::NONE, known, MAX_LIST_ROWS, &positions)?;
        Ok(Some((stream, positions)))
    }
}
