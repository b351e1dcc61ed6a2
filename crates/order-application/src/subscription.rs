//! Following the log from any position: catch up by reading, then live from the bus, and back to reading whenever
//! this subscriber was too slow. Nothing is skipped and nothing comes twice, since positions have no gaps.

use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

use crate::event::{Position, RecordedEvent};
use crate::ports::event_bus::{BusReceiver, EventBus, Missed};
use crate::ports::event_log::{EventLog, LogHistory, PageLimit, StoreError};

/// Events of one read. It bounds what a subscriber holds; more only helps the store.
const CATCH_UP_PAGE: PageLimit = PageLimit { events: 500, bytes: 1024 * 1024 };

/// A reader of the whole log, in order.
pub struct Subscription {
    log: Arc<dyn EventLog>,
    bus: Box<dyn BusReceiver>,
    position: Position,
    /// Of the log, when this began.
    history: LogHistory,
    /// Whether the log has been read up to where the bus goes on.
    live: bool,
    reads_ahead: bool,
    /// The page after `position`, on its way.
    ahead: Option<AbortOnDropHandle<Page>>,
}

type Page = Result<Vec<RecordedEvent>, StoreError>;

impl Subscription {
    /// Follows the log from after `position`.
    pub fn new(log: Arc<dyn EventLog>, bus: &dyn EventBus, position: Position) -> Self {
        // Listening begins before the first read: what is committed in between is heard of.
        let (history, bus) = (log.history(), bus.subscribe());
        Self { log, bus, position, history, live: false, reads_ahead: false, ahead: None }
    }

    /// While it catches up it reads the next page already when it hands one out, so that the store and the subscriber work
    /// at the same time. It then holds two pages.
    #[must_use]
    pub fn reading_ahead(self) -> Self {
        Self { reads_ahead: true, ..self }
    }

    /// The history of the log that its events are of.
    pub fn history(&self) -> LogHistory {
        self.history
    }

    /// The position of the last event that was handed out.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Whether events come from the bus, because the log has been read to where the bus goes on.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// The next events, at least one; waits for them. `None` when the bus has closed and the log is read to its end.
    /// Cancelling the wait loses nothing.
    ///
    /// # Errors
    /// A [`StoreError`] of the read; the next call tries again from the same position. It never goes on where the log has gone
    /// back meanwhile: positions then have other events.
    pub async fn next(&mut self) -> Result<Option<Vec<RecordedEvent>>, StoreError> {
        loop {
            if !self.live {
                let page = self.next_page().await?;
                self.expect_same_history()?;
                if let Some(last) = page.last() {
                    self.position = last.position;
                    if self.reads_ahead {
                        self.ahead = Some(self.read_next());
                    }
                    return Ok(Some(page));
                }
                self.live = true;
            }
            let committed = self.bus.next().await;
            self.expect_same_history()?;
            match committed {
                Ok(committed) if committed.last_position <= self.position => {}
                Ok(committed) => match self.continuing(&committed.events) {
                    Some(events) => {
                        self.position = committed.last_position;
                        return Ok(Some(events));
                    }
                    None => self.live = false,
                },
                Err(Missed::Lagged) => self.live = false,
                Err(Missed::Closed) => {
                    let rest = self.log.read_log(self.position, CATCH_UP_PAGE).await?;
                    self.expect_same_history()?;
                    let Some(last) = rest.last() else { return Ok(None) };
                    self.position = last.position;
                    return Ok(Some(rest));
                }
            }
        }
    }

    /// Asked after each read, and the store answers before: so no event gets past this that is of another history.
    fn expect_same_history(&self) -> Result<(), StoreError> {
        if self.log.history() == self.history {
            return Ok(());
        }
        Err(StoreError::Unavailable(format!(
            "the log has gone back, and position {} means nothing in it",
            self.position
        )))
    }

    async fn next_page(&mut self) -> Page {
        let Some(ahead) = &mut self.ahead else {
            return self.log.read_log(self.position, CATCH_UP_PAGE).await;
        };
        let page = ahead.await;
        self.ahead = None;
        page.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("a read ended early: {error}"))))
    }

    fn read_next(&self) -> AbortOnDropHandle<Page> {
        let (log, after) = (Arc::clone(&self.log), self.position);
        AbortOnDropHandle::new(tokio::spawn(async move { log.read_log(after, CATCH_UP_PAGE).await }))
    }

    /// The announced events that come right after this subscription's position; `None` if there is a gap.
    fn continuing(&self, events: &[RecordedEvent]) -> Option<Vec<RecordedEvent>> {
        let next = self.position.plus(1);
        let from = events.iter().position(|event| event.position == next)?;
        Some(events[from..].to_vec())
    }
}
