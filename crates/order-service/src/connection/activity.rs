//! What is known of a connection from outside: when something last moved on it, and whose turn it is.
//!
//! Everything is a number in memory that the connection's own tasks store to; nobody waits for anybody. Who reads them is
//! `Admission`, when it has to find out which connection is of least use.

mod room;
mod stream;
mod turns;
mod untaken;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use super::answer_budget::AnswerBudget;
use crate::metrics::{ConnectionFigures, GivenUp};

pub(super) use room::{Asking, Kept, KeptForConnection};
pub(super) use stream::StreamExecutor;
pub(super) use turns::BodyTurn;
pub(crate) use turns::{InService, Open};

use room::OWN_BYTES;
use stream::Streams;
use untaken::Untaken;

/// Room that a client leaves lying, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lying {
    pub(crate) bytes: usize,
    pub(crate) time: Duration,
}

impl Lying {
    /// What it costs others: as much more for more bytes as for a longer time. Whoever has just taken much costs much already.
    pub(crate) fn weight(self) -> u128 {
        self.bytes as u128 * (Duration::from_secs(1) + self.time).as_millis()
    }
}

/// How long nothing must have moved on what makes room for others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeastStillness {
    /// On an answer, while the service is at work for another of its connection.
    pub(crate) of_answers: Duration,
    /// On a connection that has no more room than it takes for itself.
    pub(crate) of_connection: Duration,
}

/// How a connection is doing.
pub(crate) struct Activity {
    number: u64,
    address: IpAddr,
    epoch: Instant,
    /// How long a request that the service is at work for keeps its place.
    in_service: Duration,
    budget: Arc<AnswerBudget>,
    figures: Arc<ConnectionFigures>,
    /// When bytes last moved that count: a request's head, a piece of its body, a piece of an answer that was taken. In
    /// nanoseconds after `epoch`, as all times here.
    progress: AtomicU64,
    /// Bytes that there is room kept for: what the client has been given, and what it will be.
    kept: AtomicUsize,
    /// Since when that is more than the connection has for itself.
    kept_since: AtomicU64,
    /// Those of them that the client has been given over HTTP/1 and has not taken.
    untaken: Untaken,
    /// Its requests over HTTP/2, each with its own.
    streams: Streams,
    /// Requests and answers that the service is at work on.
    working: AtomicUsize,
    /// Requests whose answer is not wholly handed over.
    open: AtomicUsize,
    /// Bodies of requests that somebody still reads, and be it to throw them away after the answer.
    bodies: AtomicUsize,
    /// Those of them that come in chunks, with trailers after the last.
    chunked_bodies: AtomicUsize,
    /// Requests and pieces of their bodies so far.
    arrivals: AtomicUsize,
    /// Answers' bytes that lie in HTTP/1's write buffer, out of either purse.
    unflushed: [AtomicUsize; 2],
    /// What it takes more than one that speaks HTTP/1 without TLS, as long as it lasts.
    connection_bytes: AtomicUsize,
    is_http2: AtomicBool,
    is_half_closed: AtomicBool,
    /// Whether its answer has no end.
    is_endless: AtomicBool,
    is_cut_off: AtomicBool,
    task: OnceLock<AbortHandle>,
}

impl Activity {
    /// Of a connection with a number of its own, which comes from this address. While the service is at work for a request, it keeps
    /// its place, but no longer than `in_service`.
    pub(crate) fn new(
        (number, address): (u64, IpAddr),
        epoch: Instant,
        in_service: Duration,
        budget: Arc<AnswerBudget>,
        figures: Arc<ConnectionFigures>,
    ) -> Self {
        Self {
            number,
            address,
            epoch,
            in_service,
            budget,
            figures,
            progress: AtomicU64::new(nanos_since(epoch)),
            kept: AtomicUsize::new(0),
            kept_since: AtomicU64::new(0),
            untaken: Untaken::default(),
            streams: Streams::default(),
            working: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            bodies: AtomicUsize::new(0),
            chunked_bodies: AtomicUsize::new(0),
            arrivals: AtomicUsize::new(0),
            unflushed: Default::default(),
            connection_bytes: AtomicUsize::new(0),
            is_http2: AtomicBool::new(false),
            is_half_closed: AtomicBool::new(false),
            is_endless: AtomicBool::new(false),
            is_cut_off: AtomicBool::new(false),
            task: OnceLock::new(),
        }
    }

