//! The writer's thread: what has queued up is checked and committed, made visible, and answered.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use order_application::{
    Append, AppendError, Checkpoint, Committed, EventBus, Position, ReceiptKey, StoreError, traces,
};
use tokio::sync::{mpsc, oneshot};

use crate::sqlite::disk_space::{index_cannot_grow, is_exhausted};
use crate::sqlite::log::receipts::Sequence;
use crate::sqlite::log::{Log, LogEnds};
use crate::sqlite::state::StoreState;
use crate::sqlite::view_writer::work::ViewWriterWork;
use crate::sqlite::views::overlay::CommittedEvents;
use crate::sqlite::writer::positioning::{Accepted, Positioning};
use crate::sqlite::writer::queue::{Queue, QueuedAppend, WriterWork};
use crate::sqlite::writer::wal_copier::WalCopier;
use crate::sqlite_error::is_malformed;

pub(super) struct LogWriterThread {
    pub(super) shared: Arc<StoreState>,
    pub(super) queue: Arc<Queue>,
    pub(super) log: Log,
    pub(super) bus: Arc<dyn EventBus>,
    /// Bounded by the tasks that wait for an answer: each has one append at a time.
    pub(super) answers: mpsc::UnboundedSender<Vec<AppendAnswer>>,
    /// After the last commit.
    pub(super) log_ends: LogEnds,
    pub(super) lease_holders: LeaseHolders,
    pub(super) wal_copier: WalCopier,
}

/// Who holds which lease.
pub(super) type LeaseHolders = HashMap<Box<str>, Box<str>>;
/// Who waits for an append.
pub(super) type Waiting = oneshot::Sender<Result<Position, AppendError>>;
/// Who waits for an append, and what became of it.
pub(super) type AppendAnswer = (Waiting, Result<Position, AppendError>);
/// Receipts that were committed: their keys, and the numbers that they were given.
pub(super) type NewReceipts = Vec<(ReceiptKey, Sequence)>;

impl LogWriterThread {
    pub(super) fn run(mut self) {
        while let Some(work) = self.queue.take() {
            match work {
                WriterWork::Appends(appends) => {
                    let answers = match self.shared.health.check() {
                        Ok(()) => self.settle(appends),
                        Err(error) => {
                            let refuse = |queued: QueuedAppend| (queued.done, Err(error.clone().into()));
                            appends.into_iter().map(refuse).collect()
                        }
                    };
                    // It fails when the runtime has gone, and all who waited with it.
                    let _ = self.answers.send(answers);
                }
                WriterWork::Lease(request) => self.change_lease(request),
                WriterWork::Receipts(receipts) => self.keep_receipts(receipts),
                WriterWork::Trim(trim) => self.trim_receipts(trim),
                WriterWork::Replication(replication) => self.replicate(replication),
            }
            if self.wal_copier.take_too_long()
                && self.shared.has_sound_files()
                && let Err(error) = self.log.copy_wal()
                && !is_exhausted(&error, self.log.path())
            {
                self.shared.health.stop(format!("copying the write-ahead log into the log: {error}"));
            }
        }
        if !self.shared.has_sound_files() {
            self.log.leave_alone_when_closed();
        } else if self.shared.health.check().is_ok() {
            self.log.note_wal_end();
        }
    }

    /// Commits the appends of a batch that can be, and says what became of each.
    fn settle(&mut self, appends: Vec<QueuedAppend>) -> Vec<AppendAnswer> {
        let (accepted, mut answers) = self.check_versions(appends);
        if accepted.is_empty() {
            return answers;
        }
        #[cfg(feature = "planted-faults")]
        let accepted = self.plant_ack("ack-before-commit", accepted);
        let begun = Instant::now();
        let recorded = traces::commit(accepted.iter().map(|accepted| &accepted.append.trace), accepted.len());
        let written = self.write(&accepted, None);
        drop(recorded);
        match written {
            Ok(receipts) => {
                self.shared.writing.committed(accepted.len(), begun.elapsed());
                self.show(accepted, &receipts, |waiting, position| answers.push((waiting, Ok(position))));
            }
            Err(error) => {
                #[cfg(feature = "planted-faults")]
                let accepted = self.plant_ack("ack-failed-commit", accepted);
                let error = self.after_failed_commit(&error);
                // Those that were refused may have been so because of appends that have now failed as well.
                for (_, outcome) in &mut answers {
                    *outcome = Err(error.clone().into());
                }
                answers.extend(accepted.into_iter().map(|a| (a.waiting, Err(error.clone().into()))));
            }
        }
        answers
    }

    fn check_versions(&self, batch: Vec<QueuedAppend>) -> (Vec<Accepted<Waiting>>, Vec<AppendAnswer>) {
        let StoreState { known_orders, readers, .. } = &*self.shared;
        let mut accepted = Vec::with_capacity(batch.len());
        let mut refused = Vec::new();
        let mut positioning = Positioning::new(self.log_ends.position, batch.len());
        let mut keys = HashSet::new();
        for QueuedAppend { append, done, .. } in batch {
            let placed = self.check_key(&append, &keys).and_then(|()| {
                let stream = readers.stream_state_unless_new(&append.order_id, known_orders)?;
                positioning.place(&append, stream).map_err(|current| AppendError::Conflict { current })
            });
            match placed {
                Ok((key, first_position)) => {
                    keys.extend(append.receipt.as_ref().map(|receipt| receipt.key));
                    accepted.push(Accepted { append, key, first_position, waiting: done });
                }
                // One order whose view cannot be read does not stop the others.
                Err(error) => refused.push((done, Err(error))),
            }
        }
        (accepted, refused)
    }

