//! The only thread that appends to the log: it takes what has queued up, checks versions, and commits all of it with
//! one fsync.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use order_application::{
    Append, AppendError, Committed, EventBus, Position, RecordedEvent, StoreError, Version,
};
use order_domain::OrderId;
use rusqlite::ErrorCode;
use tokio::sync::oneshot;

use super::Shared;
use super::checkpointer::CheckpointSignal;
use super::connection::OpenError;
use super::log::Log;
use super::overlay::{Appended, OrderHead};
use super::queue::{Job, Queue};
use super::row::Place;
use super::view_writer::FlushSignal;

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
        let thread = WriterThread {
            head: shared.head(),
            shared: Arc::clone(&shared),
            queue: Arc::clone(&queue),
            log,
            bus,
            flush,
            checkpoint,
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
        if self.shared.overlay.active_orders() >= self.shared.limits.overlay_orders {
            return Err(StoreError::Overloaded);
        }
        let (done, outcome) = oneshot::channel();
        self.queue.push(Job { append, done })?;
        Ok(outcome)
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
    head: Position,
}

/// An append of the batch that passed its version check, and where it goes.
struct Accepted {
    job: Job,
    key: u64,
    first_position: Position,
}

/// Answers that are sent once the batch is settled.
type Refusals = Vec<(oneshot::Sender<Result<Position, AppendError>>, AppendError)>;

impl WriterThread {
    fn run(mut self) {
        let mut batch = Vec::new();
        while self.queue.take_batch(&mut batch) {
            if let Err(error) = self.shared.health.check() {
                answer_all(batch.drain(..).map(|job| job.done), &error);
                continue;
            }
            self.settle(batch.drain(..));
            if self.checkpoint.must_finish()
                && let Err(error) = self.log.finish_checkpoint()
                && !is_full(&error)
            {
                self.shared.health.stop(format!("checkpoint of the log: {error}"));
            }
        }
    }

    /// Commits the appends of a batch that can be, and answers all.
    fn settle(&mut self, batch: impl Iterator<Item = Job>) {
        let (accepted, refused) = self.check_versions(batch);
        let committed = if accepted.is_empty() { Ok(()) } else { self.write(&accepted) };
        match committed {
            Ok(()) => {
                self.acknowledge(accepted);
                for (done, refusal) in refused {
                    // Whoever gave up waiting does not hear it.
                    let _ = done.send(Err(refusal));
                }
            }
            Err(error) => {
                let error = self.after_failed_commit(&error);
                answer_all(accepted.into_iter().map(|a| a.job.done), &error);
                // These were refused because of appends that have now failed as well, perhaps.
                answer_all(refused.into_iter().map(|(done, _)| done), &error);
            }
        }
    }

    fn check_versions(&self, batch: impl Iterator<Item = Job>) -> (Vec<Accepted>, Refusals) {
        let mut accepted: Vec<Accepted> = Vec::new();
        let mut refused = Refusals::new();
        // Orders that this very batch changes.
        let mut changed = HashMap::<OrderId, OrderHead>::new();
        let mut next = self.head.plus(1);
        for job in batch {
            let append = &job.append;
            let head = match changed.get(&append.order_id) {
                Some(head) => Ok(Some(*head)),
                None => self.shared.readers.order_head(&self.shared.overlay, &append.order_id),
            };
            let head = match head {
                Ok(head) => head,
                Err(error) => {
                    refused.push((job.done, error.into()));
                    continue;
                }
            };
            let current = head.map_or(Version::NONE, |head| head.version);
            if current != append.expected_version {
                refused.push((job.done, AppendError::Conflict { current }));
                continue;
            }
            let key = head.map_or(next.0, |head| head.key);
            let events = append.events.len() as u64;
            changed.insert(append.order_id.clone(), OrderHead { key, version: current.plus(events) });
            accepted.push(Accepted { key, first_position: next, job });
            next = next.plus(events);
        }
        (accepted, refused)
    }

    fn write(&mut self, accepted: &[Accepted]) -> rusqlite::Result<()> {
        self.log.begin()?;
        for Accepted { job, first_position, .. } in accepted {
            let Append { order_id, expected_version, events, context, .. } = &job.append;
            let place = Place { position: *first_position, version: expected_version.plus(1), order_id };
            self.log.insert(place, events, context)?;
        }
        self.log.commit()
    }

    /// Makes the commit visible to readers, then says so.
    fn acknowledge(&mut self, accepted: Vec<Accepted>) {
        if accepted.is_empty() {
            return;
        }
        let mut bytes = 0;
        let mut committed = Vec::new();
        let mut answers = Vec::with_capacity(accepted.len());
        let mut changes = Vec::with_capacity(accepted.len());
        let announce = self.bus.has_subscribers();
        for Accepted { job: Job { append, done }, key, first_position } in accepted {
            let last_position = Position(first_position.0 + append.events.len() as u64 - 1);
            self.head = last_position;
            bytes += append.events.iter().map(|event| event.data.len() + ROW_OVERHEAD_BYTES).sum::<usize>();
            let last_event_id = append.events.last().map(|event| event.id).unwrap_or_default();
            if announce {
                record(&append, first_position, &mut committed);
            }
            changes.push(Appended {
                key,
                first_position,
                first_version: append.expected_version.plus(1),
                last_event_id,
                summary: append.summary,
            });
            answers.push((done, last_position));
        }
        self.shared.overlay.add(changes);
        self.shared.head.store(self.head.0, Ordering::Release);
        // Asked again: whoever subscribed since would otherwise miss the news, though not the events.
        if announce || self.bus.has_subscribers() {
            self.bus.publish(Committed { last_position: self.head, events: committed.into() });
        }
        for (done, position) in answers {
            let _ = done.send(Ok(position));
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
        if is_full(error) || (is_io_error(error) && no_space_left(self.log.path())) {
            return StoreError::StorageFull;
        }
        // After a failed write or fsync nobody knows what is on the disk. Trying again might succeed and be a lie.
        let why = format!("writing {}: {error}", self.log.path().display());
        self.shared.health.stop(why.clone());
        StoreError::OutcomeUnknown(why)
    }
}

/// What a row takes beside its data, about.
const ROW_OVERHEAD_BYTES: usize = 160;

fn record(append: &Append, first_position: Position, committed: &mut Vec<RecordedEvent>) {
    for (offset, event) in (0..).zip(&append.events) {
        committed.push(RecordedEvent {
            position: first_position.plus(offset),
            order_id: append.order_id.clone(),
            version: append.expected_version.plus(offset + 1),
            id: event.id,
            event_type: event.event_type.clone(),
            time: event.time,
            data: event.data.clone(),
            context: append.context.clone(),
        });
    }
}

fn answer_all(
    waiting: impl Iterator<Item = oneshot::Sender<Result<Position, AppendError>>>,
    error: &StoreError,
) {
    for done in waiting {
        let _ = done.send(Err(error.clone().into()));
    }
}

pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

fn is_io_error(error: &rusqlite::Error) -> bool {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    extended == Some(rusqlite::ffi::SQLITE_IOERR_WRITE)
}

/// SQLite tells a full disk from other failed writes, but not an exhausted quota. A write of our own does.
fn no_space_left(log_path: &std::path::Path) -> bool {
    let probe = log_path.with_extension("probe");
    let outcome = std::fs::write(&probe, [0; 8192]);
    let _ = std::fs::remove_file(&probe);
    matches!(outcome, Err(e) if matches!(e.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded))
}