    /// One with room of this budget.
    #[cfg(test)]
    pub(crate) fn in_test(budget: &Arc<AnswerBudget>) -> Arc<Self> {
        let address = std::net::Ipv4Addr::LOCALHOST.into();
        let in_service = Duration::from_secs(10);
        Arc::new(Self::new((0, address), Instant::now(), in_service, Arc::clone(budget), Arc::default()))
    }

    /// One from this address that takes so many bytes for itself, and on which nothing has moved for so long.
    #[cfg(test)]
    pub(crate) fn taking(
        budget: &Arc<AnswerBudget>,
        address: IpAddr,
        bytes: usize,
        still: Duration,
    ) -> Arc<Self> {
        let epoch = Instant::now().checked_sub(still).expect("the system runs for longer");
        let activity = Self::new((0, address), epoch, Duration::ZERO, Arc::clone(budget), Arc::default());
        activity.moved_last(epoch);
        activity.connection_bytes.store(bytes, Ordering::Relaxed);
        activity.set_task(tokio::spawn(std::future::pending::<()>()).abort_handle());
        Arc::new(activity)
    }

    /// Waits for so many bytes of room until what this makes is dropped.
    #[cfg(test)]
    pub(crate) fn waits_for(&self, bytes: usize) -> impl Sized + use<> {
        self.wait(bytes)
    }

    /// Keeps so many bytes of room until what this makes is dropped.
    #[cfg(test)]
    pub(crate) fn keeps(self: &Arc<Self>, bytes: usize) -> impl Sized + use<> {
        self.try_keep(bytes)
    }

    /// Makes it as if nothing had moved since then.
    #[cfg(test)]
    pub(crate) fn moved_last(&self, then: Instant) {
        self.progress.store(then.duration_since(self.epoch).as_nanos() as u64, Ordering::Relaxed);
    }

    /// Bytes have moved that count.
    pub(crate) fn progressed(&self) {
        self.progress.store(self.now(), Ordering::Relaxed);
    }

    /// When it last did, to be compared with others and with itself later.
    pub(crate) fn last_progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// How long nothing has moved.
    pub(crate) fn still_for(&self) -> Duration {
        self.since(self.last_progress())
    }

    /// Whether a request, or an answer, waits for the service. Its client can do nothing about it.
    pub(crate) fn is_in_service(&self) -> bool {
        self.working.load(Ordering::Relaxed) > 0
    }

    /// A request that the service was at work for is set aside.
    fn set_aside(&self) {
        self.working.fetch_sub(1, Ordering::Relaxed);
    }

