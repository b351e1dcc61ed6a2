//! One live feed.

use std::sync::Arc;

use axum::body::Bytes;
use order_application::Position;
use tokio::time::Interval;

use super::hub::Hub;
use super::page::{FeedOptions, Page};
use super::tail::{Next, Turn};
use crate::shares::Share;

/// A reader of the log that hands out frames. It holds a page only while it waits for its turn; what it has handed out is
/// the connection's.
pub(crate) struct Feed {
    pub(super) hub: Arc<Hub>,
    pub(super) options: Arc<FeedOptions>,
    /// The last event that was looked at.
    pub(super) position: Position,
    pub(super) heartbeat: Interval,
    /// Set while it has everything.
    pub(super) at_end: Option<Turn>,
    /// Lets the next feed in when this one is over, or has to make place for it.
    pub(super) place: Share,
}

impl Feed {
    /// The next bytes to send; `None` ends the feed, and the client comes back with the id that it saw last. Cancelling the
    /// wait loses nothing.
    pub(crate) async fn next_chunk(&mut self) -> Option<Bytes> {
        let Self { hub, options, position, heartbeat, at_end, place: share } = self;
        if share.is_called_in() {
            return None;
        }
        tokio::select! {
            biased;
            // Before the events, so that a feed whose filter lets nothing through is kept alive as well.
            _ = heartbeat.tick() => Some(place(*position)),
            frames = next_frames(hub, options, position, at_end) => frames,
            () = share.called_in() => None,
        }
    }

    /// How far the log has been looked at.
    pub(crate) fn place(&self) -> Bytes {
        place(self.position)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.hub.tail.feed_closed();
    }
}

/// Without data it is no message, and clients remember it all the same.
fn place(position: Position) -> Bytes {
    format!("id: {position}\n\n").into()
}

async fn next_frames(
    hub: &Hub,
    options: &Arc<FeedOptions>,
    position: &mut Position,
    at_end: &mut Option<Turn>,
) -> Option<Bytes> {
    // Who was woken at the end of the log was woken in its turn.
    let mut has_turn = false;
    loop {
        if let Some(turn) = at_end {
            // An error means that there will be no more, which is found out below.
            let _ = turn.await;
            *at_end = None;
            has_turn = true;
        }
        let page = match hub.tail.next_after(*position) {
            Next::Over => return None,
            Next::AtEnd(turn) => {
                *at_end = Some(turn);
                continue;
            }
            Next::Batch(batch) => hub.pages.of_batch(options, hub.history, &batch).await,
            Next::Behind => hub.pages.of_log(options, hub.history, *position).await?,
        };
        let Page { last, .. } = *page;
        let frames = page.frames_after(*position);
        if frames.is_empty() {
            *position = last.max(*position);
            continue;
        }
        if !has_turn {
            hub.tail.turn().await;
        }
        *position = last;
        return Some(frames);
    }
}