    /// Whether an append may leave its receipt; `keys` are those of the appends before it in this very transaction.
    fn check_key(&self, append: &Append, keys: &HashSet<ReceiptKey>) -> Result<(), AppendError> {
        let Some(receipt) = &append.receipt else { return Ok(()) };
        let StoreState { known_keys, readers, .. } = &*self.shared;
        let is_taken = keys.contains(&receipt.key) || readers.receipt(&receipt.key, known_keys)?.is_some();
        if is_taken { Err(AppendError::KeyTaken) } else { Ok(()) }
    }

    /// Begins a transaction that goes on from the last commit.
    pub(super) fn begin(&mut self) -> Result<(), StoreError> {
        self.log.begin_at(self.log_ends).map_err(|error| self.after_failed_commit(&error))
    }

    /// Commits appends with their receipts, and a checkpoint of that name with them. Answers with where the receipts are.
    pub(super) fn write<W>(
        &mut self,
        accepted: &[Accepted<W>],
        checkpoint: Option<(&str, &Checkpoint)>,
    ) -> rusqlite::Result<NewReceipts> {
        self.log.begin_at(self.log_ends)?;
        self.log.insert(accepted.iter().map(|accepted| (accepted.first_position, &accepted.append)))?;
        let mut receipts = Vec::new();
        for receipt in accepted.iter().filter_map(|accepted| accepted.append.receipt.as_ref()) {
            receipts.push((receipt.key, self.log.insert_receipt(receipt)?));
        }
        if let Some((name, checkpoint)) = checkpoint {
            self.log.put_checkpoint(name, checkpoint)?;
        }
        self.log.commit()?;
        Ok(receipts)
    }

    /// Makes receipts that were committed visible to readers. Only then may they be acknowledged.
    pub(super) fn show_receipts(&mut self, receipts: &NewReceipts) {
        if let Some((_, newest)) = receipts.last() {
            self.log_ends.receipt = *newest;
        }
        self.shared.known_keys.add(receipts);
        self.shared.readers.overlay.add_receipts(receipts);
    }

    /// Makes a commit visible to readers. Only then may it be acknowledged.
    pub(super) fn show<W>(
        &mut self,
        accepted: Vec<Accepted<W>>,
        receipts: &NewReceipts,
        mut answer: impl FnMut(W, Position),
    ) {
        if accepted.is_empty() {
            return;
        }
        let mut bytes = 0;
        let mut committed = Vec::new();
        let mut changes = Vec::with_capacity(accepted.len());
        let announce = self.bus.has_subscribers();
        for Accepted { append, key, first_position, waiting } in accepted {
            let last_position = Position(first_position.0 + append.events.len() as u64 - 1);
            self.log_ends.position = last_position;
            bytes += append.receipt.as_ref().map_or(0, |_| RECEIPT_BYTES);
            bytes += append.events.iter().map(|event| event.data.len() + ROW_OVERHEAD_BYTES).sum::<usize>();
            // Its first event, whatever version that has: a replica also keeps orders that its primary's log has damaged.
            if key == first_position.0 {
                self.shared.known_orders.add(&append.order_id);
            }
            let last_event_id = append.events.last().map(|event| event.id).unwrap_or_default();
            if announce {
                committed.extend(append.recorded_at(first_position));
            }
            changes.push(CommittedEvents {
                key,
                first_position,
                first_version: append.expected_version.plus(1),
                events: append.events.len() as u64,
                last_event_id,
                view: append.view,
                terms: append.terms,
            });
            answer(waiting, last_position);
        }
        self.shared.readers.overlay.add(changes);
        self.shared.log_end.store(self.log_ends.position.0, Ordering::Release);
        // After the events: whoever finds a receipt tells its client of them.
        self.show_receipts(receipts);
        // Asked again: whoever subscribed since would otherwise miss the announcement, though not the events.
        if announce || self.bus.has_subscribers() {
            self.bus.publish(Committed { last_position: self.log_ends.position, events: committed.into() });
        }
        self.flush_when_full();
        self.wal_copier.after_commit(bytes);
    }

    /// Has the overlay written to the views if there is enough in it.
    pub(super) fn flush_when_full(&self) {
        if self.shared.readers.overlay.active_bytes() >= self.shared.limits.view_batch_bytes {
            // Whatever it is given already has it write these as well.
            let _ = self.shared.view_work.try_send(ViewWriterWork::Flush);
        }
    }

    /// Takes the transaction back and says what that means for the appends in it.
    pub(super) fn after_failed_commit(&mut self, error: &rusqlite::Error) -> StoreError {
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
        // Nothing has failed to be written: a page that was to be changed is not what it was.
        if is_malformed(error) {
            let what = format!("writing {}: {error}", self.log.path().display());
            self.shared.health.log_damage.found(what.clone());
            return StoreError::Corrupt(what);
        }
        // After a failed write or fsync nobody knows what is on the disk. Trying again might succeed and be a lie.
        let why = format!("writing {}: {error}", self.log.path().display());
        self.shared.health.stop(why.clone());
        StoreError::OutcomeUnknown(why)
    }
}

/// What a row takes beside its data, about.
const ROW_OVERHEAD_BYTES: usize = 160;
/// What a receipt takes in the write-ahead log, about.
pub(super) const RECEIPT_BYTES: usize = 200;
