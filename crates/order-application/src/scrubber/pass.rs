use tokio::time::Instant;

use super::ScrubberPorts;
use super::stretch::{Difference, Stretch};
use crate::event::Position;
use crate::ports::event_log::{PageLimit, StoreError};

/// Most bytes of a page.
const PAGE_BYTES: usize = 1024 * 1024;

/// One way through the log.
pub(super) struct Pass {
    /// Everything up to here is compared.
    pub(super) position: Position,
    /// The log's end when the pass began. What is appended later is the next pass's, or a log that grows faster than it is
    /// compared would never be gone through.
    pub(super) goal: Position,
    /// What was found to differ.
    pub(super) faults: u64,
    /// Since when it is under way, in this process.
    pub(super) begun: Instant,
    /// When its position was last saved.
    pub(super) saved_at: Instant,
}

impl Pass {
    /// A pass that goes on after `position`; from the start if there is nothing after it, as when the log was restored from a
    /// backup.
    pub(super) fn new(position: Position, goal: Position) -> Self {
        let position = if position < goal { position } else { Position::START };
        let now = Instant::now();
        Self { position, goal, faults: 0, begun: now, saved_at: now }
    }

    /// Where to go on after a restart. A pass that has reached its end is over.
    pub(super) fn resume_after(&self) -> Position {
        if self.position < self.goal { self.position } else { Position::START }
    }

    /// Compares the next page of the log, and answers with where it ends and what differs; `None` at the end of the pass. The
    /// pass stays where it is until it is [moved](Self::move_to).
    pub(super) async fn compare_next(
        &self,
        ports: &ScrubberPorts,
        events: usize,
    ) -> Result<Option<(Position, Vec<Difference>)>, StoreError> {
        if self.position >= self.goal {
            return Ok(None);
        }
        let limit = PageLimit { events, bytes: PAGE_BYTES };
        let mut page = match ports.log.read_log(self.position, limit).await {
            // A page that cannot be read at all begins with an event that cannot.
            Err(why @ (StoreError::Corrupt(_) | StoreError::NewerRelease(_))) => {
                let position = self.position.plus(1);
                return Ok(Some((position, vec![Difference::unreadable_event(position, &why)])));
            }
            page => page?,
        };
        page.retain(|event| event.position <= self.goal);
        let Some(stretch) = Stretch::of(self.position, page) else { return Ok(None) };
        Ok(Some((stretch.last, stretch.differences(&*ports.log, &*ports.views).await?)))
    }

    /// Everything up to `position` is compared; answers with how much that was.
    pub(super) fn move_to(&mut self, position: Position) -> u64 {
        let before = std::mem::replace(&mut self.position, position);
        position.0 - before.0
    }
}