    /// It is taken up again.
    fn take_up(&self) {
        self.working.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether more of a request's body is waited for. (Of HTTP/1, where there is one request at a time.)
    pub(super) fn awaits_body(&self) -> bool {
        self.is_body_read() && !self.is_in_service()
    }

    /// Whether there is a request whose answer is not wholly handed over.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }

    /// How many such requests there are. A connection whose last request is a live feed has none: all of its answers end when
    /// the service wants it.
    pub(crate) fn finite_requests(&self) -> usize {
        if self.is_endless.load(Ordering::Relaxed) { 0 } else { self.open.load(Ordering::Relaxed) }
    }

    /// Whether somebody reads a request's body.
    pub(super) fn is_body_read(&self) -> bool {
        self.bodies.load(Ordering::Relaxed) > 0
    }

    /// Whether one is read that comes in chunks.
    pub(super) fn are_chunks_read(&self) -> bool {
        self.chunked_bodies.load(Ordering::Relaxed) > 0
    }

    pub(super) fn body_begun(&self, is_in_chunks: bool) {
        self.bodies.fetch_add(1, Ordering::Relaxed);
        self.chunked_bodies.fetch_add(is_in_chunks.into(), Ordering::Relaxed);
    }

    pub(super) fn body_over(&self, is_in_chunks: bool) {
        self.bodies.fetch_sub(1, Ordering::Relaxed);
        self.chunked_bodies.fetch_sub(is_in_chunks.into(), Ordering::Relaxed);
    }

    /// A request's head is there, or a piece of its body.
    pub(crate) fn arrived(&self) {
        self.arrivals.fetch_add(1, Ordering::Relaxed);
    }

    /// How often something has arrived.
    pub(crate) fn arrivals(&self) -> usize {
        self.arrivals.load(Ordering::Relaxed)
    }

    /// How long the client has taken nothing of an answer, over HTTP/2 of the one that lies longest; `None` if it has none to take.
    pub(crate) fn untaken_for(&self) -> Option<Duration> {
        self.untaken_since().map(|moment| self.since(moment))
    }

    fn untaken_since(&self) -> Option<u64> {
        let streams = self.streams.all();
        let of_streams = streams.iter().filter_map(|stream| stream.untaken_since());
        of_streams.chain(self.untaken.since()).min()
    }

    /// The room that others might want, and since when it is kept: for answers, however slowly the client takes them, and for
    /// requests that it does not finish; or for a connection that has been still for at least as long as it says. `None` if there is
    /// nothing, or if it is not the client's turn: while the service is at work for it, it is only as to answers that have been lying
    /// for at least so long.
    pub(crate) fn leaves_room(&self, least: LeastStillness) -> Option<Lying> {
        if self.is_in_service() {
            let bytes = self.untaken_bytes(least.of_answers);
            return (bytes > 0).then(|| Lying { bytes, time: self.untaken_for().unwrap_or_default() });
        }
        let time = if self.shares_room() {
            self.since(self.kept_since.load(Ordering::Relaxed))
        } else if self.takes_room_of_all() && self.still_for() >= least.of_connection {
            self.still_for()
        } else {
            return None;
        };
        Some(Lying { bytes: self.room(), time })
    }

    /// Whether it has more room than a connection has for itself.
    pub(super) fn shares_room(&self) -> bool {
        self.kept.load(Ordering::Relaxed) > OWN_BYTES
    }

    /// Whether it has taken of what all share, for an answer or for itself.
    pub(super) fn takes_room_of_all(&self) -> bool {
        self.shares_room() || self.connection_bytes.load(Ordering::Relaxed) > 0
    }

    /// What its client's machine is likely to have for itself.
    pub(crate) fn network(&self) -> IpAddr {
        order_api::network(self.address)
    }

    /// All the room that it takes.
    pub(crate) fn room(&self) -> usize {
        self.kept.load(Ordering::Relaxed) + self.connection_bytes.load(Ordering::Relaxed)
    }

    /// Whether it may be ended when somebody else has a better use for its place.
    pub(crate) fn may_give_way(&self) -> bool {
        let is_there = self.task.get().is_some_and(|task| !task.is_finished());
        let is_protected = self.is_in_service() && self.still_for() < self.in_service;
        is_there && !self.is_cut_off.load(Ordering::Relaxed) && !is_protected
    }

    pub(crate) fn speaks_http2(&self) -> bool {
        self.is_http2.load(Ordering::Relaxed)
    }

    pub(super) fn note_http2(&self) {
        self.is_http2.store(true, Ordering::Relaxed);
    }

    /// Whether the answer under way, of HTTP/1, has no end.
    pub(super) fn set_endless(&self, is_endless: bool) {
        self.is_endless.store(is_endless, Ordering::Relaxed);
    }

    /// Whether somebody still has an answer to get that comes to an end.
    pub(super) fn will_have_answered(&self) -> bool {
        self.is_answering() && !self.is_endless.load(Ordering::Relaxed)
    }

    /// The client says no more, which is not to say that it does not listen.
    pub(super) fn note_half_close(&self) {
        self.is_half_closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_half_closed(&self) -> bool {
        self.is_half_closed.load(Ordering::Relaxed)
    }

    /// The task that serves the connection.
    pub(crate) fn set_task(&self, task: AbortHandle) {
        _ = self.task.set(task);
    }

    /// Ends the connection.
    pub(crate) fn cut_off(&self, why: GivenUp) {
        if !self.is_cut_off.swap(true, Ordering::Relaxed) {
            self.figures.gave_up(why);
        }
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// Whether what the client has not taken is to be thrown away, by the system, too.
    pub(super) fn must_reset(&self) -> bool {
        self.is_cut_off.load(Ordering::Relaxed) && self.has_untaken()
    }

    /// Whether somebody still has an answer to get.
    pub(super) fn is_answering(&self) -> bool {
        self.is_open() || self.has_untaken()
    }

    /// The socket has taken a part of HTTP/1's write buffer.
    pub(super) fn wrote_a_part(&self) {
        let now = self.now();
        self.progress.store(now, Ordering::Relaxed);
        self.untaken.take_some(now);
    }

    fn has_untaken(&self) -> bool {
        self.untaken_since().is_some()
    }

    fn now(&self) -> u64 {
        nanos_since(self.epoch)
    }

    fn since(&self, moment: u64) -> Duration {
        self.epoch.elapsed().saturating_sub(Duration::from_nanos(moment))
    }
}

impl order_application::Waits for Activity {
    fn begin_waiting(&self) {
        self.set_aside();
    }

    fn end_waiting(&self) {
        self.take_up();
    }

    fn network(&self) -> IpAddr {
        Self::network(self)
    }
}

impl order_api::Connection for Activity {
    fn number(&self) -> u64 {
        self.number
    }

    fn address(&self) -> IpAddr {
        self.address
    }

    fn untaken_for(&self) -> Option<Duration> {
        self.untaken_for()
    }

    fn end_answer(&self) {
        self.cut_off(GivenUp::Page);
    }

    fn may_have_left(&self) -> bool {
        self.is_half_closed()
    }

    fn hang_up(&self) {
        if self.may_give_way() {
            self.cut_off(GivenUp::Stuck);
        }
    }
}

fn nanos_since(epoch: Instant) -> u64 {
    epoch.elapsed().as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::super::answer::Protocol;
    use super::*;

    #[tokio::test]
    async fn a_request_keeps_its_place_while_the_service_is_at_work_for_it_and_not_while_it_waits_in_a_line()
    {
        const IN_SERVICE: Duration = Duration::from_secs(30);
        let epoch = Instant::now().checked_sub(IN_SERVICE).expect("the system runs for longer");
        let (address, budget) = (std::net::Ipv4Addr::LOCALHOST.into(), Arc::new(AnswerBudget::new(1 << 20)));
        let activity = Arc::new(Activity::new((0, address), epoch, IN_SERVICE, budget, Arc::default()));
        activity.set_task(tokio::spawn(std::future::pending::<()>()).abort_handle());
        assert!(activity.may_give_way());
        let (_in_service, open) = InService::begin(&activity, Protocol::Http1);
        assert!(!activity.may_give_way());
        let asked_by = open.asked_by();
        asked_by.0.begin_waiting();
        assert!(activity.may_give_way());
        asked_by.0.end_waiting();
        assert!(!activity.may_give_way());
        activity.progress.store(nanos_since(epoch) - IN_SERVICE.as_nanos() as u64 / 2, Ordering::Relaxed);
        assert!(!activity.may_give_way(), "it has had half of its time");
        activity.progress.store(0, Ordering::Relaxed);
        assert!(activity.may_give_way(), "nobody keeps it for ever");
    }
}
