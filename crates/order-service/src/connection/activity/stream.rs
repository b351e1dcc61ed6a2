//! One request of an HTTP/2 connection, and its answer. It is taken or left lying whatever becomes of the others, and can be ended
//! without them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use hyper::rt::Executor;
use order_api::LONG_UNTAKEN;

use super::untaken::Untaken;
use super::{Activity, LeastStillness};
use crate::metrics::GivenUp;

/// What is known of a request and its answer from outside.
pub(crate) struct Stream {
    number: u64,
    activity: Arc<Activity>,
    /// What the client has been given.
    untaken: Untaken,
    /// Bytes that there is room kept for.
    kept: AtomicUsize,
    /// Whether it is to end.
    is_reset: AtomicBool,
    /// Whether a task serves it, which can be ended.
    is_served: AtomicBool,
    /// Whether that waits until the client has taken all.
    is_awaited: AtomicBool,
    /// Of that task.
    waker: AtomicWaker,
}

/// The requests of a connection whose answers are not wholly taken, by number.
#[derive(Default)]
pub(super) struct Streams {
    all: Mutex<BTreeMap<u64, Weak<Stream>>>,
    /// The most there were at once.
    most: AtomicUsize,
}

impl Streams {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Weak<Stream>>> {
        // What it guards is whole at any moment.
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that was begun last.
    fn newest(&self) -> Option<Arc<Stream>> {
        self.lock().last_key_value().and_then(|(_, stream)| stream.upgrade())
    }

