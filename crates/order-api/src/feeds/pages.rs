//! Pages that several feeds may want: each is made once, whoever comes first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use order_application::{
    LogHistory, OrderService, PageLimit, Position, RecordedEvent, RepeatedFault, StoreError,
};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;

use super::page::{FeedOptions, Page};
use super::tail::Batch;
use crate::byte_budget::ByteBudget;
use crate::no_room::LONG_UNTAKEN;
use crate::shares::Shares;

/// Events of one page. A page ends at a multiple of it, so that feeds which began at different places come to share pages.
pub(super) const PAGE_EVENTS: usize = 128;
/// Bytes of event data of one page, about: what a connection holds that takes nothing.
pub(super) const PAGE_BYTES: usize = 64 * 1024;
/// Pages that are cached for feeds to come, in bytes.
const MAX_CACHED_BYTES: usize = 16 * 1024 * 1024;
/// What a page takes besides its frames and what its feeds asked for, about.
const ENTRY_BYTES: usize = 512;
/// Feeds read the log so many at a time, and leave the store's other readers to lists.
const READS_AT_ONCE: usize = 4;
/// Pages in memory, in bytes, those that are cached and those that only connections hold any more: beyond that no feed reads the
/// log.
const MAX_HELD_BYTES: usize = 64 * 1024 * 1024;

/// How many feeds that leave pages lying end at once when there is no room.
const ENDED_AT_ONCE: usize = 16;
/// How long a feed waits for room until it asks for some again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// See the module.
pub(super) struct Pages {
    service: OrderService,
    /// The events' source as a JSON string, quotes included.
    source: String,
    cache: Mutex<PageCache>,
    /// Whose clients may leave pages lying.
    feeds: Shares,
    reading: Semaphore,
    /// The bytes of every page in memory, as long as the cache or a connection has it.
    held: ByteBudget,
    unreadable: RepeatedFault,
}

/// Where a page is once somebody has made it.
type PageCell = Arc<OnceCell<Arc<Page>>>;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    options: Arc<FeedOptions>,
    /// Which history its events are of. In another, there are others at their positions.
    history: LogHistory,
    after: Position,
    /// Whether it is a batch of the tail. A page that was read after the same position may end elsewhere.
    of_tail: bool,
}

impl Pages {
    pub(super) fn new(service: OrderService, source: String, feeds: Shares) -> Self {
        Self {
            service,
            source,
            feeds,
            cache: Mutex::default(),
            reading: Semaphore::new(READS_AT_ONCE),
            held: ByteBudget::new(MAX_HELD_BYTES),
            unreadable: RepeatedFault::default(),
        }
    }

    /// Whether pages take no more memory than they may. If they do, feeds end whose clients leave theirs lying.
    pub(super) fn has_room(&self) -> bool {
        let has_room = self.held.has_room();
        if !has_room {
            self.feeds.end_untaken(ENDED_AT_ONCE, LONG_UNTAKEN);
        }
        has_room
    }

    /// A batch of the tail as frames, of a feed that began in this history.
    pub(super) async fn of_batch(
        &self,
        options: &Arc<FeedOptions>,
        history: LogHistory,
        batch: &Batch,
    ) -> Arc<Page> {
        let key = Key { options: Arc::clone(options), history, after: batch.after, of_tail: true };
        let cell = self.cache().cell(&key);
        let page = cell.get_or_init(|| async { self.made(&key, &cell, &batch.events) });
        Arc::clone(page.await)
    }

    /// The log after a position as frames. `None`, and the log of this process says why: it cannot be read, or not any more in
    /// this history.
    pub(super) async fn of_log(
        &self,
        options: &Arc<FeedOptions>,
        history: LogHistory,
        after: Position,
    ) -> Option<Arc<Page>> {
        let key = Key { options: Arc::clone(options), history, after, of_tail: false };
        let cell = self.cache().cell(&key);
        let page = cell.get_or_try_init(|| async {
            let events = self.read(after).await?;
            if self.service.log_history() != history {
                return Err(StoreError::Unavailable(format!(
                    "the log has gone back, and {after} means nothing in it"
                )));
            }
            Ok(self.made(&key, &cell, &events))
        });
        match page.await {
            Ok(page) => {
                if let Some(more) = self.unreadable.over() {
                    tracing::info!(more, "live feeds go on; so many more of them ended early");
                }
                Some(Arc::clone(page))
            }
            Err::<_, StoreError>(error) => {
                if self.unreadable.is_news() {
                    tracing::error!(%error, position = after.0, "a live feed ended early; others may as well");
                }
                None
            }
        }
    }

    async fn read(&self, after: Position) -> Result<Vec<RecordedEvent>, StoreError> {
        while !self.has_room() {
            _ = timeout(LOOK_AGAIN, self.held.room()).await;
        }
        let permit = self.reading.acquire().await;
        let events = PAGE_EVENTS - (after.0 % PAGE_EVENTS as u64) as usize;
        let events = self.service.log_after(after, PageLimit { events, bytes: PAGE_BYTES }).await?;
        drop(permit);
        if events.is_empty() {
            return Err(StoreError::Unavailable(format!("the log ends at {after}, and went on before")));
        }
        Ok(events)
    }

