//! The only thread that appends to the log: it takes what has queued up, checks versions, and commits all of it with
//! one fsync.

mod leases;
mod placement;
#[cfg(feature = "planted-faults")]
mod planted_faults;
mod replication;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use order_application::{Append, AppendError, Committed, Epoch, EventBus, Position, StoreError};
use tokio::sync::{mpsc, oneshot};

use super::Shared;
use super::checkpointer::CheckpointSignal;
use super::connection::{OpenError, is_damage};
use super::log::Log;
use super::overlay::Appended;
use super::queue::{Batch, Job, Queue, Work};
use super::row::Place;
use super::space::{index_cannot_grow, is_exhausted};
use super::view_writer::FlushSignal;

use leases::Leases;
pub(super) use leases::{LeaseJob, LeaseRequest};
use placement::{Accepted, Placement};
pub(super) use replication::Replication;

/// The writer's thread, and the way to it.
pub(super) struct Writer {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(
        shared: Arc<Shared>,
        log: Log,
        bus: Arc<dyn EventBus>,
        flush: FlushSignal,
        checkpoint: CheckpointSignal,
    ) -> Result<Self, OpenError> {
        let queue = Arc::new(Queue::new(shared.limits.queued_appends, shared.limits.queued_bytes));
        let path = log.path().to_owned();
        let (answers, batches) = mpsc::unbounded_channel();
        tokio::spawn(hand_out(batches));
        let thread = WriterThread {
            head: shared.head(),
            shared: Arc::clone(&shared),
            queue: Arc::clone(&queue),
            log,
            bus,
            flush,
            checkpoint,
            answers,
            leases: Leases::default(),
        };
        let handle = std::thread::Builder::new().name("log-writer".to_owned()).spawn(move || thread.run());
        let handle = handle.map_err(OpenError::io(&path))?;
        Ok(Self { shared, queue, thread: Mutex::new(Some(handle)) })
    }

    /// Hands an append to the writer.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] at once when the queue or the overlay is full.
    pub(super) fn submit(
        &self,
        append: Append,
    ) -> Result<oneshot::Receiver<Result<Position, AppendError>>, StoreError> {
        if self.shared.overlay.active_bytes() >= self.shared.limits.overlay_bytes {
            return Err(StoreError::Overloaded);
        }
        let (done, outcome) = oneshot::channel();
        self.queue.push(Job { append, done })?;
        Ok(outcome)
    }

    /// Hands a job with a checkpoint to the writer.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] when there are far too many of them.
    pub(super) fn submit_lease_job(&self, job: LeaseJob) -> Result<(), StoreError> {
        self.queue.push_lease_job(job)
    }

    /// Hands events of another log to the writer.
    ///
    /// # Errors
    /// [`StoreError::Overloaded`] at once when the queue or the overlay is full.
    pub(super) fn submit_replication(&self, replication: Replication) -> Result<(), StoreError> {
        if self.shared.overlay.active_bytes() >= self.shared.limits.overlay_bytes {
            return Err(StoreError::Overloaded);
        }
        self.queue.push_replication(replication)
    }

    /// Writes what is queued, and ends.
    pub(super) fn finish(&self) {
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic in the writer has been told by the panic hook.
            let _ = thread.join();
        }
    }
}

struct WriterThread {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    log: Log,
    bus: Arc<dyn EventBus>,
    flush: FlushSignal,
    checkpoint: CheckpointSignal,
    /// As long as the queue, at most: an append is in one or the other.
    answers: mpsc::UnboundedSender<Vec<Answer>>,
    head: Position,
    leases: Leases,
}

/// Who waits for an append.
type Waiting = oneshot::Sender<Result<Position, AppendError>>;
/// Who waits for an append, and what became of it.
type Answer = (Waiting, Result<Position, AppendError>);

/// Hands out the answers of a batch on the runtime's own threads: to wake sixty tasks from outside costs the writer sixty
/// wake-ups, to wake this one costs one.
async fn hand_out(mut batches: mpsc::UnboundedReceiver<Vec<Answer>>) {
    while let Some(answers) = batches.recv().await {
        for (done, outcome) in answers {
            // Whoever gave up waiting does not hear it.
            let _ = done.send(outcome);
        }
    }
}

impl WriterThread {
    fn run(mut self) {
        while let Some(work) = self.queue.take() {
            match work {
                Work::Batch(batch) => {
                    let answers = match self.shared.health.check() {
                        Ok(()) => self.settle(batch),
                        Err(error) => refuse(batch, &error),
                    };
                    // It fails when the runtime has gone, and all who waited with it.
                    let _ = self.answers.send(answers);
                }
                Work::Replication(replication) => self.replicate(replication),
            }
            if self.checkpoint.must_finish()
                && let Err(error) = self.log.finish_checkpoint()
                && !is_exhausted(&error, self.log.path())
            {
                self.shared.health.stop(format!("checkpoint of the log: {error}"));
            }
        }
    }

