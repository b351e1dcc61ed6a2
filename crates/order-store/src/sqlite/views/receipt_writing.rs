//! Writing the index of receipts: entries are added in sorted batches, and go by whole segments.

use rusqlite::{OptionalExtension, params};

use crate::sqlite::log::receipts::Sequence;
use crate::sqlite::views::overlay::Generation;
use crate::sqlite::views::progress::{FileProgress, ReceiptProgress};
use crate::sqlite::views::receipt_index::{ReceiptEntry, Segment, count, hashes_beside, segment_of};
use crate::sqlite::views::writing::ROWS_PER_COMMIT;
use crate::sqlite::views::{Views, ViewsError};

const INSERT: &str = "INSERT OR IGNORE INTO receipt_index (segment, hash, sequence) VALUES (?1, ?2, ?3)";
const DELETE_SEGMENTS: &str = "DELETE FROM receipt_segments WHERE id < ?1";
const FIRST_ENTRY: &str = "SELECT segment, hash FROM receipt_index ORDER BY segment, hash LIMIT 1";
const DELETE_ENTRIES: &str = "DELETE FROM receipt_index WHERE segment = ?1 AND hash BETWEEN ?2 AND ?3";

/// Ranges that are deleted each time: they have some 50,000 entries, which is more than a batch brings.
const RANGES_AT_ONCE: usize = 12;

impl Views {
    /// The entries of a generation's receipts, in their order.
    pub(super) fn receipt_entries(&self, generation: &Generation) -> Vec<ReceiptEntry> {
        let seed = self.progress.hash_seed;
        let entries =
            generation.receipts().map(|(key, sequence)| ReceiptEntry::new(key.as_bytes(), sequence, seed));
        let mut entries: Vec<_> = entries.collect();
        entries.sort_unstable();
        entries
    }

    /// Adds receipts to their index, entries in their order: all that came after the last that it had, up to the last of
    /// these.
    pub(crate) fn insert_receipts(&mut self, entries: &[ReceiptEntry]) -> Result<(), ViewsError> {
        // Some may have been deleted with all of their segment before they could be written.
        let first_segment = self.progress.receipts.first_segment;
        let entries = &entries[entries.partition_point(|entry| entry.segment < first_segment)..];
        let Some(last) = entries.iter().max_by_key(|entry| entry.sequence) else { return Ok(()) };
        if self.progress.receipts.segments == 0 {
            self.progress.receipts.first_segment = entries[0].segment;
        }
        for segment in entries.chunk_by(|a, b| a.segment == b.segment) {
            for chunk in segment.chunks(ROWS_PER_COMMIT) {
                self.insert_chunk(chunk[0].segment, chunk)?;
            }
        }
        let receipts = self.progress.receipts;
        if last.sequence <= receipts.last {
            return Ok(());
        }
        self.save_receipts(ReceiptProgress { last: last.sequence, last_hash: last.hash, ..receipts })
    }

    fn insert_chunk(&mut self, segment: Segment, chunk: &[ReceiptEntry]) -> Result<(), ViewsError> {
        let mut progress = self.progress;
        let transaction = self.connection.transaction()?;
        let mut insert = transaction.prepare_cached(INSERT)?;
        let mut inserted = Vec::with_capacity(chunk.len());
        for entry in chunk {
            // After a crash an entry may be there already, and its range knows of it.
            if insert.execute(params![entry.segment, entry.hash, entry.sequence])? == 1 {
                inserted.push(*entry);
            }
        }
        drop(insert);
        if count(&transaction, segment, &inserted)? {
            progress.receipts.segments += 1;
            progress.save(&transaction)?;
        }
        transaction.commit()?;
        self.progress = progress;
        Ok(())
    }

    fn save_receipts(&mut self, receipts: ReceiptProgress) -> Result<(), ViewsError> {
        let progress = FileProgress { receipts, ..self.progress };
        progress.save(&self.connection)?;
        self.progress = progress;
        Ok(())
    }

    /// Lets the segments go whose receipts are all older than the oldest that the log has. For readers they are gone at once;
    /// of their entries a bounded number goes each time, so that the next batch does not wait.
    pub(crate) fn forget_receipts_before(&mut self, oldest: Sequence) -> Result<(), ViewsError> {
        let first_segment = segment_of(oldest);
        let mut progress = self.progress;
        if first_segment > progress.receipts.first_segment {
            let transaction = self.connection.transaction()?;
            let gone = transaction.prepare_cached(DELETE_SEGMENTS)?.execute([first_segment])?;
            progress.receipts.first_segment = first_segment;
            progress.receipts.segments = progress.receipts.segments.saturating_sub(gone as u64);
            progress.save(&transaction)?;
            transaction.commit()?;
            self.progress = progress;
        }
        for _ in 0..RANGES_AT_ONCE {
            if !self.delete_first_range(progress.receipts.first_segment)? {
                break;
            }
        }
        Ok(())
    }

    /// Deletes the first range that is left of what is before a segment. `false` if there is none.
    fn delete_first_range(&self, before: Segment) -> Result<bool, ViewsError> {
        let mut first = self.connection.prepare_cached(FIRST_ENTRY)?;
        let first = first.query_row((), |row| Ok((row.get::<_, Segment>(0)?, row.get(1)?))).optional()?;
        let Some((segment, hash)) = first.filter(|(segment, _)| *segment < before) else { return Ok(false) };
        let (from, to) = hashes_beside(hash);
        self.connection.prepare_cached(DELETE_ENTRIES)?.execute(params![segment, from, to])?;
        Ok(true)
    }
}