    fn made(&self, key: &Key, cell: &PageCell, events: &[RecordedEvent]) -> Arc<Page> {
        let page = Page::render(events, &key.options, &self.source, |bytes| self.held.count(bytes));
        self.cache().made(key, cell, page.bytes());
        Arc::new(page)
    }

    fn cache(&self) -> MutexGuard<'_, PageCache> {
        // Nothing is left half-done by a panic that matters: at worst a page is made again.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pages that are made, or are being made, oldest first, each counted once.
#[derive(Default)]
struct PageCache {
    pages: HashMap<Key, Entry>,
    /// In the order in which they came.
    keys: VecDeque<Key>,
    bytes: usize,
}

struct Entry {
    cell: PageCell,
    /// What is counted for it.
    bytes: usize,
}

impl PageCache {
    /// The place of a page, which is empty until somebody has made it.
    fn cell(&mut self, key: &Key) -> PageCell {
        if let Some(entry) = self.pages.get(key) {
            return Arc::clone(&entry.cell);
        }
        let cell = PageCell::default();
        let bytes = ENTRY_BYTES + key.options.bytes();
        self.pages.insert(key.clone(), Entry { cell: Arc::clone(&cell), bytes });
        self.keys.push_back(key.clone());
        self.bytes += bytes;
        self.evict();
        cell
    }

    /// Counts what a page takes that was made, unless its place has gone meanwhile.
    fn made(&mut self, key: &Key, cell: &PageCell, bytes: usize) {
        if let Some(entry) = self.pages.get_mut(key).filter(|entry| Arc::ptr_eq(&entry.cell, cell)) {
            entry.bytes += bytes;
            self.bytes += bytes;
            self.evict();
        }
    }

    /// Lets go of the oldest pages beyond the bound.
    fn evict(&mut self) {
        while self.bytes > MAX_CACHED_BYTES {
            let Some(entry) = self.keys.pop_front().and_then(|oldest| self.pages.remove(&oldest)) else {
                break;
            };
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use order_application::EventFilter;

    use super::*;

    fn key(after: u64) -> Key {
        let options = FeedOptions { filter: EventFilter::default(), event_names: false };
        Key {
            options: Arc::new(options),
            history: LogHistory::default(),
            after: Position(after),
            of_tail: false,
        }
    }

    /// Has a page made, if it is not there; says whether it was.
    fn make(cache: &mut PageCache, after: u64, bytes: usize) -> bool {
        let was_there = cache.pages.contains_key(&key(after));
        let cell = cache.cell(&key(after));
        if !was_there {
            cache.made(&key(after), &cell, bytes - ENTRY_BYTES);
        }
        was_there
    }

    #[test]
    fn a_page_that_is_made_again_is_as_new_as_any_and_the_oldest_goes() {
        let mut cache = PageCache::default();
        let [half, quarter] = [2, 4].map(|part| MAX_CACHED_BYTES / part);
        assert!(!make(&mut cache, 1, half) && !make(&mut cache, 2, half));
        assert!(make(&mut cache, 1, half) && make(&mut cache, 2, half), "both are within the bound");
        assert!(!make(&mut cache, 3, ENTRY_BYTES), "takes the place of the first");
        assert!(!make(&mut cache, 1, quarter), "it was made again");
        assert!((1..=3).all(|after| make(&mut cache, after, quarter)), "all are within the bound");
        assert!(!make(&mut cache, 4, quarter) && !cache.pages.contains_key(&key(2)), "the oldest went");
        assert!([1, 3, 4].iter().all(|after| make(&mut cache, *after, quarter)), "the others stayed");
    }

    #[test]
    fn what_feeds_asked_for_counts() {
        let types = (0..100).map(|number| format!("{number:0>100}")).collect();
        let options =
            FeedOptions { filter: EventFilter { types, ..EventFilter::default() }, event_names: false };
        let options = Arc::new(options);
        let mut cache = PageCache::default();
        for after in 0..5_000 {
            cache.cell(&Key { options: Arc::clone(&options), after: Position(after), ..key(after) });
        }
        assert!(cache.pages.len() < MAX_CACHED_BYTES / 10_000, "{}", cache.pages.len());
    }

    #[test]
    fn a_page_that_is_done_after_its_place_has_gone_counts_for_no_other() {
        let mut cache = PageCache::default();
        let slow = cache.cell(&key(1));
        make(&mut cache, 2, MAX_CACHED_BYTES);
        assert!(!cache.pages.contains_key(&key(1)));
        let again = cache.cell(&key(1));
        let bytes = cache.bytes;
        cache.made(&key(1), &slow, 1_000);
        assert_eq!(cache.bytes, bytes);
        cache.made(&key(1), &again, 1_000);
        assert_eq!(cache.bytes, bytes + 1_000);
    }
}