    pub(super) fn all(&self) -> Vec<Arc<Stream>> {
        self.lock().values().filter_map(Weak::upgrade).collect()
    }
}

impl Stream {
    /// A request of this connection, which is served next.
    pub(super) fn begin(activity: &Arc<Activity>) -> Arc<Self> {
        let mut streams = activity.streams.lock();
        let number = streams.last_key_value().map_or(0, |(last, _)| last + 1);
        let stream = Arc::new(Self {
            number,
            activity: Arc::clone(activity),
            untaken: Untaken::default(),
            kept: AtomicUsize::new(0),
            is_reset: AtomicBool::new(false),
            is_served: AtomicBool::new(false),
            is_awaited: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        stream.untaken.take_some(activity.now());
        streams.insert(number, Arc::downgrade(&stream));
        activity.streams.most.fetch_max(streams.len(), Ordering::Relaxed);
        stream
    }

    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    pub(super) fn keep(&self, bytes: usize) {
        self.kept.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn let_go(&self, bytes: usize) {
        self.kept.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The client has been given bytes.
    pub(super) fn give(&self, bytes: usize) {
        self.untaken.give(bytes, || self.activity.now());
    }

    /// The protocol has let go of them.
    pub(super) fn take(&self, bytes: usize) {
        if !self.is_reset.load(Ordering::Relaxed) {
            self.activity.progressed();
        }
        let is_all = self.untaken.take(bytes, self.activity.now());
        // Either this sees that somebody waits, or whoever begins to wait sees that all is taken.
        fence(Ordering::SeqCst);
        if is_all && self.is_awaited.load(Ordering::Relaxed) {
            self.waker.wake();
        }
    }

    /// Whether the client has been given something that it has not taken.
    pub(in crate::connection) fn has_untaken(&self) -> bool {
        self.untaken.since().is_some()
    }

    /// Waits until it has taken all. It is for the task that serves the request.
    pub(in crate::connection) fn poll_taken(&self) -> Poll<()> {
        self.is_awaited.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.has_untaken() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Since when the client has taken nothing of what it was given.
    pub(super) fn untaken_since(&self) -> Option<u64> {
        self.untaken.since()
    }

    pub(super) fn untaken_for(&self) -> Option<Duration> {
        self.untaken_since().map(|since| self.activity.since(since))
    }

    fn is_untaken_for(&self, least: Duration) -> bool {
        self.untaken_for().is_some_and(|untaken| untaken >= least)
    }

    /// Whether a task serves it, which can be ended.
    fn is_served(&self) -> bool {
        self.is_served.load(Ordering::Relaxed)
    }

    /// What it costs others, as far as it can be compared with what another of its connection does.
    fn cost(&self) -> (bool, usize) {
        (self.is_untaken_for(LONG_UNTAKEN), self.kept.load(Ordering::Relaxed))
    }

    /// Ends it, after it has been left lying for at least so long. If nothing else has moved for as long, or if nothing is left of it
    /// but what the protocol has of its answer, the connection ends.
    pub(super) fn end(&self, why: GivenUp, least: Duration) {
        if self.is_reset.load(Ordering::Relaxed) {
            return;
        }
        let goes_on = |other: &Arc<Self>| other.number != self.number && !other.is_untaken_for(least);
        let does_any = || self.activity.streams.all().iter().any(goes_on);
        if self.is_served() && (self.activity.still_for() < least || does_any()) {
            self.reset(why);
        } else {
            self.activity.cut_off(why);
        }
    }

    fn reset(&self, why: GivenUp) {
        if !self.is_reset.swap(true, Ordering::Relaxed) {
            self.activity.figures.gave_up(why);
            self.waker.wake();
        }
    }

    /// Serves it until it is to end.
    async fn serve(self: Arc<Self>, serving: impl Future) {
        let mut serving = pin!(serving);
        std::future::poll_fn(|cx| {
            self.waker.register(cx.waker());
            if self.is_reset.load(Ordering::Relaxed) {
                return Poll::Ready(());
            }
            serving.as_mut().poll(cx).map(drop)
        })
        .await;
        self.is_served.store(false, Ordering::Relaxed);
        // It would keep the task's memory.
        drop(self.waker.take());
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.activity.streams.lock().remove(&self.number);
    }
}

impl Activity {
    /// How many requests over HTTP/2 there have been at once, at most.
    pub(in crate::connection) fn most_streams(&self) -> usize {
        self.streams.most.load(Ordering::Relaxed)
    }

    /// Ends each answer of which the client has taken nothing for at least so long.
    pub(crate) fn end_untaken(&self, why: GivenUp, least: Duration) {
        for stream in self.streams.all() {
            if stream.is_untaken_for(least) {
                stream.end(why, least);
            }
        }
    }

    /// Bytes of those answers.
    pub(super) fn untaken_bytes(&self, least: Duration) -> usize {
        let streams = self.streams.all();
        let untaken = streams.iter().filter(|stream| stream.is_untaken_for(least));
        untaken.map(|stream| stream.kept.load(Ordering::Relaxed)).sum()
    }

    /// Ends what takes most of its room, until so much is free; how much that is. What the client goes on taking ends last, but
    /// nothing ends of which only the service has something to do.
    pub(crate) fn make_room(&self, wanted: usize, least: LeastStillness) -> usize {
        let (streams, is_in_service) = (self.streams.all(), self.is_in_service());
        let may_end = |stream: &&Arc<Stream>| {
            stream.is_served() && (!is_in_service || stream.is_untaken_for(least.of_answers))
        };
        let mut may_end: Vec<_> =
            streams.iter().filter(may_end).map(|stream| (stream.cost(), stream)).collect();
        may_end.sort_unstable_by_key(|(cost, _)| std::cmp::Reverse(*cost));
        let mut freed = 0;
        let mut ended = 0;
        while let Some(((_, kept), _)) = may_end.get(ended)
            && freed < wanted
        {
            freed += kept;
            ended += 1;
        }
        let is_stuck = |stream: &Arc<Stream>| !stream.is_served() && stream.is_untaken_for(LONG_UNTAKEN);
        let ending = &may_end[..ended];
        let last_moves = ending.iter().map(|(_, stream)| stream.untaken.last_move()).max();
        let moves_else = self.last_progress() > last_moves.unwrap_or(0) && self.still_for() < LONG_UNTAKEN;
        // It would go on taking most of its room for itself.
        let is_little = freed < wanted.min(self.connection_bytes.load(Ordering::Relaxed))
            && self.still_for() >= least.of_connection;
        let is_all = ended == 0 || ended == streams.len() && !moves_else || is_little;
        if is_all && !is_in_service || streams.iter().any(is_stuck) {
            self.cut_off(GivenUp::Room);
            return self.room();
        }
        ending.iter().for_each(|(_, stream)| stream.reset(GivenUp::Room));
        freed
    }
}

impl order_application::Waits for Stream {
    fn begin_waiting(&self) {
        self.activity.set_aside();
    }

    fn end_waiting(&self) {
        self.activity.take_up();
    }

    fn network(&self) -> IpAddr {
        self.activity.network()
    }
}

impl order_api::Connection for Stream {
    fn number(&self) -> u64 {
        self.activity.number
    }

    fn address(&self) -> IpAddr {
        self.activity.address
    }

    fn untaken_for(&self) -> Option<Duration> {
        Self::untaken_for(self)
    }

    fn end_answer(&self) {
        self.end(GivenUp::Page, LONG_UNTAKEN);
    }

    /// Over HTTP/2 whoever says no more has left, and its requests with it.
    fn may_have_left(&self) -> bool {
        false
    }

    fn hang_up(&self) {
        const MAX_NOTICE: Duration = Duration::from_secs(1);
        if self.is_untaken_for(MAX_NOTICE) {
            self.end(GivenUp::Stuck, MAX_NOTICE);
        }
    }
}

/// Spawns what serves the requests of a connection, each when it has just begun.
#[derive(Clone)]
pub(in crate::connection) struct StreamExecutor(pub(in crate::connection) Arc<Activity>);

impl<F> Executor<F> for StreamExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, serving: F) {
        match self.0.streams.newest() {
            Some(stream) => {
                stream.is_served.store(true, Ordering::Relaxed);
                drop(tokio::spawn(stream.serve(serving)));
            }
            None => drop(tokio::spawn(async move { drop(serving.await) })),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::super::{InService, Open};
    use super::*;
    use crate::connection::AnswerBudget;
    use crate::connection::answer::Protocol;

    const AT_ONCE: LeastStillness =
        LeastStillness { of_answers: Duration::ZERO, of_connection: Duration::ZERO };

    /// A request of which nothing is to be done any more but that its client takes so much; and what tells that it has ended.
    fn answered(activity: &Arc<Activity>, bytes: usize) -> (Open, Arc<()>) {
        let (_, open) = InService::begin(activity, Protocol::Http2);
        let is_there = Arc::new(());
        let kept = activity.try_keep(bytes).unwrap().of(open.stream()).given();
        let held = Arc::clone(&is_there);
        StreamExecutor(Arc::clone(activity)).execute(async move {
            let _held = (held, kept);
            std::future::pending::<()>().await
        });
        (open, is_there)
    }

    async fn has_ended(is_there: &Arc<()>) -> bool {
        for _ in 0..10 {
            yield_now().await;
        }
        Arc::strong_count(is_there) == 1
    }

    #[tokio::test]
    async fn what_takes_most_room_ends_alone_and_its_connection_only_if_nothing_else_is_left() {
        let activity = Activity::in_test(&Arc::new(AnswerBudget::new(1 << 20)));
        let (small, most, more) =
            (answered(&activity, 20_000), answered(&activity, 60_000), answered(&activity, 50_000));
        assert_eq!(activity.make_room(55_000, AT_ONCE), 60_000);
        assert!(has_ended(&most.1).await && !has_ended(&small.1).await && !has_ended(&more.1).await);
        drop(most);
        assert!(!activity.is_cut_off.load(Ordering::Relaxed));
        assert!(activity.make_room(100_000, AT_ONCE) >= 70_000);
        assert!(activity.is_cut_off.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_connection_that_takes_more_for_itself_than_for_its_answers_ends_whole_if_they_are_too_little()
    {
        for (wanted, is_cut_off) in [(20_000, false), (20_001, true)] {
            let activity = Activity::in_test(&Arc::new(AnswerBudget::new(1 << 20)));
            activity.connection_bytes.store(144 * 1024, Ordering::Relaxed);
            let _answer = answered(&activity, 20_000);
            // It goes on with something else.
            activity.progressed();
            activity.make_room(wanted, AT_ONCE);
            assert_eq!(activity.is_cut_off.load(Ordering::Relaxed), is_cut_off);
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_left_lying_ends_alone_beside_another_that_is_not() {
        let activity = Activity::in_test(&Arc::new(AnswerBudget::new(1 << 20)));
        let (lying, (_, beside)) =
            (answered(&activity, 20_000), InService::begin(&activity, Protocol::Http2));
        activity.end_untaken(GivenUp::Stuck, Duration::ZERO);
        assert!(has_ended(&lying.1).await);
        assert!(!activity.is_cut_off.load(Ordering::Relaxed));
        drop((lying, beside));
        let _lying = answered(&activity, 20_000);
        activity.end_untaken(GivenUp::Stuck, Duration::ZERO);
        assert!(activity.is_cut_off.load(Ordering::Relaxed), "it has no other");
    }
}
