//! Takes the appends that have queued up and commits them together, one batch after the other.
//!
//! A batch whose fate is unknown (the connection ended before the answer came) is simply appended again: the database
//! finds the batch's own event ids where they should go, or adds them now, or finds others. Each answers the question.
//! Only looking would not: the old connection's server may still be about to commit.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use order_application::{Append, AppendError, Position, StoreError};
use order_domain::OrderId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

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
        let task = tokio::spawn(
            WriterTask {
                shared,
                jobs,
                next: None,
                queued_bytes: Arc::clone(&queued_bytes),
                rivals: Rivals { calm_batches: CALM_BATCHES, expected: 0 },
            }
            .run(),
        );
        Self {
            queue: std::sync::Mutex::new(Some(queue)),
            queued_bytes,
            limits,
            task: tokio::sync::Mutex::new(Some(task)),
        }
    }

    /// Hands an append over and waits for what becomes of it: until its deadline, or for as long as this store waits.
    pub(super) async fn append(&self, append: Append) -> Outcome {
        let patience = Instant::now() + self.limits.deadline;
        let deadline = append.deadline.map_or(patience, |deadline| deadline.min(patience));
        let begun = Arc::new(AtomicBool::new(false));
        let (done, mut outcome) = oneshot::channel();
        self.submit(Job { append, deadline, unknown: false, begun: Arc::clone(&begun), done })?;
        if let Ok(outcome) = timeout_at(deadline, &mut outcome).await {
            return outcome.unwrap_or_else(|_| Err(ended()));
        }
        // Whoever is first decides: taken off the queue unbegun, or begun, and then the writer knows more in a moment.
        if begun.swap(true, Ordering::AcqRel) {
            return outcome.await.unwrap_or_else(|_| Err(ended()));
        }
        Err(not_done(false, "the database did not answer in time"))
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

/// Appends that go together: not too many bytes, and no order twice.
#[derive(Default)]
struct Batch {
    jobs: Vec<Job>,
    orders: HashSet<OrderId>,
    bytes: usize,
}

impl Batch {
    fn has_room_for(&self, job: &Job) -> bool {
        self.jobs.len() < MAX_BATCH_APPENDS
            && self.bytes < MAX_BATCH_BYTES
            && !self.orders.contains(&job.append.order_id)
    }

    fn add(&mut self, job: Job) {
        self.bytes += bytes(&job.append);
        self.orders.insert(job.append.order_id.clone());
        self.jobs.push(job);
    }
}

/// Whether other instances append as well, by how long the head was somebody else's lately; and how large a batch is
/// then worth waiting for.
///
/// Alone, an instance sends what it has at once. Among others it would only wait at the server with it, and what comes
/// meanwhile would have to wait for the next batch: an instance's clients fall apart into two crowds, and batches get
/// smaller with each instance. So it then waits here, for as many as it knows to be about to ask again.
struct Rivals {
    calm_batches: u32,
    /// Most of what was on its way when the last batch came back: just answered, or queued.
    expected: usize,
}

/// A wait for the head that is more than the moment that a lock takes.
const NOTICEABLE_WAIT: Duration = Duration::from_micros(150);
/// Batches without such a wait after which an instance takes itself to be alone.
const CALM_BATCHES: u32 = 16;
/// How long a batch waits for the next append that it expects.
const PATIENCE: Duration = Duration::from_millis(1);

impl Rivals {
    fn are_there(&self) -> bool {
        self.calm_batches < CALM_BATCHES
    }

    fn waited(&mut self, time: Duration) {
        self.calm_batches = if time < NOTICEABLE_WAIT { self.calm_batches.saturating_add(1) } else { 0 };
    }
}

struct WriterTask {
    shared: Arc<Shared>,
    jobs: mpsc::Receiver<Job>,
    /// Taken off the queue, but not in a batch yet.
    next: Option<Job>,
    queued_bytes: Arc<AtomicUsize>,
    rivals: Rivals,
}

impl WriterTask {
    async fn run(mut self) {
        loop {
            if self.next.is_none() {
                self.next = self.jobs.recv().await;
            }
            if self.next.is_none() {
                return;
            }
            let mut batch = Batch::default();
            self.fill(&mut batch);
            if self.rivals.are_there() {
                self.gather(&mut batch).await;
            }
            let size = batch.jobs.len();
            self.settle(batch).await;
            // Not all of them: the last few take long, and the database waits with everybody else.
            self.rivals.expected = (size + self.jobs.len()) * 3 / 4;
        }
    }

    /// Waits until the batch is as large as expected, or nothing more comes.
    async fn gather(&mut self, batch: &mut Batch) {
        while batch.jobs.len() < self.rivals.expected && self.next.is_none() {
            let Ok(Some(job)) = timeout(PATIENCE, self.jobs.recv()).await else { return };
            self.next = Some(job);
            self.fill(batch);
        }
    }

    /// Adds what waits in the queue, as far as it may go together.
    fn fill(&mut self, batch: &mut Batch) {
        while let Some(job) = self.next.take().or_else(|| self.jobs.try_recv().ok()) {
            if !batch.has_room_for(&job) {
                self.next = Some(job);
                return;
            }
            self.queued_bytes.fetch_sub(bytes(&job.append), Ordering::AcqRel);
            if !job.begun.swap(true, Ordering::AcqRel) {
                batch.add(job);
            }
        }
    }

    /// Finds out what becomes of each append of a batch, and says so.
    async fn settle(&mut self, mut batch: Batch) {
        let mut pause = Pause::new();
        while let Some(deadline) = batch.jobs.iter().map(|job| job.deadline).min() {
            let (why, unknown) = match self.attempt(&batch.jobs, deadline).await {
                Ok(outcomes) => return self.answer(batch.jobs, outcomes),
                // Something in the batch is refused; the others need not suffer for it.
                Err(Failure::Refused(_)) if batch.jobs.len() > 1 => {
                    for job in batch.jobs {
                        let mut alone = Batch::default();
                        alone.add(job);
                        Box::pin(self.settle(alone)).await;
                    }
                    return;
                }
                Err(Failure::Refused(error)) => {
                    for job in batch.jobs {
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
            for job in &mut batch.jobs {
                job.unknown |= unknown;
            }
            pause.before(deadline).await;
            batch.jobs = give_up_late(batch.jobs, &why);
        }
    }

    async fn attempt(&mut self, batch: &[Job], deadline: Instant) -> Result<Vec<Outcome>, Failure> {
        let silent = || self.shared.appends.missed();
        let connection = match timeout_at(deadline, self.shared.appends.connection()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(StoreError::Unavailable(why))) => return Err(Failure::NothingHappened(why)),
            Ok(Err(error)) => return Err(Failure::Refused(error)),
            Err(_) => return Err(Failure::NothingHappened(silent())),
        };
        let appends: Vec<&Append> = batch.iter().map(|job| &job.append).collect();
        match timeout_at(deadline, batch::append(&connection, &appends)).await {
            Ok(Ok(appended)) => {
                self.rivals.waited(appended.waited);
                Ok(appended.outcomes)
            }
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
                    committed.extend(job.append.recorded_at(first));
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
