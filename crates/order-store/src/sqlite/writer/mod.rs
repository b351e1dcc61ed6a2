//! The only thread that appends to the log: it takes what has queued up, checks versions, and commits all of it with
//! one fsync.

mod leases;
#[cfg(feature = "planted-faults")]
mod planted_faults;
mod positioning;
mod queue;
mod receipts;
mod replication;
mod thread;
mod wal_copier;

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use order_application::figures::{QueueFigures, Shed};
use order_application::{
    Append, AppendError, Checkpoint, Epoch, EventBus, Position, Receipt, ReceiptAge, StoreError, Trimmed,
};
use tokio::sync::{mpsc, oneshot};

use crate::sqlite::log::{Log, LogEnds};
use crate::sqlite::state::StoreState;
use crate::sqlite::threads::StoreThread;
use crate::sqlite_error::SqliteError;
use queue::{Queue, QueuedAppend, QueuedLeaseRequest, QueuedReceipt, QueuedReplication, QueuedTrim};
use thread::{AppendAnswer, LeaseHolders, LogWriterThread};
use wal_copier::WalCopier;

pub(crate) use queue::LeaseRequest;

/// The writer's thread, and the way to it.
pub(crate) struct LogWriter {
    shared: Arc<StoreState>,
    queue: Arc<Queue>,
    thread: StoreThread,
    wal_copier: StoreThread,
}

impl LogWriter {
    pub(crate) fn start(
        shared: Arc<StoreState>,
        log: Log,
        bus: Arc<dyn EventBus>,
    ) -> Result<Self, SqliteError> {
        let queue = Arc::new(Queue::new(&shared.limits));
        let (answers, batches) = mpsc::unbounded_channel();
        tokio::spawn(hand_out(batches));
        tokio::spawn(refuse_late(Arc::downgrade(&queue)));
        let (copier, wal_copier) = WalCopier::start(Arc::clone(&shared))?;
        let log_ends = LogEnds::of(log.connection()).map_err(SqliteError::sqlite(&shared.log_path))?;
        let thread = LogWriterThread {
            log_ends,
            shared: Arc::clone(&shared),
            queue: Arc::clone(&queue),
            log,
            bus,
            answers,
            lease_holders: LeaseHolders::default(),
            wal_copier: copier,
        };
        let thread = StoreThread::start("log-writer", &shared.log_path, move || thread.run())?;
        Ok(Self { shared, queue, thread, wal_copier })
    }

    /// Has an append committed.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] at once when the queue or the overlay is full, or when the append has waited too long for
    /// the writer to begin with it.
    pub(crate) async fn append(&self, append: Append) -> Result<Position, AppendError> {
        self.check_room()?;
        let (done, outcome) = oneshot::channel();
        self.queue.push(QueuedAppend { append, since: Instant::now(), done }).inspect_err(self.full())?;
        // The writer answers everything that it took, unless it died half-way.
        let outcome = outcome.await.unwrap_or_else(|_| Err(writer_ended().into()));
        if matches!(outcome, Err(AppendError::Store(StoreError::Overloaded))) {
            self.shared.writing.shed(Shed::WaitedTooLong);
        }
        outcome
    }

    /// Has a lease changed, or a checkpoint saved.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] when far too many others wait for that.
    pub(crate) async fn lease(&self, name: &str, request: LeaseRequest) -> Result<Option<Epoch>, StoreError> {
        self.shared.health.check()?;
        let (done, outcome) = oneshot::channel();
        self.queue.push_lease_request(QueuedLeaseRequest { name: name.into(), request, done })?;
        outcome.await.unwrap_or_else(|_| Err(writer_ended()))
    }

    /// Has a receipt kept that comes without events. Answers with the one that is under its key then.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] as with appends.
    pub(crate) async fn keep_receipt(&self, receipt: Receipt) -> Result<Receipt, StoreError> {
        self.check_room()?;
        let (done, outcome) = oneshot::channel();
        let queued = QueuedReceipt { receipt, since: Instant::now(), done };
        self.queue.push_receipt(queued).inspect_err(self.full())?;
        let outcome = outcome.await.unwrap_or_else(|_| Err(writer_ended()));
        if matches!(outcome, Err(StoreError::Overloaded)) {
            self.shared.writing.shed(Shed::WaitedTooLong);
        }
        outcome
    }

    /// Has some of the oldest receipts deleted.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] when others wait for that.
    pub(crate) async fn trim_receipts(&self, age: ReceiptAge, limit: usize) -> Result<Trimmed, StoreError> {
        self.shared.health.check()?;
        let (done, outcome) = oneshot::channel();
        self.queue.push_trim(QueuedTrim { age, limit, done })?;
        outcome.await.unwrap_or_else(|_| Err(writer_ended()))
    }

    /// Has events of another log committed, with the checkpoint that they bring their follower to.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] at once when the queue or the overlay is full.
    pub(crate) async fn replicate(
        &self,
        appends: Vec<Append>,
        name: &str,
        checkpoint: Checkpoint,
    ) -> Result<(), StoreError> {
        self.check_room()?;
        let (done, outcome) = oneshot::channel();
        self.queue.push_replication(QueuedReplication { appends, name: name.into(), checkpoint, done })?;
        outcome.await.unwrap_or_else(|_| Err(writer_ended()))
    }

    fn check_room(&self) -> Result<(), StoreError> {
        self.shared.health.check()?;
        let is_full = self.shared.readers.overlay.active_bytes() >= self.shared.limits.overlay_bytes;
        if is_full {
            self.shared.writing.shed(Shed::ViewsBehind);
            return Err(StoreError::Overloaded);
        }
        Ok(())
    }

    /// Counts what the queue refuses because it is full.
    fn full(&self) -> impl Fn(&StoreError) {
        |error| {
            if *error == StoreError::Overloaded {
                self.shared.writing.shed(Shed::QueueFull);
            }
        }
    }

    /// What waits for the writer.
    pub(crate) fn queued(&self) -> QueueFigures {
        self.queue.figures()
    }

    /// Writes what is queued, and ends.
    pub(crate) fn finish(&self) {
        self.queue.close();
        self.thread.join();
        self.wal_copier.join();
    }
}

fn writer_ended() -> StoreError {
    StoreError::OutcomeUnknown("the store's writer ended".to_owned())
}

/// Hands out the answers of a batch on the runtime's own threads: to wake sixty tasks from outside costs the writer sixty
/// wake-ups, to wake this one costs one.
async fn hand_out(mut batches: mpsc::UnboundedReceiver<Vec<AppendAnswer>>) {
    while let Some(answers) = batches.recv().await {
        for (done, outcome) in answers {
            // Whoever gave up waiting does not hear it.
            let _ = done.send(outcome);
        }
    }
}

/// Late ones that come within this time are refused together.
const GATHERED: Duration = Duration::from_millis(10);

/// Refuses what waits too long while the writer is busy with others, until the store is gone.
async fn refuse_late(queue: Weak<Queue>) {
    while let Some(queue) = queue.upgrade() {
        let nobody_is_late_for = queue.refuse_late();
        drop(queue);
        tokio::time::sleep(nobody_is_late_for.max(GATHERED)).await;
    }
}
