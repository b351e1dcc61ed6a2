//! Parts: files of bounded size that have events, or receipts.
//!
//! A part begins with a line that says what it is. Records follow on each other.

use std::path::{Path, PathBuf};

use order_application::{Position, Receipt, RecordedEvent};
use order_domain::Timestamp;
use uuid::Uuid;

use super::directory::BackupDir;
use super::manifest::{EventPart, ReceiptPart};
use super::{BackupDirError, record};
use crate::checksum::Covered;

const EVENTS: &[u8] = b"order-service backup 1: events\n";
const RECEIPTS: &[u8] = b"order-service backup 1: receipts\n";

/// `events-N.part`, where N is the position of the first of them; `receipts-R-N.part`, where R is the number of the run.
pub(super) fn is_part_name(name: &str) -> bool {
    let numbers =
        |name: &str| name.split('-').all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let Some(name) = name.strip_suffix(".part") else { return false };
    name.strip_prefix("events-").or(name.strip_prefix("receipts-")).is_some_and(numbers)
}

/// Events in the form that they have in a part, one after the other.
#[derive(Default)]
pub(super) struct EventRecords {
    bytes: Vec<u8>,
    records: Vec<EventRecord>,
}

struct EventRecord {
    /// Where it ends among the bytes.
    end: usize,
    position: Position,
    id: Uuid,
    time: Timestamp,
}

impl EventRecords {
    /// Adds an event whose position is known.
    pub(super) fn push(&mut self, event: &Covered<'_>) {
        record::push_event(&mut self.bytes, event);
        self.records.push(EventRecord {
            end: self.bytes.len(),
            position: event.position.unwrap_or_default(),
            id: Uuid::from_bytes(*event.id),
            time: event.time,
        });
    }

    /// The position of the last one.
    pub(super) fn last(&self) -> Option<Position> {
        self.records.last().map(|record| record.position)
    }

    /// Leaves out those after a position.
    pub(super) fn cut(&mut self, up_to: Position) {
        self.records.retain(|record| record.position <= up_to);
    }

    /// Adds them to a part, and answers with those parts that are full by then.
    pub(super) fn add_to(&self, part: &mut NewEventPart, part_bytes: usize) -> Vec<NewEventPart> {
        let mut full = Vec::new();
        let mut begin = 0;
        for record in &self.records {
            let bytes = &self.bytes[begin..record.end];
            if !part.has_room(bytes.len(), part_bytes) {
                full.push(std::mem::take(part));
            }
            part.add(record, bytes);
            begin = record.end;
        }
        full
    }
}

/// A part of the log that is being put together.
#[derive(Default)]
pub(super) struct NewEventPart {
    content: Vec<u8>,
    first: Position,
    last: Option<(Position, Uuid)>,
    latest: Option<Timestamp>,
}

impl NewEventPart {
    /// There always is for the first event.
    fn has_room(&self, bytes: usize, part_bytes: usize) -> bool {
        self.content.is_empty() || self.content.len() + bytes <= part_bytes
    }

    fn add(&mut self, event: &EventRecord, bytes: &[u8]) {
        if self.content.is_empty() {
            self.content.extend_from_slice(EVENTS);
            self.first = event.position;
        }
        self.content.extend_from_slice(bytes);
        self.last = Some((event.position, event.id));
        self.latest = self.latest.max(Some(event.time));
    }

    /// Writes it, unless it is empty.
    pub(super) fn write(self, dir: &BackupDir) -> Result<Option<EventPart>, BackupDirError> {
        let Self { content, first, last: Some((last, last_id)), latest } = self else { return Ok(None) };
        let file = dir.write_part(format!("events-{:020}.part", first.0), &content)?;
        let latest = latest.unwrap_or_default();
        Ok(Some(EventPart { file, first: first.0, last: last.0, last_id, latest }))
    }
}

/// Receipts, which become as many parts as they need.
pub(super) struct NewReceiptParts<'d> {
    dir: &'d BackupDir,
    run: u64,
    part_bytes: usize,
    content: Vec<u8>,
    receipts: u64,
    parts: Vec<ReceiptPart>,
}

