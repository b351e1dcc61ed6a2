//! Appends that wait for the writer: bounded in number and bytes, taken in batches.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use order_application::{Append, AppendError, Position, StoreError};
use tokio::sync::oneshot;

/// Most appends of one transaction. More would not make the fsync cheaper, only the first of them wait longer.
const MAX_BATCH_APPENDS: usize = 512;
/// Most event data of one transaction, about.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// An append, and who waits for it.
pub(super) struct Job {
    pub(super) append: Append,
    pub(super) done: oneshot::Sender<Result<Position, AppendError>>,
}

pub(super) struct Queue {
    max_appends: usize,
    max_bytes: usize,
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    bytes: usize,
    writer_waits: bool,
    closed: bool,
}

impl Queue {
    pub(super) fn new(max_appends: usize, max_bytes: usize) -> Self {
        Self { max_appends, max_bytes, state: Mutex::default(), arrived: Condvar::new() }
    }

    /// Adds an append.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] at once when the queue is full.
    pub(super) fn push(&self, job: Job) -> Result<(), StoreError> {
        let bytes = bytes(&job.append);
        let mut state = self.state();
        if state.closed {
            return Err(StoreError::Unavailable("the store is closed".to_owned()));
        }
        // An append that is larger than the whole queue may still go through an empty one.
        let full = state.jobs.len() >= self.max_appends || state.bytes + bytes > self.max_bytes;
        if full && !state.jobs.is_empty() {
            return Err(StoreError::Overloaded);
        }
        state.jobs.push_back(job);
        state.bytes += bytes;
        let wake = std::mem::take(&mut state.writer_waits);
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits for appends and takes the next batch; `None` when the queue is closed and empty.
    pub(super) fn take_batch(&self) -> Option<Vec<Job>> {
        let mut state = self.state();
        while state.jobs.is_empty() {
            if state.closed {
                return None;
            }
            state.writer_waits = true;
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let mut batch = Vec::with_capacity(state.jobs.len().min(MAX_BATCH_APPENDS));
        let mut taken = 0;
        while let Some(job) = state.jobs.pop_front() {
            let bytes = bytes(&job.append);
            state.bytes -= bytes;
            taken += bytes;
            batch.push(job);
            if batch.len() == MAX_BATCH_APPENDS || taken >= MAX_BATCH_BYTES {
                break;
            }
        }
        Some(batch)
    }

    /// Takes no more appends; those that are queued are still written.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.arrived.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bytes(append: &Append) -> usize {
    append.events.iter().map(|event| event.data.len()).sum()
}
