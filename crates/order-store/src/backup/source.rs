//! A backup as what a store is copied from, up to a position.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use order_application::{Checkpoint, PageLimit, Position, Receipt, RecordedEvent, Version};
use order_domain::OrderId;
use twox_hash::XxHash3_64;
use uuid::Uuid;

use super::BackupDirError;
use super::directory::BackupDir;
use super::manifest::{EventPart, FinishedRun, Manifest, SavedCheckpoint};
use super::part::{EventReader, read_receipts};
use crate::copy::{NamedCheckpoints, ReceiptPage, SideError, Source};
use crate::sqlite::blocking;

/// Reading a backup.
pub(super) struct BackupSource {
    backup: Arc<Backup>,
    /// Receipts of events after the cut.
    receipts_left_out: AtomicU64,
}

/// What reads take with them to a thread where they may take long.
struct Backup {
    dir: BackupDir,
    log_id: Uuid,
    events: Vec<EventPart>,
    run: FinishedRun,
    /// The last position that is restored.
    cut: Position,
    /// How many passes are made over receipts, each for its share of the orders.
    passes: u64,
    /// Where the reading of events has come to.
    cursor: Mutex<Option<EventReader>>,
    receipts: Mutex<ReceiptCursor>,
}

/// Where the reading of receipts has come to. They are asked for once, from the first on.
#[derive(Default)]
struct ReceiptCursor {
    pass: u64,
    /// For each order of this pass that has events after the cut, the version of the first of them.
    undone: Option<HashMap<OrderId, Version>>,
    part: usize,
    waiting: Vec<Receipt>,
}

impl BackupSource {
    /// What is up to the cut. Of so many orders it is known at a time what the cut undoes.
    pub(super) fn new(
        dir: BackupDir,
        manifest: Manifest,
        run: FinishedRun,
        (cut, undone_orders): (Position, u64),
    ) -> Self {
        let Manifest { log_id, events, .. } = manifest;
        let (cursor, receipts) = (Mutex::default(), Mutex::default());
        let undone_events = run.last_position.saturating_sub(cut.0);
        let passes = undone_events.div_ceil(undone_orders.max(1)).max(1);
        let backup = Backup { dir, log_id, events, run, cut, passes, cursor, receipts };
        Self { backup: Arc::new(backup), receipts_left_out: AtomicU64::new(0) }
    }

    /// How many receipts were passed over, since what they tell of comes after the cut.
    pub(super) fn receipts_left_out(&self) -> u64 {
        self.receipts_left_out.load(Ordering::Relaxed)
    }

    /// The followers that had gone beyond the cut.
    pub(super) fn followers_ahead(&self) -> Vec<String> {
        let all = self.backup.run.checkpoints.iter().map(SavedCheckpoint::named);
        all.filter(|(_, checkpoint)| checkpoint.position > self.backup.cut).map(|(name, _)| name).collect()
    }
}

#[async_trait]
impl Source for BackupSource {
    fn identity(&self) -> Uuid {
        self.backup.log_id
    }

    async fn log_end(&self) -> Result<Position, SideError> {
        Ok(self.backup.cut)
    }

