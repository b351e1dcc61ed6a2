//! Pages that several feeds may want: each is made once, whoever comes first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use order_application::{OrderService, PageLimit, Position, RecordedEvent, RepeatedFault, StoreError};
use tokio::sync::{OnceCell, Semaphore};

use super::page::{FeedOptions, Page};
use super::tail::Batch;
use crate::byte_budget::ByteBudget;

/// Events of one page. A page ends at a multiple of it, so that feeds which began at different places come to share pages.
pub(super) const PAGE_EVENTS: usize = 128;
/// Bytes of event data of one page, about: what a connection holds that takes nothing.
pub(super) const PAGE_BYTES: usize = 64 * 1024;
/// Pages that are kept for other feeds, in bytes.
const KEPT_BYTES: usize = 16 * 1024 * 1024;
/// What a page takes besides its frames, about.
const ENTRY_BYTES: usize = 512;
/// Feeds read the log so many at a time, and leave the store's other readers to lists.
const READS_AT_ONCE: usize = 4;
/// Pages that connections hold, in bytes: beyond that no feed reads the log.
const HELD_BYTES: usize = 64 * 1024 * 1024;

/// See the module.
pub(super) struct Pages {
    service: OrderService,
    /// The events' source as a JSON string, quotes included.
    source: String,
    kept: Mutex<Kept>,
    reading: Semaphore,
    held: ByteBudget,
    unreadable: RepeatedFault,
}

#[derive(Default)]
struct Kept {
    pages: HashMap<Key, Arc<OnceCell<Arc<Page>>>>,
    /// What was added, with its bytes, oldest first.
    added: VecDeque<(Key, usize)>,
    bytes: usize,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    options: Arc<FeedOptions>,
    after: Position,
    /// Whether it is a batch of the tail. A page that was read after the same position may end elsewhere.
    of_tail: bool,
}

impl Pages {
    pub(super) fn new(service: OrderService, source: String) -> Self {
        Self {
            service,
            source,
            kept: Mutex::default(),
            reading: Semaphore::new(READS_AT_ONCE),
            held: ByteBudget::new(HELD_BYTES),
            unreadable: RepeatedFault::default(),
        }
    }

    /// Whether connections hold less than they may.
    pub(super) fn has_room(&self) -> bool {
        self.held.has_room(0, 0)
    }

    /// A batch of the tail as frames.
    pub(super) async fn of_batch(&self, options: &Arc<FeedOptions>, batch: &Batch) -> Arc<Page> {
        let key = Key { options: Arc::clone(options), after: batch.after, of_tail: true };
        let cell = self.cell(&key);
        let page = cell.get_or_init(|| async { self.made(key, &batch.events) });
        Arc::clone(page.await)
    }

    /// The log after a position as frames. `None`, and the log of this process says why: it cannot be read.
    pub(super) async fn of_log(&self, options: &Arc<FeedOptions>, after: Position) -> Option<Arc<Page>> {
        let key = Key { options: Arc::clone(options), after, of_tail: false };
        let cell = self.cell(&key);
        let page = cell.get_or_try_init(|| async { Ok(self.made(key, &self.read(after).await?)) });
        match page.await {
            Ok(page) => {
                if let Some(more) = self.unreadable.over() {
                    tracing::info!(more, "live feeds go on; so many more of them ended early");
                }
                Some(Arc::clone(page))
            }
            Err::<_, StoreError>(error) => {
                if self.unreadable.is_news() {
                    tracing::error!(%error, position = %after, "a live feed ended early; others may as well");
                }
                None
            }
        }
    }

    async fn read(&self, after: Position) -> Result<Vec<RecordedEvent>, StoreError> {
        self.held.room().await;
        let permit = self.reading.acquire().await;
        let events = PAGE_EVENTS - (after.0 % PAGE_EVENTS as u64) as usize;
        let events = self.service.log_after(after, PageLimit { events, bytes: PAGE_BYTES }).await?;
        drop(permit);
        if events.is_empty() {
            return Err(StoreError::Unavailable(format!("the log ends at {after}, and went on before")));
        }
        Ok(events)
    }

    fn made(&self, key: Key, events: &[RecordedEvent]) -> Arc<Page> {
        let page = Page::render(events, &key.options, &self.source, |bytes| self.held.count(bytes));
        self.kept().count(key, page.bytes());
        Arc::new(page)
    }

    fn cell(&self, key: &Key) -> Arc<OnceCell<Arc<Page>>> {
        let mut kept = self.kept();
        if let Some(cell) = kept.pages.get(key) {
            return Arc::clone(cell);
        }
        let cell = Arc::default();
        kept.pages.insert(key.clone(), Arc::clone(&cell));
        kept.count(key.clone(), ENTRY_BYTES);
        cell
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing is left half-done by a panic that matters: at worst a page is made again.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Counts what was added for a page, and lets go of the oldest pages beyond the bound.
    fn count(&mut self, key: Key, bytes: usize) {
        self.bytes += bytes;
        self.added.push_back((key, bytes));
        while self.bytes > KEPT_BYTES {
            let Some((oldest, bytes)) = self.added.pop_front() else { break };
            self.pages.remove(&oldest);
            self.bytes -= bytes;
        }
    }
}
