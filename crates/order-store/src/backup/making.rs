//! Making a backup, or adding to one.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use order_application::{PageLimit, Position, StoreError};
use order_domain::Timestamp;
use tokio::task::JoinHandle;

use super::directory::BackupDir;
use super::manifest::{EventPart, FinishedRun, Manifest, SavedCheckpoint};
use super::part::{EventRecords, NewEventPart, NewReceiptParts};
use super::{BackupDirError, BackupError};
#[cfg(feature = "planted-faults")]
use crate::copy::SideError;
use crate::log_reader::LogReader;
#[cfg(feature = "planted-faults")]
use crate::log_reader::StoreMoment;
use crate::store_location::StoreLocation;

/// Most bytes of a part, of which two are held in memory. An event that is larger is a part by itself.
pub const BACKUP_PART_BYTES: usize = 32 * 1024 * 1024;

/// Of so many parts one may be missing in the manifest until the end of a run, and be written again by the next if this one is
/// cut short. To name each at once would write a long manifest anew for every part.
const NAMED_PER_UNNAMED: usize = 64;

/// Events that are read at a time.
const PAGE: PageLimit = PageLimit { events: 2_000, bytes: 4 * 1024 * 1024 };

/// After each page that it reads beside a server, a backup rests for so many times as long as that took: commands come first,
/// also on a machine that has no core to spare.
const REST: u32 = 2;

/// What a backup says of itself, and how it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupOptions {
    /// What the service gives as the source of its events, for whoever serves from what is restored.
    pub event_source: String,
    /// Now.
    pub made_at: Timestamp,
    /// Most bytes of a part: see [`BACKUP_PART_BYTES`].
    pub part_bytes: usize,
}

/// What a backup has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupReport {
    /// The last event.
    pub position: Position,
    /// Events that this run has added.
    pub added: u64,
    /// Receipts.
    pub receipts: u64,
    /// Checkpoints of those who follow the log.
    pub checkpoints: usize,
}