    async fn events(
        &self,
        after: Position,
        up_to: Position,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, SideError> {
        let backup = Arc::clone(&self.backup);
        blocking(move || Ok(backup.events(after, up_to, limit)?)).await
    }

    async fn receipts(&self, _: Option<&ReceiptPage>, limit: usize) -> Result<ReceiptPage, SideError> {
        let backup = Arc::clone(&self.backup);
        let read = move || -> Result<_, SideError> { Ok(backup.next_receipts(limit)?) };
        let (receipts, left_out) = blocking(read).await?;
        self.receipts_left_out.fetch_add(left_out, Ordering::Relaxed);
        Ok(ReceiptPage { receipts, last_number: None })
    }

    /// A follower that had gone beyond the cut begins again at the cut, and nothing is known of the other side: it has
    /// to look.
    async fn checkpoints(&self) -> Result<NamedCheckpoints, SideError> {
        let cut = self.backup.cut;
        let cut_down = |checkpoint: Checkpoint| match checkpoint.position > cut {
            true => Checkpoint { position: cut, evidence: None },
            false => checkpoint,
        };
        let all = self.backup.run.checkpoints.iter().map(SavedCheckpoint::named);
        Ok(all.map(|(name, checkpoint)| (name, cut_down(checkpoint))).collect())
    }
}

impl Backup {
    fn events(
        &self,
        after: Position,
        up_to: Position,
        limit: PageLimit,
    ) -> Result<Vec<RecordedEvent>, BackupDirError> {
        let up_to = up_to.min(self.cut);
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut events, mut bytes, mut next) = (Vec::new(), 0, after.plus(1));
        while next <= up_to && events.len() < limit.events && bytes < limit.bytes {
            let reader = match &mut *cursor {
                Some(reader) if reader.next_position() == next => reader,
                stale => stale.insert(self.reader_at(next)?),
            };
            let Some(event) = reader.next()? else {
                *cursor = None;
                continue;
            };
            bytes += event.data.len();
            next = next.plus(1);
            events.push(event);
        }
        Ok(events)
    }

    /// Reads the part that has a position, which the manifest says is there.
    fn reader_at(&self, position: Position) -> Result<EventReader, BackupDirError> {
        let number = self.events.partition_point(|part| part.last < position.0);
        let part = self.events.get(number).ok_or_else(|| {
            BackupDirError::damaged(self.dir.path(), format!("it has no event at position {position}"))
        })?;
        let mut reader = EventReader::open(&self.dir, part)?;
        reader.skip_to(position)?;
        Ok(reader)
    }

    /// The next receipts that are of events up to the cut, and how many others were passed over.
    fn next_receipts(&self, limit: usize) -> Result<(Vec<Receipt>, u64), BackupDirError> {
        let mut cursor = self.receipts.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut receipts, mut left_out) = (Vec::new(), 0);
        while receipts.len() < limit
            && let Some(receipt) = self.next_receipt(&mut cursor)?
        {
            let undone = cursor.undone.as_ref().and_then(|undone| undone.get(&receipt.order_id));
            if undone.is_some_and(|first| receipt.version >= *first) {
                left_out += 1;
            } else {
                receipts.push(receipt);
            }
        }
        Ok((receipts, left_out))
    }

    /// The next receipt, whatever it is of; `None` after the last one of the last pass.
    fn next_receipt(&self, cursor: &mut ReceiptCursor) -> Result<Option<Receipt>, BackupDirError> {
        while cursor.pass < self.passes {
            if cursor.undone.is_none() {
                cursor.undone = Some(self.undone(cursor.pass)?);
            }
            if let Some(receipt) = cursor.waiting.pop() {
                return Ok(Some(receipt));
            }
            if let Some(part) = self.run.receipts.get(cursor.part) {
                cursor.part += 1;
                cursor.waiting = read_receipts(&self.dir, part)?;
                cursor.waiting.retain(|receipt| self.is_of_pass(&receipt.order_id, cursor.pass));
                // Taken from the end, in the order that they came in.
                cursor.waiting.reverse();
            } else {
                *cursor = ReceiptCursor { pass: cursor.pass + 1, ..ReceiptCursor::default() };
            }
        }
        Ok(None)
    }

    fn is_of_pass(&self, order_id: &OrderId, pass: u64) -> bool {
        self.passes == 1 || XxHash3_64::oneshot(order_id.as_str().as_bytes()) % self.passes == pass
    }

    /// What the cut undoes: for each order of a pass that has events between it and the moment of the receipts, the version
    /// of the first.
    fn undone(&self, pass: u64) -> Result<HashMap<OrderId, Version>, BackupDirError> {
        let mut undone = HashMap::new();
        let (mut next, end) = (self.cut.plus(1), Position(self.run.last_position));
        while next <= end {
            let mut reader = self.reader_at(next)?;
            while let Some(event) = reader.next()?.filter(|event| event.position <= end) {
                if self.is_of_pass(&event.order_id, pass) {
                    undone.entry(event.order_id).or_insert(event.version);
                }
            }
            next = reader.next_position().max(next.plus(1));
        }
        Ok(undone)
    }
}
