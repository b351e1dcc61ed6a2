//! Whether other instances append as well.

use std::time::Duration;

use tokio::time::timeout;

use super::queue::{Batch, QueuedAppends};

/// A wait for the lock on the log's end that is more than the moment that a lock takes.
const NOTICEABLE_WAIT: Duration = Duration::from_micros(150);
/// Batches without such a wait after which an instance takes itself to be alone.
const CALM_BATCHES: u32 = 16;
/// How long a batch waits for the next append that it expects.
const PATIENCE: Duration = Duration::from_millis(1);

/// How long the lock on the log's end was somebody else's lately; and how large a batch is then worth waiting for.
///
/// Alone, an instance sends what it has at once. Among others a batch waits at the server for their commits, and half of the
/// clients get into the batch after it: batches become smaller with each instance, and two instances commit less than half of
/// what one does (`pg-two-instances`). So among others it waits here, for as many appends as it knows to be about to come.
pub(super) struct Rivals {
    calm_batches: u32,
    /// Most of what was on its way when the last batch came back: just answered, or queued.
    expected: usize,
}

impl Rivals {
    pub(super) fn none() -> Self {
        Self { calm_batches: CALM_BATCHES, expected: 0 }
    }

    /// Among others, waits until the batch is as large as expected, or nothing more comes.
    pub(super) async fn gather(&self, batch: &mut Batch, waiting: &mut QueuedAppends) {
        if self.calm_batches >= CALM_BATCHES {
            return;
        }
        while batch.appends.len() < self.expected {
            if !matches!(timeout(PATIENCE, waiting.wait()).await, Ok(true)) || waiting.fill(batch) {
                return;
            }
        }
    }

    /// Takes how long a batch waited for the lock.
    pub(super) fn waited(&mut self, time: Duration) {
        self.calm_batches = if time < NOTICEABLE_WAIT { self.calm_batches.saturating_add(1) } else { 0 };
    }

    /// Takes how large a batch was, and how much was queued when it came back. Not all of them are expected again: the last
    /// few take long, and the database waits with everybody else.
    pub(super) fn came_back(&mut self, batch: usize, queued: usize) {
        self.expected = (batch + queued) * 3 / 4;
    }
}