/// Makes a backup of a store in a directory, or brings the one that is there up to now. The store may be served meanwhile,
/// but not by this process: see [`LogReader`]. `progress` is told events that are there and events in all. What was
/// acknowledged before this is called is in the backup.
///
/// # Errors
/// See [`BackupError`]. What the directory had before can still be restored, and the next run goes on.
pub async fn backup(
    location: &StoreLocation,
    directory: &Path,
    options: BackupOptions,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<BackupReport, BackupError> {
    let log = LogReader::open_primary(location).await?;
    let identity = log.identity().await?;
    let (dir, manifest) = BackupDir::open_to_write(directory, identity)?;
    if manifest.log_id != identity {
        return Err(BackupError::OtherLog(directory.to_owned()));
    }
    manifest.files().try_for_each(|part| dir.check_length(part))?;
    dir.remove_leftovers(&manifest)?;
    let began = manifest.events_end();
    check_continues(&log, &manifest, directory).await?;
    let mut run = Run { log, dir: Arc::new(dir), manifest, part_bytes: options.part_bytes, unnamed: 0 };
    // Most of it, so that there is little to do between the moment and the end.
    let end = run.log.end().await?;
    run.add_events(end, progress).await?;
    let finished = run.finish(options, progress).await?;
    Ok(BackupReport {
        position: Position(finished.last_position),
        added: run.manifest.events_end().0 - began.0,
        receipts: finished.receipts.iter().map(|part| part.receipts).sum(),
        checkpoints: finished.checkpoints.len(),
    })
}

/// Ids are never given twice, so a log that has the last event that was backed up has all before it.
async fn check_continues(log: &LogReader, manifest: &Manifest, directory: &Path) -> Result<(), BackupError> {
    let Some(EventPart { last, last_id, .. }) = manifest.events.last() else { return Ok(()) };
    let found = if log.end().await?.0 < *last {
        "none"
    } else {
        let page = log.read_log(Position(last - 1), PageLimit::events(1)).await?;
        if page.first().is_some_and(|event| event.id == *last_id) {
            return Ok(());
        }
        "another"
    };
    Err(BackupError::OtherHistory { path: directory.to_owned(), backed_up: Position(*last), found })
}

struct Run {
    log: LogReader,
    dir: Arc<BackupDir>,
    manifest: Manifest,
    part_bytes: usize,
    /// Parts that the manifest on the disk does not name yet.
    unnamed: usize,
}

/// A part that is being written while the next one is put together.
type WrittenPart = JoinHandle<Result<Option<EventPart>, BackupDirError>>;

impl Run {
    /// Adds what is missing of the log up to a position.
    async fn add_events(
        &mut self,
        up_to: Position,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<(), BackupError> {
        let mut after = self.manifest.events_end();
        let mut part = NewEventPart::default();
        let mut writing: Option<WrittenPart> = None;
        let mut page = self.log.collect(after, PAGE, EventRecords::push).await?;
        while after < up_to {
            let began = Instant::now();
            page.cut(up_to);
            let Some(last) = page.last() else { return Err(ends_early(after)) };
            after = last;
            // The next page is read while the records of this one are put together.
            let log = &self.log;
            let (next, full) = tokio::join!(log.collect(after, PAGE, EventRecords::push), async {
                page.add_to(&mut part, self.part_bytes)
            });
            for full in full {
                self.keep(writing.take()).await?;
                writing = Some(self.write(full));
            }
            page = next?;
            progress(after.0, up_to.0);
            if self.log.may_be_served() {
                tokio::time::sleep(began.elapsed() * REST).await;
            }
        }
        self.keep(writing).await?;
        let last = self.write(part);
        self.keep(Some(last)).await
    }

    fn write(&self, part: NewEventPart) -> WrittenPart {
        let dir = Arc::clone(&self.dir);
        tokio::task::spawn_blocking(move || part.write(&dir))
    }

    /// Waits until a part is on the disk, and has the manifest name it before long.
    async fn keep(&mut self, writing: Option<WrittenPart>) -> Result<(), BackupError> {
        let Some(writing) = writing else { return Ok(()) };
        let written = writing.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let Some(part) = written else { return Ok(()) };
        self.manifest.events.push(part);
        self.unnamed += 1;
        if self.unnamed > self.manifest.events.len() / NAMED_PER_UNNAMED {
            self.dir.write_manifest(&self.manifest)?;
            self.unnamed = 0;
        }
        Ok(())
    }

    /// Takes what the store has beside its log, adds the log up to that moment, and says that the backup is whole.
    async fn finish(
        &mut self,
        options: BackupOptions,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<FinishedRun, BackupError> {
        let number = self.manifest.finished.as_ref().map_or(0, |run| run.number) + 1;
        let mut parts = NewReceiptParts::new(&self.dir, number, self.part_bytes);
        let moment = self.log.moment(&mut |receipts| Ok(parts.add(receipts)?)).await?;
        let receipts = parts.finish()?;
        #[cfg(feature = "planted-faults")]
        let moment = planted_later(&self.log, moment).await?;
        self.add_events(moment.end, progress).await?;
        let finished = FinishedRun {
            number,
            made_at: options.made_at,
            first_position: moment.end.0.min(1),
            last_position: moment.end.0,
            event_source: options.event_source,
            receipts,
            checkpoints: SavedCheckpoint::all(moment.checkpoints),
        };
        self.manifest.finished = Some(finished.clone());
        self.dir.write_manifest(&self.manifest)?;
        self.dir.remove_leftovers(&self.manifest)?;
        Ok(finished)
    }
}

/// Somebody has put another log in the place of this one meanwhile.
fn ends_early(after: Position) -> BackupError {
    let what = format!("no event at position {}", after.plus(1));
    BackupError::Store(StoreError::Corrupt(what).into())
}

/// A moment whose log ends later than its receipts do, if that is the planted fault.
#[cfg(feature = "planted-faults")]
async fn planted_later(log: &LogReader, moment: StoreMoment) -> Result<StoreMoment, SideError> {
    if crate::sqlite::is_planted("receipts-before-events") {
        return Ok(StoreMoment { end: log.end().await?, ..moment });
    }
    Ok(moment)
}
