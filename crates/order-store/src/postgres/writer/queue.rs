//! Appends that wait for the writer: bounded in number and bytes, taken in batches.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use order_application::figures::QueueFigures;
use order_application::{Append, ReceiptKey, StoreError};
use order_domain::OrderId;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

use super::append::Outcome;
use super::trouble::Trouble;

/// Most appends that wait for the writer.
const MAX_APPENDS: usize = 8_192;
/// Most bytes of event data that wait for the writer, or for the database.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Most appends of one transaction. More would not make the commit cheaper, only the first of them wait longer.
const MAX_BATCH_APPENDS: usize = 512;
/// Most event data of one transaction, about.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;
/// What is due so soon is not begun, nor tried again: it would not be answered in time. And the others of its batch, which is sent
/// for as long as the first of them may wait, would have to be sent again for its sake.
pub(super) const TOO_LATE: Duration = Duration::from_millis(20);

/// An append, and who waits for it.
pub(super) struct QueuedAppend {
    pub(super) append: Append,
    pub(super) deadline: Instant,
    /// Whether an earlier attempt may already have succeeded.
    pub(super) may_be_committed: bool,
    /// Set by whoever decides first: the writer, which begins with it, or the caller, who has waited long enough.
    decided: Arc<AtomicBool>,
    done: oneshot::Sender<Outcome>,
    /// For its bytes, until it is answered.
    _room: OwnedSemaphorePermit,
}

impl QueuedAppend {
    /// Whether nobody has decided yet; from now on somebody has.
    fn decide(&self) -> bool {
        !self.decided.swap(true, Ordering::AcqRel)
    }

    /// Whether its caller has decided, as long as the writer has not.
    fn is_withdrawn(&self) -> bool {
        self.decided.load(Ordering::Acquire)
    }

    pub(super) fn answer(self, outcome: Outcome) {
        // Whoever gave up waiting does not hear it.
        let _ = self.done.send(outcome);
    }
}

/// What becomes of an append that was queued.
pub(super) struct QueuedOutcome {
    pub(super) outcome: oneshot::Receiver<Outcome>,
    decided: Arc<AtomicBool>,
}

/// The way into the queue.
pub(super) struct Queue {
    line: Arc<Line>,
    room: Arc<Semaphore>,
}

impl Queue {
    /// `trouble` is what whoever waited in vain is told.
    pub(super) fn new(trouble: &Arc<Trouble>) -> (Self, QueuedAppends) {
        let line = Arc::<Line>::default();
        let queue = Self { line: Arc::clone(&line), room: Arc::new(Semaphore::new(MAX_BYTES)) };
        (queue, QueuedAppends { line, next: None, trouble: Arc::clone(trouble) })
    }

    /// # Errors
    /// [`StoreError::Overloaded`] at once when the queue is full.
    pub(super) fn push(&self, append: Append, deadline: Instant) -> Result<QueuedOutcome, StoreError> {
        // An append that is larger than the whole queue may still go through an empty one.
        let bytes = u32::try_from(event_bytes(&append).min(MAX_BYTES)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes);
        let room = room.map_err(|_| StoreError::Overloaded)?;
        let decided = Arc::<AtomicBool>::default();
        let (done, outcome) = oneshot::channel();
        self.line.push(QueuedAppend {
            append,
            deadline,
            may_be_committed: false,
            decided: Arc::clone(&decided),
            done,
            _room: room,
        })?;
        Ok(QueuedOutcome { outcome, decided })
    }

    /// Withdraws an append, so that the writer never begins with it. Its room comes back when it reaches the front. `false`: the
    /// writer has begun with it.
    pub(super) fn withdraw(&self, queued: &QueuedOutcome) -> bool {
        let is_withdrawn = !queued.decided.swap(true, Ordering::AcqRel);
        if is_withdrawn {
            self.line.let_go();
        }
        is_withdrawn
    }

    /// What waits, and the bytes of that and of what the database is working on.
    pub(super) fn figures(&self) -> QueueFigures {
        QueueFigures {
            requests: self.line.state().appends.len(),
            bytes: MAX_BYTES - self.room.available_permits(),
            max_requests: MAX_APPENDS,
            max_bytes: MAX_BYTES,
        }
    }

