//! What waits for the writer: bounded in number, bytes and time, taken in batches.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use order_application::figures::QueueFigures;
use order_application::{
    Append, AppendError, Checkpoint, Epoch, Position, Receipt, ReceiptAge, StoreError, Trimmed,
};
use tokio::sync::oneshot;

use crate::sqlite::SqliteLimits;

/// Most appends of one transaction. More would not make the fsync cheaper, only the first of them wait longer.
const MAX_BATCH_APPENDS: usize = 512;
/// Most event data of one transaction, about.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Most requests for leases and checkpoints that wait. Each follower of the log has one, at most two.
const MAX_LEASE_REQUESTS: usize = 256;
/// Most calls of a replica that wait: one is prepared while another is written.
const MAX_REPLICATIONS: usize = 4;
/// Most calls that wait to have old receipts deleted: one process makes one at a time.
const MAX_TRIMS: usize = 4;

/// An append, and who waits for it.
pub(crate) struct QueuedAppend {
    pub(crate) append: Append,
    pub(crate) since: Instant,
    pub(crate) done: oneshot::Sender<Result<Position, AppendError>>,
}

/// Something to do with a follower's checkpoint, and who waits for it.
pub(crate) struct QueuedLeaseRequest {
    pub(crate) name: Box<str>,
    pub(crate) request: LeaseRequest,
    /// Is told the epoch that the lease was given, or that a checkpoint was saved under.
    pub(crate) done: oneshot::Sender<Result<Option<Epoch>, StoreError>>,
}

pub(crate) enum LeaseRequest {
    Claim { holder: Box<str> },
    Release { holder: Box<str>, epoch: Epoch },
    Save { epoch: Epoch, checkpoint: Checkpoint },
}

/// What one call of a replica brings, and who waits for it.
pub(crate) struct QueuedReplication {
    pub(crate) appends: Vec<Append>,
    pub(crate) name: Box<str>,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) done: oneshot::Sender<Result<(), StoreError>>,
}

/// A receipt without events, and who waits for it.
pub(crate) struct QueuedReceipt {
    pub(crate) receipt: Receipt,
    pub(crate) since: Instant,
    /// Is told what is under the key then.
    pub(crate) done: oneshot::Sender<Result<Receipt, StoreError>>,
}

/// Old receipts are to be deleted, and somebody waits for that.
pub(crate) struct QueuedTrim {
    pub(crate) age: ReceiptAge,
    pub(crate) limit: usize,
    /// Is told what became of them.
    pub(crate) done: oneshot::Sender<Result<Trimmed, StoreError>>,
}

/// What one transaction is for.
pub(crate) enum WriterWork {
    Appends(Vec<QueuedAppend>),
    Lease(QueuedLeaseRequest),
    Receipts(Vec<QueuedReceipt>),
    Trim(QueuedTrim),
    Replication(QueuedReplication),
}

pub(crate) struct Queue {
    max_appends: usize,
    max_bytes: usize,
    max_wait: Duration,
    state: Mutex<QueueState>,
    arrived: Condvar,
}

#[derive(Default)]
struct QueueState {
    appends: VecDeque<QueuedAppend>,
    lease_requests: VecDeque<QueuedLeaseRequest>,
    replications: VecDeque<QueuedReplication>,
    receipts: VecDeque<QueuedReceipt>,
    trims: VecDeque<QueuedTrim>,
    /// Whether receipts went last: they and appends take turns.
    receipts_went: bool,
    bytes: usize,
    writer_waits: bool,
    closed: bool,
}

impl Queue {
    pub(crate) fn new(limits: &SqliteLimits) -> Self {
        Self {
            max_appends: limits.queued_appends,
            max_bytes: limits.queued_bytes,
            max_wait: limits.queue_wait,
            state: Mutex::default(),
            arrived: Condvar::new(),
        }
    }

    /// Adds an append.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] at once when the queue is full.
    pub(crate) fn push(&self, queued: QueuedAppend) -> Result<(), StoreError> {
        let bytes = event_bytes(&queued.append);
        self.push_to(|state| &mut state.appends, queued, self.max_appends, bytes)
    }

    /// Adds a request for a lease, however many appends are waiting: it goes before them.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] when there are far too many of them.
    pub(crate) fn push_lease_request(&self, queued: QueuedLeaseRequest) -> Result<(), StoreError> {
        self.push_to(|state| &mut state.lease_requests, queued, MAX_LEASE_REQUESTS, 0)
    }

    /// Adds events of another log, a transaction of their own.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] at once when the queue is full.
    pub(crate) fn push_replication(&self, queued: QueuedReplication) -> Result<(), StoreError> {
        let bytes = queued.appends.iter().map(event_bytes).sum();
        self.push_to(|state| &mut state.replications, queued, MAX_REPLICATIONS, bytes)
    }

    /// Adds a receipt without events.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] at once when the queue is full.
    pub(crate) fn push_receipt(&self, queued: QueuedReceipt) -> Result<(), StoreError> {
        self.push_to(|state| &mut state.receipts, queued, self.max_appends, 0)
    }

