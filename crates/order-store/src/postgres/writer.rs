//! Takes the appends that have queued up and commits them together, one batch after the other.
//!
//! A batch whose fate is unknown (the connection ended before the answer came) is simply appended again: the database
//! finds the batch's own event ids where they should go, or adds them now, or finds others. Each answers the question.
//! Only looking would not: the old connection's server may still be about to commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use order_application::{Append, AppendError, Position, RecordedEvent, StoreError};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::batch::{self, Outcome};
use super::database::{Pause, abandon};
use super::failure::{Failure, is_unique_violation};
use super::{PostgresLimits, Shared};

/// Most appends of one transaction. More would not make the commit cheaper, only the first of them wait longer.
const MAX_BATCH_APPENDS: usize = 512;
/// Most event data of one transaction, about.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The way to the writer.
pub(super) struct Writer {
    queue: std::sync::Mutex<Option<mpsc::Sender<Job>>>,
    queued_bytes: Arc<AtomicUsize>,
    limits: PostgresLimits,
    task: tokio::sync::Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(shared: Arc<Shared>, limits: PostgresLimits) -> Self {
        let (queue, jobs) = mpsc::channel(limits.queued_appends);
        let queued_bytes = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(WriterTask { shared, jobs, queued_bytes: Arc::clone(&queued_bytes) }.run());
        Self {
            queue: std::sync::Mutex::new(Some(queue)),
            queued_bytes,
            limits,
            task: tokio::sync::Mutex::new(Some(task)),
        }
    }

    /// Hands an append over and waits for what becomes of it, until the deadline.
    pub(super) async fn append(&self, append: Append) -> Outcome {
        self.append_until(append, Instant::now() + self.limits.deadline, false).await
    }

    /// The same for an append that has been sent before, elsewhere, and whose outcome is to be learnt.
    pub(super) async fn append_again(&self, append: Append, deadline: Instant) -> Outcome {
        self.append_until(append, deadline, true).await
    }

    async fn append_until(&self, append: Append, deadline: Instant, unknown: bool) -> Outcome {
        let begun = Arc::new(AtomicBool::new(false));
        let (done, mut outcome) = oneshot::channel();
        self.submit(Job { append, deadline, unknown, begun: Arc::clone(&begun), done })
            .map_err(|error| if unknown { unknown_outcome(&error.to_string()) } else { error.into() })?;
        if let Ok(outcome) = timeout_at(deadline, &mut outcome).await {
            return outcome.unwrap_or_else(|_| Err(ended()));
        }
        // Whoever is first decides: taken off the queue unbegun, or begun, and then the writer knows more in a moment.
        if begun.swap(true, Ordering::AcqRel) {
            return outcome.await.unwrap_or_else(|_| Err(ended()));
        }
        Err(not_done(unknown, "the database did not answer in time"))
    }

    fn submit(&self, job: Job) -> Result<(), StoreError> {
        let closed = || StoreError::Unavailable("the store is closed".to_owned());
        let queue = self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let queue = queue.ok_or_else(closed)?;
        let bytes = bytes(&job.append);
        // An append that is larger than the whole queue may still go through an empty one.
        let before = self.queued_bytes.fetch_add(bytes, Ordering::AcqRel);
        if before > 0 && before + bytes > self.limits.queued_bytes {
            self.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
            return Err(StoreError::Overloaded);
        }
        queue.try_send(job).map_err(|error| {
            self.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
            match error {
                mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
                mpsc::error::TrySendError::Closed(_) => closed(),
            }
        })
    }

    /// Takes no more appends, and waits until those that are queued have been answered.
    pub(super) async fn finish(&self) {
        self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(task) = self.task.lock().await.take() {
            // A panic in the writer has been told by the panic hook.
            let _ = task.await;
        }
    }
}

fn ended() -> AppendError {
    StoreError::OutcomeUnknown("the store's writer ended".to_owned()).into()
}

fn bytes(append: &Append) -> usize {
    append.events.iter().map(|event| event.data.len()).sum()
}

/// An append, and who waits for it.
struct Job {
    append: Append,
    deadline: Instant,
    /// Whether an earlier attempt may already have succeeded.
    unknown: bool,
    /// Set by whoever decides first: the writer, which begins with it, or the caller, who has waited long enough.
    begun: Arc<AtomicBool>,
    done: oneshot::Sender<Outcome>,
}

impl Job {
    fn answer(self, outcome: Outcome) {
        // Whoever gave up waiting does not hear it.
        let _ = self.done.send(outcome);
    }
}

struct WriterTask {
    shared: Arc<Shared>,
    jobs: mpsc::Receiver<Job>,
    queued_bytes: Arc<AtomicUsize>,
}

impl WriterTask {
    async fn run(mut self) {
        let mut waiting = Vec::new();
        while self.jobs.recv_many(&mut waiting, MAX_BATCH_APPENDS).await > 0 {
            let mut waiting = waiting.drain(..).peekable();
            while waiting.peek().is_some() {
                let batch = self.next_batch(&mut waiting);
                self.settle(batch).await;
            }
        }
    }

