//! What waits for the writer: bounded in number and bytes, taken in batches.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use order_application::{Append, AppendError, Position, StoreError};
use tokio::sync::oneshot;

use super::writer::{LeaseJob, Replication};

/// Most appends of one transaction. More would not make the fsync cheaper, only the first of them wait longer.
const MAX_BATCH_APPENDS: usize = 512;
/// Most event data of one transaction, about.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Most jobs with checkpoints that wait. Each follower of the log has one, at most two.
const MAX_LEASE_JOBS: usize = 256;

/// Most calls of a replica that wait: one is prepared while another is written.
const MAX_REPLICATIONS: usize = 4;

/// An append, and who waits for it.
pub(super) struct Job {
    pub(super) append: Append,
    pub(super) done: oneshot::Sender<Result<Position, AppendError>>,
}

/// What one transaction is for.
pub(super) enum Work {
    Batch(Batch),
    Replication(Replication),
}

pub(super) struct Batch {
    pub(super) appends: Vec<Job>,
    pub(super) lease_jobs: Vec<LeaseJob>,
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
    lease_jobs: Vec<LeaseJob>,
    replications: VecDeque<Replication>,
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
        self.wake_writer(state);
        Ok(())
    }

    /// Adds a job with a checkpoint, however many appends are waiting: it goes with the next batch.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] when there are far too many of them.
    pub(super) fn push_lease_job(&self, job: LeaseJob) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.closed {
            return Err(StoreError::Unavailable("the store is closed".to_owned()));
        }
        if state.lease_jobs.len() >= MAX_LEASE_JOBS {
            return Err(StoreError::Overloaded);
        }
        state.lease_jobs.push(job);
        self.wake_writer(state);
        Ok(())
    }

    /// Adds events of another log, a transaction of their own.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] at once when the queue is full.
    pub(super) fn push_replication(&self, replication: Replication) -> Result<(), StoreError> {
        let bytes = replication.appends.iter().map(bytes).sum::<usize>();
        let mut state = self.state();
        if state.closed {
            return Err(StoreError::Unavailable("the store is closed".to_owned()));
        }
        let full = state.replications.len() >= MAX_REPLICATIONS || state.bytes + bytes > self.max_bytes;
        if full && !state.replications.is_empty() {
            return Err(StoreError::Overloaded);
        }
        state.replications.push_back(replication);
        state.bytes += bytes;
        self.wake_writer(state);
        Ok(())
    }

    fn wake_writer(&self, mut state: MutexGuard<'_, State>) {
        let wake = std::mem::take(&mut state.writer_waits);
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
    }

    /// Waits for something to do and takes as much of it as one transaction is for; `None` when the queue is closed and
    /// empty.
    pub(super) fn take(&self) -> Option<Work> {
        let mut state = self.state();
        while state.jobs.is_empty() && state.lease_jobs.is_empty() {
            if let Some(replication) = state.replications.pop_front() {
                state.bytes -= replication.appends.iter().map(bytes).sum::<usize>();
                return Some(Work::Replication(replication));
            }
            if state.closed {
                return None;
            }
            state.writer_waits = true;
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let lease_jobs = std::mem::take(&mut state.lease_jobs);
        let mut appends = Vec::with_capacity(state.jobs.len().min(MAX_BATCH_APPENDS));
        let mut taken = 0;
        while let Some(job) = state.jobs.pop_front() {
            let bytes = bytes(&job.append);
            state.bytes -= bytes;
            taken += bytes;
            appends.push(job);
            if appends.len() == MAX_BATCH_APPENDS || taken >= MAX_BATCH_BYTES {
                break;
            }
        }
        Some(Work::Batch(Batch { appends, lease_jobs }))
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