    /// Commits the appends of a batch that can be, and says what became of each.
    fn settle(&mut self, Batch { appends, mut lease_jobs }: Batch) -> Vec<Answer> {
        let (accepted, mut answers) = self.check_versions(appends);
        if accepted.is_empty() && lease_jobs.is_empty() {
            return answers;
        }
        #[cfg(feature = "planted-faults")]
        let accepted = self.plant_ack_before_commit(accepted);
        let mut written = self.write(&accepted, &lease_jobs);
        if let Err(error) = &written
            && !lease_jobs.is_empty()
            && is_damage(error)
            && self.log.roll_back().is_ok()
        {
            // What is wrong with the checkpoints does not keep events from being appended. Nothing has failed to be written.
            let corrupt = StoreError::Corrupt(format!("checkpoints: {error}"));
            for job in lease_jobs.drain(..) {
                let _ = job.done.send(Err(corrupt.clone()));
            }
            written = if accepted.is_empty() { Ok(Vec::new()) } else { self.write(&accepted, &[]) };
        }
        match written {
            Ok(epochs) => {
                self.show(accepted, |waiting, position| answers.push((waiting, Ok(position))));
                self.answer_lease_jobs(lease_jobs, epochs);
            }
            Err(error) => {
                let error = self.after_failed_commit(&error);
                for job in lease_jobs {
                    let _ = job.done.send(Err(error.clone()));
                }
                // Those that were refused may have been so because of appends that have now failed as well.
                for (_, outcome) in &mut answers {
                    *outcome = Err(error.clone().into());
                }
                answers.extend(accepted.into_iter().map(|a| (a.waiting, Err(error.clone().into()))));
            }
        }
        answers
    }

    fn check_versions(&self, batch: Vec<Job>) -> (Vec<Accepted<Waiting>>, Vec<Answer>) {
        let order_ids = batch.iter().map(|job| &job.append.order_id);
        let Shared { overlay, known_orders, readers, .. } = &*self.shared;
        let heads = readers.order_heads(overlay, known_orders, order_ids);
        let mut accepted = Vec::with_capacity(batch.len());
        let mut refused = Vec::new();
        let mut placement = Placement::new(self.head, batch.len());
        for (Job { append, done }, head) in batch.into_iter().zip(heads) {
            // One order whose view cannot be read does not stop the others.
            let head = match head {
                Ok(head) => head,
                Err(error) => {
                    refused.push((done, Err(error.into())));
                    continue;
                }
            };
            match placement.place(append, head, done) {
                Ok(placed) => accepted.push(placed),
                Err((current, _, done)) => refused.push((done, Err(AppendError::Conflict { current }))),
            }
        }
        (accepted, refused)
    }

    /// Answers with what each of the jobs is to be told.
    fn write(
        &mut self,
        accepted: &[Accepted<Waiting>],
        lease_jobs: &[LeaseJob],
    ) -> rusqlite::Result<Vec<Option<Epoch>>> {
        self.log.begin()?;
        self.log.insert(accepted.iter().map(place))?;
        if lease_jobs.is_empty() {
            self.log.commit()?;
            return Ok(Vec::new());
        }
        let mut leases = self.leases.clone();
        let epochs =
            lease_jobs.iter().map(|job| leases.carry_out(job, &self.log)).collect::<Result<_, _>>()?;
        self.log.commit()?;
        self.leases = leases;
        Ok(epochs)
    }

    /// Makes a commit visible to readers. Only then may it be acknowledged.
    fn show<W>(&mut self, accepted: Vec<Accepted<W>>, mut answer: impl FnMut(W, Position)) {
        if accepted.is_empty() {
            return;
        }
        let mut bytes = 0;
        let mut committed = Vec::new();
        let mut changes = Vec::with_capacity(accepted.len());
        let announce = self.bus.has_subscribers();
        for Accepted { append, key, first_position, waiting } in accepted {
            let last_position = Position(first_position.0 + append.events.len() as u64 - 1);
            self.head = last_position;
            bytes += append.events.iter().map(|event| event.data.len() + ROW_OVERHEAD_BYTES).sum::<usize>();
            // Its first event, whatever version that has: a replica also keeps orders that its primary's log has damaged.
            if key == first_position.0 {
                self.shared.known_orders.add(&append.order_id);
            }
            let last_event_id = append.events.last().map(|event| event.id).unwrap_or_default();
            if announce {
                committed.extend(append.recorded_at(first_position));
            }
            changes.push(Appended {
                key,
                first_position,
                first_version: append.expected_version.plus(1),
                events: append.events.len() as u64,
                last_event_id,
                view: append.view,
            });
            answer(waiting, last_position);
        }
        self.shared.overlay.add(changes);
        self.shared.head.store(self.head.0, Ordering::Release);
        // Asked again: whoever subscribed since would otherwise miss the news, though not the events.
        if announce || self.bus.has_subscribers() {
            self.bus.publish(Committed { last_position: self.head, events: committed.into() });
        }
        self.flush.after_commit(&self.shared);
        self.checkpoint.after_commit(bytes);
    }

    /// Takes the transaction back and says what that means for the appends in it.
    fn after_failed_commit(&mut self, error: &rusqlite::Error) -> StoreError {
        if let Err(error) = self.log.roll_back() {
            let why = format!("rolling back: {error}");
            self.shared.health.stop(why.clone());
            return StoreError::OutcomeUnknown(why);
        }
        if is_exhausted(error, self.log.path()) {
            return StoreError::StorageFull;
        }
        if index_cannot_grow(error) {
            return StoreError::OutcomeUnknown("no space left for the write-ahead log's index".to_owned());
        }
        // After a failed write or fsync nobody knows what is on the disk. Trying again might succeed and be a lie.
        let why = format!("writing {}: {error}", self.log.path().display());
        self.shared.health.stop(why.clone());
        StoreError::OutcomeUnknown(why)
    }
}

fn place<W>(accepted: &Accepted<W>) -> (Place<'_>, &Append) {
    let Accepted { append, first_position, .. } = accepted;
    let version = append.expected_version.plus(1);
    (Place { position: *first_position, version, order_id: &append.order_id }, append)
}

/// Tells all who wait for a batch why nothing comes of it.
fn refuse(batch: Batch, error: &StoreError) -> Vec<Answer> {
    for job in batch.lease_jobs {
        let _ = job.done.send(Err(error.clone()));
    }
    batch.appends.into_iter().map(|job| (job.done, Err(error.clone().into()))).collect()
}

/// What a row takes beside its data, about.
const ROW_OVERHEAD_BYTES: usize = 160;
