//! Takes the appends that have queued up and commits them together, one batch after the other.
//!
//! A batch whose fate is unknown (the connection ended before the answer came) is simply appended again: the database
//! finds the batch's own event ids where they should go, or adds them now, or finds others. Each answers the question.
//! Only looking would not: the old connection's server may still be about to commit.

mod append;
mod probe;
mod queue;
mod rivals;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use order_application::figures::{QueueFigures, Shed, WritingFigures};
use order_application::{Append, AppendError, Position, StoreError, traces};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::DEADLINE;
use super::announcer::Announcer;
use super::database::{BACKOFF, Database};
use super::history::WENT_BACK;
use super::statement_failure::StatementFailure;
use crate::postgres::servers::Object;
use append::{Appended, Outcome};
use queue::{Batch, Queue, QueuedAppend, QueuedAppends, TOO_LATE};
use rivals::Rivals;
use trouble::Trouble;

/// The way to the writer.
pub(super) struct Writer {
    queue: Queue,
    max_wait: Duration,
    trouble: Arc<Trouble>,
    figures: Arc<WritingFigures>,
    task: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// An append waits for at most `max_wait` before the writer begins with it.
    pub(super) fn start(database: Database, announcer: Arc<Announcer>, max_wait: Duration) -> Self {
        let trouble = Arc::<Trouble>::default();
        let (queue, waiting) = Queue::new(&trouble);
        let figures = Arc::<WritingFigures>::default();
        let writer = WriterTask {
            database,
            announcer,
            waiting,
            rivals: Rivals::none(),
            trouble: Arc::clone(&trouble),
            figures: Arc::clone(&figures),
        };
        let task = tokio::sync::Mutex::new(Some(tokio::spawn(writer.run())));
        Self { queue, max_wait, trouble, figures, task }
    }

    /// What it has counted.
    pub(super) fn figures(&self) -> &WritingFigures {
        &self.figures
    }

    /// What waits for it.
    pub(super) fn queued(&self) -> QueueFigures {
        self.queue.figures()
    }

    /// Hands an append over and waits for what becomes of it: until its deadline, or for as long as this store waits.
    pub(super) async fn append(&self, append: Append) -> Outcome {
        let now = Instant::now();
        let patience = now + DEADLINE;
        let deadline = append.deadline.map_or(patience, |deadline| deadline.min(patience));
        let mut queued = self.queue.push(append, deadline).inspect_err(|error| {
            if *error == StoreError::Overloaded {
                self.figures.shed(Shed::QueueFull);
            }
        })?;
        let outcome = match timeout_at(deadline.min(now + self.max_wait), &mut queued.outcome).await {
            Ok(outcome) => outcome.unwrap_or_else(|_| Err(writer_ended())),
            Err(_) if self.queue.withdraw(&queued) => Err(self.trouble.refusal()),
            // It is being written: the writer says by the deadline what became of it.
            Err(_) => queued.outcome.await.unwrap_or_else(|_| Err(writer_ended())),
        };
        if matches!(outcome, Err(AppendError::Store(StoreError::Overloaded))) {
            self.figures.shed(Shed::WaitedTooLong);
        }
        outcome
    }

    /// Whether the database takes appends, if the last one was refused for no fault of its own. `reads`: for trying it.
    pub(super) async fn check(&self, reads: &Database) -> Result<(), StoreError> {
        if !self.trouble.is_refused() {
            return Ok(());
        }
        probe::probe(reads).await?;
        self.trouble.clear();
        Ok(())
    }

    /// Takes no more appends, and waits until those that are queued have been answered.
    pub(super) async fn finish(&self) {
        self.queue.close();
        if let Some(task) = self.task.lock().await.take() {
            // A panic in the writer has been told by the panic hook.
            let _ = task.await;
        }
    }
}

struct WriterTask {
    /// For the writer alone: readers must not keep it waiting.
    database: Database,
    announcer: Arc<Announcer>,
    waiting: QueuedAppends,
    rivals: Rivals,
    trouble: Arc<Trouble>,
    figures: Arc<WritingFigures>,
}

impl WriterTask {
    async fn run(mut self) {
        while self.waiting.wait().await {
            let mut batch = Batch::default();
            if !self.waiting.fill(&mut batch) {
                self.rivals.gather(&mut batch, &mut self.waiting).await;
            }
            let size = batch.appends.len();
            self.settle(batch.appends).await;
            self.rivals.came_back(size, self.waiting.len());
        }
    }