    /// Takes no more appends.
    pub(super) fn close(&self) {
        self.line.state().closed = true;
        self.line.arrived.notify_one();
    }
}

fn event_bytes(append: &Append) -> usize {
    append.events.iter().map(|event| event.data.len()).sum()
}

/// What waits, in the order in which it came.
#[derive(Default)]
struct Line {
    state: Mutex<LineState>,
    arrived: Notify,
}

#[derive(Default)]
struct LineState {
    appends: VecDeque<QueuedAppend>,
    closed: bool,
}

impl Line {
    fn push(&self, queued: QueuedAppend) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.closed {
            return Err(StoreError::Unavailable("the store is closed".to_owned()));
        }
        if state.appends.len() >= MAX_APPENDS {
            return Err(StoreError::Overloaded);
        }
        state.appends.push_back(queued);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits for something to pop. `None`: nothing comes any more.
    async fn wait(&self) -> Option<QueuedAppend> {
        loop {
            let (popped, closed) = self.pop_or_closed();
            if popped.is_some() || closed {
                return popped;
            }
            self.arrived.notified().await;
        }
    }

    fn pop_or_closed(&self) -> (Option<QueuedAppend>, bool) {
        let mut state = self.state();
        (state.appends.pop_front(), state.closed)
    }

    /// Lets go of what was withdrawn. It is in front, since all have the same time to wait, but for those few whose clients'
    /// time ends sooner.
    fn let_go(&self) {
        let mut state = self.state();
        while state.appends.front().is_some_and(QueuedAppend::is_withdrawn) {
            state.appends.pop_front();
        }
    }

    fn state(&self) -> MutexGuard<'_, LineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way out of the queue.
pub(super) struct QueuedAppends {
    line: Arc<Line>,
    /// Popped, but not in a batch yet.
    next: Option<QueuedAppend>,
    trouble: Arc<Trouble>,
}

impl QueuedAppends {
    /// Waits for an append, unless one did not fit the batch before. `false`: the queue is closed and empty.
    pub(super) async fn wait(&mut self) -> bool {
        if self.next.is_none() {
            self.next = self.line.wait().await;
        }
        self.next.is_some()
    }

    /// Adds what waits, as far as it may go together. What is due too soon is answered instead: nothing of it happened. Says
    /// whether there is more than that.
    pub(super) fn fill(&mut self, batch: &mut Batch) -> bool {
        let soon = Instant::now() + TOO_LATE;
        while let Some(queued) = self.next.take().or_else(|| self.line.pop_or_closed().0) {
            if queued.is_withdrawn() {
                continue;
            }
            if queued.deadline <= soon {
                if queued.decide() {
                    queued.answer(Err(self.trouble.refusal()));
                }
                continue;
            }
            if !batch.takes(&queued.append) {
                self.next = Some(queued);
                return true;
            }
            // Its caller may have withdrawn it just now.
            if queued.decide() {
                batch.add(queued);
            }
        }
        false
    }

    pub(super) fn len(&self) -> usize {
        self.line.state().appends.len()
    }
}

/// Appends that go together: not too many bytes, and neither an order nor a key twice.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) appends: Vec<QueuedAppend>,
    orders: HashSet<OrderId>,
    keys: HashSet<ReceiptKey>,
    bytes: usize,
}

impl Batch {
    /// Whether an append may go with those that it has.
    fn takes(&self, append: &Append) -> bool {
        self.appends.len() < MAX_BATCH_APPENDS
            && self.bytes < MAX_BATCH_BYTES
            && !self.orders.contains(&append.order_id)
            && !append.receipt.as_ref().is_some_and(|receipt| self.keys.contains(&receipt.key))
    }

    fn add(&mut self, queued: QueuedAppend) {
        let append = &queued.append;
        self.bytes += event_bytes(append);
        self.orders.insert(append.order_id.clone());
        self.keys.extend(append.receipt.as_ref().map(|receipt| receipt.key));
        self.appends.push(queued);
    }
}

#[cfg(test)]
mod tests;
