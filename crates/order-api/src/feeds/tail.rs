//! The end of the log, which all feeds share: what was committed lately, who waits for more, and whose turn it is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use order_application::{Position, RecordedEvent};
use tokio::sync::{Notify, oneshot};

/// Most bytes of event data, about, that are kept for feeds which are a little behind; further behind they read the log.
const KEPT_BYTES: usize = 4 * 1024 * 1024;
/// The same in batches.
const KEPT_BATCHES: usize = 512;
/// How many feeds are woken at a time. Up to this many feeds take no turns.
const TURNS_AT_ONCE: usize = 16;
/// Deliveries are gathered for so long for each feed that is open: to hand a page to a connection takes about a quarter of
/// that, so feeds leave most of the machine to others.
const GATHERED_PER_FEED: Duration = Duration::from_micros(20);
/// The longest time for which deliveries are gathered, and the shortest: timers are no finer.
const MOST_GATHERED: Duration = Duration::from_millis(20);
const LEAST_GATHERED: Duration = Duration::from_millis(1);

/// Events that are delivered together.
pub(super) struct Batch {
    /// The position before the first of them.
    pub(super) after: Position,
    /// The position of the last.
    pub(super) last: Position,
    pub(super) events: Vec<RecordedEvent>,
}

/// What there is for a feed at a position.
pub(super) enum Next {
    /// The log goes on here.
    Batch(Arc<Batch>),
    /// It has to read the log.
    Behind,
    /// Nothing yet; it is told when there is.
    AtEnd(Turn),
    /// There will be no more.
    Over,
}

/// Resolves when it is the feed's turn, or when there will be no more.
pub(super) type Turn = oneshot::Receiver<()>;

/// See the module.
pub(super) struct Tail {
    state: Mutex<State>,
    turn_wanted: Notify,
    feeds: AtomicUsize,
}

struct State {
    /// What was committed lately, without a gap, up to `end`.
    batches: VecDeque<Arc<Batch>>,
    kept_bytes: usize,
    /// Before the first batch: feeds here and later need not read the log.
    begin: Position,
    end: Position,
    /// Feeds that have everything.
    at_end: Vec<oneshot::Sender<()>>,
    /// Feeds for which there is something, first come first served.
    in_line: VecDeque<oneshot::Sender<()>>,
    over: bool,
}

impl Tail {
    /// Goes on from a position, at which the log ends now.
    pub(super) fn new(end: Position) -> Self {
        let state = State {
            batches: VecDeque::new(),
            kept_bytes: 0,
            begin: end,
            end,
            at_end: Vec::new(),
            in_line: VecDeque::new(),
            over: false,
        };
        Self { state: Mutex::new(state), turn_wanted: Notify::new(), feeds: AtomicUsize::new(0) }
    }

    /// What there is for a feed that has everything up to a position.
    pub(super) fn next_after(&self, position: Position) -> Next {
        let mut state = self.state();
        if state.over {
            Next::Over
        } else if position < state.begin {
            Next::Behind
        } else if position < state.end {
            let index = state.batches.partition_point(|batch| batch.last <= position);
            state.batches.get(index).map_or(Next::Behind, |batch| Next::Batch(Arc::clone(batch)))
        } else {
            if state.at_end.len() >= 2 * self.feeds().max(TURNS_AT_ONCE) {
                // On a log that is quiet, feeds that come and go would otherwise be remembered for ever.
                state.at_end.retain(|waiting| !waiting.is_closed());
            }
            let (sender, turn) = oneshot::channel();
            state.at_end.push(sender);
            Next::AtEnd(turn)
        }
    }

    /// Waits until it is a feed's turn. Feeds that are many take turns, a few at a time, so that whoever else has something
    /// to do gets in between.
    pub(super) async fn turn(&self) {
        if self.feeds() <= TURNS_AT_ONCE {
            return;
        }
        let (sender, turn) = oneshot::channel();
        {
            let mut state = self.state();
            if state.over {
                return;
            }
            state.in_line.push_back(sender);
        }
        self.turn_wanted.notify_one();
        // An error means that it is over, which the feed finds out by itself.
        let _ = turn.await;
    }

    /// Adds what was committed after all that was there, and lets feeds have it.
    pub(super) fn hand_out(&self, batches: impl IntoIterator<Item = Vec<RecordedEvent>>) {
        let mut state = self.state();
        for events in batches {
            state.keep(events);
        }
        let waiting = std::mem::take(&mut state.at_end);
        if waiting.len() <= TURNS_AT_ONCE && state.in_line.is_empty() {
            drop(state);
            wake(waiting);
        } else {
            state.in_line.extend(waiting);
            drop(state);
            self.turn_wanted.notify_one();
        }
    }

    /// Wakes feeds in line, a few at a time. Between them everybody else who is ready gets to run.
    pub(super) async fn give_turns(&self) {
        loop {
            let next: Vec<_> = {
                let mut state = self.state();
                let count = state.in_line.len().min(TURNS_AT_ONCE);
                state.in_line.drain(..count).collect()
            };
            if next.is_empty() {
                self.turn_wanted.notified().await;
            } else {
                wake(next);
                tokio::task::yield_now().await;
            }
        }
    }

    /// How long deliveries are gathered now; not at all while feeds are few.
    pub(super) fn gathering(&self) -> Duration {
        let feeds = u32::try_from(self.feeds()).unwrap_or(u32::MAX);
        let time = GATHERED_PER_FEED.saturating_mul(feeds).min(MOST_GATHERED);
        if time < LEAST_GATHERED { Duration::ZERO } else { time }
    }

    /// Nothing more will come: feeds end.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.over = true;
        // Whoever waits learns it by this.
        state.at_end.clear();
        state.in_line.clear();
    }

    /// Whether feeds can still begin here.
    pub(super) fn is_open(&self) -> bool {
        !self.state().over
    }

    pub(super) fn feed_opened(&self) {
        self.feeds.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn feed_closed(&self) {
        self.feeds.fetch_sub(1, Ordering::Relaxed);
    }

    fn feeds(&self) -> usize {
        self.feeds.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is left half-done by a panic: each change is a few assignments.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, events: Vec<RecordedEvent>) {
        let Some(last) = events.last() else { return };
        let batch = Batch { after: self.end, last: last.position, events };
        self.end = batch.last;
        self.kept_bytes += batch.data_bytes();
        self.batches.push_back(Arc::new(batch));
        while self.kept_bytes > KEPT_BYTES || self.batches.len() > KEPT_BATCHES {
            let Some(oldest) = self.batches.pop_front() else { break };
            self.kept_bytes -= oldest.data_bytes();
            self.begin = oldest.last;
        }
    }
}

impl Batch {
    fn data_bytes(&self) -> usize {
        self.events.iter().map(|event| event.data.len()).sum()
    }
}

fn wake(turns: Vec<oneshot::Sender<()>>) {
    for turn in turns {
        // A feed that is gone needs no turn.
        let _ = turn.send(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feeds_that_come_and_go_while_nothing_happens_leave_nothing_behind() {
        let tail = Tail::new(Position(7));
        for _ in 0..1_000 {
            tail.feed_opened();
            assert!(matches!(tail.next_after(Position(7)), Next::AtEnd(_)));
            tail.feed_closed();
        }
        assert!(tail.state().at_end.len() <= 2 * TURNS_AT_ONCE);
    }
}