    /// Finds out what becomes of each append of a batch, and says so.
    async fn settle(&mut self, mut batch: Vec<QueuedAppend>) {
        let mut backoff = BACKOFF;
        while let Some(deadline) = batch.iter().map(|queued| queued.deadline).min() {
            let (why, may_be_committed) = match self.attempt(&batch, deadline).await {
                Ok(Appended::Settled(outcomes, _)) => return self.answer(batch, outcomes),
                Ok(Appended::OfAnotherHistory) => {
                    batch = self.refuse_outdated(batch);
                    continue;
                }
                // Something in the batch is refused; the others need not suffer for it.
                Err(StatementFailure::Refused(_)) if batch.len() > 1 => {
                    for alone in batch {
                        Box::pin(self.settle(vec![alone])).await;
                    }
                    return;
                }
                Err(StatementFailure::Refused(error)) => {
                    self.trouble.refused(&error);
                    for queued in batch {
                        let unknown = queued.may_be_committed.then(|| not_done(true, &error.to_string()));
                        queued.answer(Err(unknown.unwrap_or_else(|| error.clone().into())));
                    }
                    return;
                }
                Err(StatementFailure::NothingHappened(why) | StatementFailure::Missing(why)) => (why, false),
                Err(StatementFailure::Unknown(why)) => (why, true),
            };
            self.trouble.met(&why);
            tracing::debug!(why, may_be_committed, "appends have to be sent again");
            for queued in &mut batch {
                queued.may_be_committed |= may_be_committed;
            }
            backoff.wait_before(deadline).await;
            batch = give_up_late(batch, &why);
        }
    }

    async fn attempt(
        &mut self,
        batch: &[QueuedAppend],
        deadline: Instant,
    ) -> Result<Appended, StatementFailure> {
        let appends: Vec<&Append> = batch.iter().map(|queued| &queued.append).collect();
        let history = self.database.history();
        let append =
            |connection: Arc<Object>| async move { append::append(&connection, &appends, history).await };
        let begun = Instant::now();
        let _recorded = traces::commit(batch.iter().map(|queued| &queued.append.trace), batch.len());
        let appended = self.database.attempt(deadline, append).await?;
        if let Appended::Settled(_, waited) = appended {
            self.figures.committed(batch.len(), begun.elapsed());
            self.trouble.clear();
            self.rivals.waited(waited);
        }
        Ok(appended)
    }

    /// Answers those that were decided on a history that the log does not have any more.
    fn refuse_outdated(&self, batch: Vec<QueuedAppend>) -> Vec<QueuedAppend> {
        let history = self.database.history().number();
        let (outdated, others): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|queued| queued.append.history != history);
        for queued in outdated {
            let outcome = Err(not_done(queued.may_be_committed, WENT_BACK));
            queued.answer(outcome);
        }
        others
    }

    fn answer(&self, batch: Vec<QueuedAppend>, outcomes: Vec<Outcome>) {
        let announce = self.announcer.is_listened_to();
        let mut committed = Vec::new();
        for (queued, outcome) in batch.into_iter().zip(outcomes) {
            let outcome = outcome.map(|first| {
                if announce {
                    committed.extend(queued.append.recorded_at(first));
                }
                Position(first.0 + queued.append.events.len() as u64 - 1)
            });
            queued.answer(outcome);
        }
        self.announcer.committed_here(committed);
    }
}

/// Answers those whose time is over.
fn give_up_late(batch: Vec<QueuedAppend>, why: &str) -> Vec<QueuedAppend> {
    let soon = Instant::now() + TOO_LATE;
    let (late, in_time): (Vec<_>, Vec<_>) = batch.into_iter().partition(|queued| queued.deadline <= soon);
    for queued in late {
        let outcome = Err(not_done(queued.may_be_committed, why));
        queued.answer(outcome);
    }
    in_time
}

fn writer_ended() -> AppendError {
    not_done(true, "the store's writer ended")
}

fn not_done(may_be_committed: bool, why: &str) -> AppendError {
    let why = why.to_owned();
    AppendError::from(if may_be_committed {
        StoreError::OutcomeUnknown(why)
    } else {
        StoreError::Unavailable(why)
    })
}