    /// As many appends as may go together: not too many bytes, and no order twice.
    fn next_batch(&self, waiting: &mut std::iter::Peekable<std::vec::Drain<'_, Job>>) -> Vec<Job> {
        let mut batch: Vec<Job> = Vec::new();
        let mut orders = std::collections::HashSet::new();
        let mut taken = 0;
        while taken < MAX_BATCH_BYTES
            && let Some(job) = waiting.next_if(|job| !orders.contains(&job.append.order_id))
        {
            let bytes = bytes(&job.append);
            self.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
            if job.begun.swap(true, Ordering::AcqRel) {
                continue;
            }
            taken += bytes;
            orders.insert(job.append.order_id.clone());
            batch.push(job);
        }
        batch
    }

    /// Finds out what becomes of each append of a batch, and says so.
    async fn settle(&self, mut batch: Vec<Job>) {
        let mut pause = Pause::new();
        while let Some(deadline) = batch.iter().map(|job| job.deadline).min() {
            let (why, unknown) = match self.attempt(&batch, deadline).await {
                Ok(outcomes) => return self.answer(batch, outcomes),
                // Something in the batch is refused; the others need not suffer for it.
                Err(Failure::Refused(_)) if batch.len() > 1 => {
                    for job in batch {
                        Box::pin(self.settle(vec![job])).await;
                    }
                    return;
                }
                Err(Failure::Refused(error)) => {
                    for job in batch {
                        let outcome = if job.unknown {
                            unknown_outcome(&error.to_string())
                        } else {
                            error.clone().into()
                        };
                        job.answer(Err(outcome));
                    }
                    return;
                }
                Err(Failure::NothingHappened(why)) => (why, false),
                Err(Failure::Unknown(why)) => (why, true),
            };
            tracing::debug!(why, unknown, "appends have to be sent again");
            for job in &mut batch {
                job.unknown |= unknown;
            }
            pause.before(deadline).await;
            batch = give_up_late(batch, &why);
        }
    }

    async fn attempt(&self, batch: &[Job], deadline: Instant) -> Result<Vec<Outcome>, Failure> {
        let silent = || self.shared.appends.missed();
        let connection = match timeout_at(deadline, self.shared.appends.connection()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(StoreError::Unavailable(why))) => return Err(Failure::NothingHappened(why)),
            Ok(Err(error)) => return Err(Failure::Refused(error)),
            Err(_) => return Err(Failure::NothingHappened(silent())),
        };
        let appends: Vec<&Append> = batch.iter().map(|job| &job.append).collect();
        match timeout_at(deadline, batch::append(&connection, &appends)).await {
            Ok(Ok(outcomes)) => Ok(outcomes),
            // The indexes hold what the function's own checks should have caught. Whatever was in the way is there to
            // be seen now.
            Ok(Err(error)) if is_unique_violation(&error) => Err(Failure::NothingHappened(error.to_string())),
            Ok(Err(error)) => Err(Failure::of(&error)),
            Err(_) => {
                abandon(connection);
                Err(Failure::Unknown(silent()))
            }
        }
    }

    fn answer(&self, batch: Vec<Job>, outcomes: Vec<Outcome>) {
        let announce = self.shared.announcer.is_listened_to();
        let mut committed = Vec::new();
        let mut range: Option<(Position, Position)> = None;
        let mut events = 0;
        for (job, outcome) in batch.into_iter().zip(outcomes) {
            let outcome = outcome.map(|first| {
                let count = job.append.events.len() as u64;
                let last = Position(first.0 + count - 1);
                events += count;
                range = Some(range.map_or((first, last), |(from, to)| (from.min(first), to.max(last))));
                if announce {
                    record(&job.append, first, &mut committed);
                }
                last
            });
            job.answer(outcome);
        }
        match range {
            // What was committed by an earlier attempt may lie before what others committed meanwhile.
            Some((first, last)) if last.0 - first.0 + 1 != events => self.shared.announcer.look(),
            Some((first, last)) => self.shared.announcer.committed_here(first, last, committed),
            None => {}
        }
    }
}

/// What is too late to try again: less would not be answered in time.
const TOO_LATE: Duration = Duration::from_millis(20);

/// Answers those whose time is over.
fn give_up_late(batch: Vec<Job>, why: &str) -> Vec<Job> {
    let soon = Instant::now() + TOO_LATE;
    let (late, in_time): (Vec<_>, Vec<_>) = batch.into_iter().partition(|job| job.deadline <= soon);
    for job in late {
        let outcome = Err(not_done(job.unknown, why));
        job.answer(outcome);
    }
    in_time
}

fn not_done(unknown: bool, why: &str) -> AppendError {
    if unknown { unknown_outcome(why) } else { StoreError::Unavailable(why.to_owned()).into() }
}

fn unknown_outcome(why: &str) -> AppendError {
    StoreError::OutcomeUnknown(why.to_owned()).into()
}

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