    /// Adds a call to have old receipts deleted.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] when there are too many of them.
    pub(crate) fn push_trim(&self, queued: QueuedTrim) -> Result<(), StoreError> {
        self.push_to(|state| &mut state.trims, queued, MAX_TRIMS, 0)
    }

    fn push_to<T>(
        &self,
        line: impl Fn(&mut QueueState) -> &mut VecDeque<T>,
        queued: T,
        most: usize,
        bytes: usize,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.closed {
            return Err(StoreError::Unavailable("the store is closed".to_owned()));
        }
        let has_room = bytes == 0 || state.bytes + bytes <= self.max_bytes;
        let line = line(&mut state);
        // What is larger than the whole queue may still go through an empty one.
        if !line.is_empty() && (line.len() >= most || !has_room) {
            return Err(StoreError::Overloaded);
        }
        line.push_back(queued);
        state.bytes += bytes;
        let wake = std::mem::take(&mut state.writer_waits);
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits for something to do and takes as much of it as one transaction is for; `None` when the queue is closed and
    /// empty.
    pub(crate) fn take(&self) -> Option<WriterWork> {
        self.refuse_late();
        let mut state = self.state();
        loop {
            if let Some(work) = state.take() {
                return Some(work);
            }
            if state.closed {
                return None;
            }
            state.writer_waits = true;
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Refuses what clients have waited for too long: nothing of it has been begun, and nothing will be. Answers with how long
    /// it takes at least until something else is late.
    pub(crate) fn refuse_late(&self) -> Duration {
        let now = Instant::now();
        let is_late = |since: Instant| now.duration_since(since) >= self.max_wait;
        let mut state = self.state();
        let appends = state.take_late_appends(is_late);
        let receipts = pop_while(&mut state.receipts, |queued| is_late(queued.since));
        let oldest = [
            state.appends.front().map(|queued| queued.since),
            state.receipts.front().map(|queued| queued.since),
        ];
        drop(state);
        #[cfg(feature = "planted-faults")]
        self.plant_late_but_written(&appends);
        // Whoever gave up waiting does not hear it.
        for QueuedAppend { done, .. } in appends {
            let _ = done.send(Err(StoreError::Overloaded.into()));
        }
        for QueuedReceipt { done, .. } in receipts {
            let _ = done.send(Err(StoreError::Overloaded));
        }
        let oldest = oldest.into_iter().flatten().min();
        self.max_wait.saturating_sub(oldest.map_or(Duration::ZERO, |since| now.duration_since(since)))
    }

    /// What waits: appends, and bytes of events in all.
    pub(crate) fn figures(&self) -> QueueFigures {
        let state = self.state();
        QueueFigures {
            requests: state.appends.len(),
            bytes: state.bytes,
            max_requests: self.max_appends,
            max_bytes: self.max_bytes,
        }
    }

    /// Takes no more appends; those that are queued are still written.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.arrived.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    /// What is to be done next, if there is anything. What is seldom and small goes first.
    fn take(&mut self) -> Option<WriterWork> {
        if let Some(request) = self.lease_requests.pop_front() {
            return Some(WriterWork::Lease(request));
        }
        if let Some(trim) = self.trims.pop_front() {
            return Some(WriterWork::Trim(trim));
        }
        let receipts_go = !self.receipts.is_empty() && (self.appends.is_empty() || !self.receipts_went);
        self.receipts_went = receipts_go;
        if receipts_go {
            let most = self.receipts.len().min(MAX_BATCH_APPENDS);
            return Some(WriterWork::Receipts(self.receipts.drain(..most).collect()));
        }
        if !self.appends.is_empty() {
            return Some(WriterWork::Appends(self.take_appends()));
        }
        let replication = self.replications.pop_front()?;
        self.bytes -= replication.appends.iter().map(event_bytes).sum::<usize>();
        Some(WriterWork::Replication(replication))
    }

    /// Those that have waited the longest are in front.
    fn take_late_appends(&mut self, is_late: impl Fn(Instant) -> bool) -> Vec<QueuedAppend> {
        let late = pop_while(&mut self.appends, |queued| is_late(queued.since));
        self.bytes -= late.iter().map(|queued| event_bytes(&queued.append)).sum::<usize>();
        late
    }

    fn take_appends(&mut self) -> Vec<QueuedAppend> {
        let mut appends = Vec::with_capacity(self.appends.len().min(MAX_BATCH_APPENDS));
        let mut taken = 0;
        while let Some(queued) = self.appends.pop_front() {
            let bytes = event_bytes(&queued.append);
            self.bytes -= bytes;
            taken += bytes;
            appends.push(queued);
            if appends.len() == MAX_BATCH_APPENDS || taken >= MAX_BATCH_BYTES {
                break;
            }
        }
        appends
    }
}

fn pop_while<T>(line: &mut VecDeque<T>, is_wanted: impl Fn(&T) -> bool) -> Vec<T> {
    let wanted = line.iter().take_while(|queued| is_wanted(queued)).count();
    line.drain(..wanted).collect()
}

fn event_bytes(append: &Append) -> usize {
    append.events.iter().map(|event| event.data.len()).sum()
}

#[cfg(test)]
mod tests;
