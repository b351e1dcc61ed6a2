//! A broker in memory, as a replica reads it: several partitions, delivered in an order that a number decides.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use order_application::cloud_event::PublishedEvent;
use order_application::*;
use tokio::sync::Notify;
use uuid::Uuid;

/// Partitions of messages, and what befalls those who read them.
#[derive(Clone)]
pub(super) struct FakeLog(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

pub(super) struct State {
    /// The ids of the primary's events, in the order of its log.
    primary: Vec<Uuid>,
    pub(super) partitions: Vec<Vec<Result<PublishedEvent, String>>>,
    /// Decides which partition is next, and how many messages come at once.
    pub(super) random: u64,
    /// Most messages at once.
    pub(super) at_once: usize,
    /// What `open` and reading answer with.
    pub(super) away: Option<BrokerError>,
    /// Breaks the reader after so many more messages.
    pub(super) breaks_after: Option<usize>,
    /// Messages that it counts and does not have.
    pub(super) phantoms: u64,
    /// Does not accept a bookmark.
    pub(super) forgot_bookmarks: bool,
    /// What each reader began with.
    pub(super) bookmarks: Vec<Option<String>>,
    /// How many messages each partition has delivered, to all readers together.
    pub(super) delivered: Vec<usize>,
    /// Which partitions are paused now.
    pub(super) paused: Vec<bool>,
}

impl FakeLog {
    pub(super) fn new(partitions: usize, primary: &[RecordedEvent]) -> Self {
        let state = State {
            primary: primary.iter().map(|event| event.id).collect(),
            partitions: vec![Vec::new(); partitions],
            random: 0x9E37_79B9_7F4A_7C15,
            at_once: 5,
            away: None,
            breaks_after: None,
            phantoms: 0,
            forgot_bookmarks: false,
            bookmarks: Vec::new(),
            delivered: vec![0; partitions],
            paused: vec![false; partitions],
        };
        Self(Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() }))
    }

    /// To look, or to change something, which readers then notice.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.changed.notify_waiters();
        self.lock()
    }

    /// Adds messages as the primary's relay does: each names the event before its own in the primary's log.
    pub(super) fn publish<'a>(&self, partition: usize, events: impl IntoIterator<Item = &'a RecordedEvent>) {
        for event in events {
            let before = event.position.0.checked_sub(2);
            let previous_id = before.map(|before| self.state().primary[before as usize]);
            self.publish_after(previous_id, partition, [event]);
        }
    }

    /// Adds messages that do not name the event before theirs.
    pub(super) fn publish_unnamed<'a>(
        &self,
        partition: usize,
        events: impl IntoIterator<Item = &'a RecordedEvent>,
    ) {
        let events = events.into_iter().cloned();
        let messages = events.map(|event| Ok(PublishedEvent { event, previous_id: None }));
        self.state().partitions[partition].extend(messages);
    }

    /// Adds messages of events that follow on each other, the first on the one with the id `previous_id`.
    pub(super) fn publish_after<'a>(
        &self,
        previous_id: Option<Uuid>,
        partition: usize,
        events: impl IntoIterator<Item = &'a RecordedEvent>,
    ) {
        let mut previous_id = previous_id;
        for event in events.into_iter().cloned() {
            let named = previous_id.replace(event.id);
            self.state().partitions[partition].push(Ok(PublishedEvent { event, previous_id: named }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// xorshift64
    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % bound as u64) as usize
    }
}

#[async_trait]
impl BrokerLog for FakeLog {
    async fn open(&self, bookmark: Option<&str>) -> Result<Box<dyn BrokerReader>, BrokerError> {
        let mut state = self.lock();
        if let Some(error) = &state.away {
            return Err(error.clone());
        }
        let bookmark = bookmark.filter(|_| !state.forgot_bookmarks);
        state.bookmarks.push(bookmark.map(str::to_owned));
        let count = state.partitions.len();
        state.paused = vec![false; count];
        let offsets = bookmark.map(|text| text.split(',').map(|offset| offset.parse().unwrap()).collect());
        Ok(Box::new(FakeReader { log: self.clone(), next: offsets.unwrap_or_else(|| vec![0; count]) }))
    }
}

struct FakeReader {
    log: FakeLog,
    next: Vec<usize>,
}

impl FakeReader {
    fn take(&mut self) -> Result<Vec<Delivery>, BrokerError> {
        let mut state = self.log.lock();
        if let Some(error) = &state.away {
            return Err(error.clone());
        }
        let open =
            |number: &usize| !state.paused[*number] && self.next[*number] < state.partitions[*number].len();
        let open: Vec<_> = (0..self.next.len()).filter(open).collect();
        if open.is_empty() {
            return Ok(Vec::new());
        }
        let partition = open[state.below(open.len())];
        let from = self.next[partition];
        let at_once = state.at_once.min(state.partitions[partition].len() - from);
        let mut count = 1 + state.below(at_once);
        if let Some(left) = state.breaks_after {
            count = count.min(left);
            if count == 0 {
                state.breaks_after = None;
                return Err(BrokerError::Unavailable("the connection broke".to_owned()));
            }
            state.breaks_after = Some(left - count);
        }
        state.delivered[partition] += count;
        self.next[partition] += count;
        let messages = state.partitions[partition][from..from + count].iter().cloned();
        let deliver = |(offset, event)| Delivery { partition, offset, event };
        Ok((from as u64..).zip(messages).map(deliver).collect())
    }
}

#[async_trait]
impl BrokerReader for FakeReader {
    fn partitions(&self) -> usize {
        self.next.len()
    }

    async fn next(&mut self) -> Result<Vec<Delivery>, BrokerError> {
        let log = self.log.clone();
        loop {
            let changed = log.0.changed.notified();
            // As any broker does: it lets others have a go. Before it takes anything, so that nothing is lost.
            tokio::task::yield_now().await;
            let deliveries = self.take()?;
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
            changed.await;
        }
    }

    fn set_paused(&mut self, partition: usize, is_paused: bool) -> Result<(), BrokerError> {
        let mut state = self.log.state();
        assert!(state.paused[partition] != is_paused, "is so already");
        state.paused[partition] = is_paused;
        Ok(())
    }

    async fn behind(&mut self) -> Result<u64, BrokerError> {
        let state = self.log.lock();
        let left = self.next.iter().zip(&state.partitions).map(|(next, all)| all.len() - next);
        Ok(left.sum::<usize>() as u64 + state.phantoms)
    }

    fn bookmark(&self, next_offsets: &[Option<u64>]) -> Box<str> {
        // Of a partition that has not delivered anything, the beginning is where this reader began.
        let offsets = next_offsets.iter().zip(&self.next).map(|(offset, began)| match offset {
            Some(offset) => offset.to_string(),
            None => began.to_string(),
        });
        offsets.collect::<Vec<_>>().join(",").into()
    }
}