impl<'d> NewReceiptParts<'d> {
    pub(super) fn new(dir: &'d BackupDir, run: u64, part_bytes: usize) -> Self {
        Self { dir, run, part_bytes, content: RECEIPTS.to_vec(), receipts: 0, parts: Vec::new() }
    }

    pub(super) fn add(&mut self, receipts: &[Receipt]) -> Result<(), BackupDirError> {
        for receipt in receipts {
            record::push_receipt(&mut self.content, receipt);
            self.receipts += 1;
            if self.content.len() >= self.part_bytes {
                self.write()?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Vec<ReceiptPart>, BackupDirError> {
        if self.receipts > 0 {
            self.write()?;
        }
        Ok(self.parts)
    }

    fn write(&mut self) -> Result<(), BackupDirError> {
        let name = format!("receipts-{:010}-{:06}.part", self.run, self.parts.len() + 1);
        let file = self.dir.write_part(name, &self.content)?;
        self.parts.push(ReceiptPart { file, receipts: self.receipts });
        self.content.truncate(RECEIPTS.len());
        self.receipts = 0;
        Ok(())
    }
}

/// A part of the log that was read, event by event.
pub(super) struct EventReader {
    part: EventPart,
    path: PathBuf,
    content: Vec<u8>,
    offset: usize,
    next: Position,
}

impl EventReader {
    pub(super) fn open(dir: &BackupDir, part: &EventPart) -> Result<Self, BackupDirError> {
        let content = dir.read_part(&part.file)?;
        let path = dir.path().join(&part.file.name);
        let offset = begin(&content, EVENTS).ok_or_else(|| no_part(&path))?;
        Ok(Self { part: part.clone(), path, content, offset, next: Position(part.first) })
    }

    /// The position of the next event, which may be the first of the next part.
    pub(super) fn next_position(&self) -> Position {
        self.next
    }

    /// Passes over events before a position.
    pub(super) fn skip_to(&mut self, position: Position) -> Result<(), BackupDirError> {
        while self.next < position && self.next.0 <= self.part.last {
            self.take(record::skip_event, |position| *position)?;
        }
        Ok(())
    }

    /// The next event; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<RecordedEvent>, BackupDirError> {
        if self.next.0 > self.part.last {
            let is_at_end = self.offset == self.content.len();
            return is_at_end.then_some(None).ok_or_else(|| self.damaged());
        }
        self.take(record::take_event, |event| event.position).map(Some)
    }

    fn take<T>(
        &mut self,
        take: impl FnOnce(&mut &[u8]) -> Option<T>,
        position: impl FnOnce(&T) -> Position,
    ) -> Result<T, BackupDirError> {
        let mut rest = &self.content[self.offset..];
        let taken = take(&mut rest).filter(|taken| position(taken) == self.next);
        let taken = taken.ok_or_else(|| self.damaged())?;
        self.offset = self.content.len() - rest.len();
        self.next = self.next.plus(1);
        Ok(taken)
    }

    fn damaged(&self) -> BackupDirError {
        BackupDirError::damaged(
            &self.path,
            format!("the event at position {} is not what was written", self.next),
        )
    }
}

/// The receipts of a part.
pub(super) fn read_receipts(dir: &BackupDir, part: &ReceiptPart) -> Result<Vec<Receipt>, BackupDirError> {
    let path = dir.path().join(&part.file.name);
    let content = dir.read_part(&part.file)?;
    let mut rest = &content[begin(&content, RECEIPTS).ok_or_else(|| no_part(&path))?..];
    let mut receipts = Vec::new();
    while !rest.is_empty() {
        let receipt = record::take_receipt(&mut rest);
        receipts.push(
            receipt.ok_or_else(|| BackupDirError::damaged(&path, "a receipt is not what was written"))?,
        );
    }
    if receipts.len() as u64 != part.receipts {
        return Err(BackupDirError::damaged(&path, "it has not all receipts that were written"));
    }
    Ok(receipts)
}

fn begin(content: &[u8], line: &[u8]) -> Option<usize> {
    content.starts_with(line).then_some(line.len())
}

fn no_part(path: &Path) -> BackupDirError {
    BackupDirError::damaged(path, "it is another kind of file")
}
