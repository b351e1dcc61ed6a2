//! What is known of a connection from outside: when something last moved on it, and whose turn it is.
//!
//! Everything is a number in memory that the connection's own tasks store to; nobody waits for anybody. Who reads them is
//! `Admission`, when it has to find out which connection is of least use.

mod room;
mod turns;
mod untaken;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use super::answer_budget::AnswerBudget;

pub(super) use room::{Asking, Kept, KeptForConnection};
pub(super) use turns::BodyTurn;
pub(crate) use turns::{InService, Open};

use room::OWN_BYTES;
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

/// How a connection is doing.
pub(crate) struct Activity {
    number: u64,
    address: IpAddr,
    epoch: Instant,
    budget: Arc<AnswerBudget>,
    /// When bytes last moved that count: a request's head, a piece of its body, a piece of an answer that was taken. In
    /// nanoseconds after `epoch`, as all times here.
    progress: AtomicU64,
    /// Bytes that there is room kept for: what the client has been given, and what it will be.
    kept: AtomicUsize,
    /// Since when that is more than the connection has for itself.
    kept_since: AtomicU64,
    /// Those of them that the client has been given and has not taken.
    untaken: Mutex<Untaken>,
    /// Requests and answers that the service is at work on.
    working: AtomicUsize,
    /// Requests whose answer is not wholly handed over.
    open: AtomicUsize,
    /// Bodies of requests that somebody still reads, and be it to throw them away after the answer.
    bodies: AtomicUsize,
    /// Requests so far.
    requests: AtomicUsize,
    /// Answers' bytes that lie in HTTP/1's write buffer, out of either purse.
    unflushed: [AtomicUsize; 2],
    /// What it takes for speaking HTTP/2, as long as it lasts.
    http2_bytes: AtomicUsize,
    is_half_closed: AtomicBool,
    /// Whether its answer has no end.
    is_endless: AtomicBool,
    is_cut_off: AtomicBool,
    task: OnceLock<AbortHandle>,
}

impl Activity {
    /// Of a connection with a number of its own, which comes from this address.
    pub(crate) fn new(number: u64, address: IpAddr, epoch: Instant, budget: Arc<AnswerBudget>) -> Self {
        Self {
            number,
            address,
            epoch,
            budget,
            progress: AtomicU64::new(nanos_since(epoch)),
            kept: AtomicUsize::new(0),
            kept_since: AtomicU64::new(0),
            untaken: Mutex::default(),
            working: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            bodies: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            unflushed: Default::default(),
            http2_bytes: AtomicUsize::new(0),
            is_half_closed: AtomicBool::new(false),
            is_endless: AtomicBool::new(false),
            is_cut_off: AtomicBool::new(false),
            task: OnceLock::new(),
        }
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

    pub(super) fn body_begun(&self) {
        self.bodies.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn body_over(&self) {
        self.bodies.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many requests there have been.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// How long the client has left an answer lying; `None` if it has none to take.
    pub(crate) fn untaken_for(&self) -> Option<Duration> {
        let since = self.untaken().since();
        since.map(|moment| self.since(moment))
    }

    /// What the client has left lying for at least so long of what the service has made for it. `None` if it is not its turn.
    pub(crate) fn leaves_answers(&self, least: Duration) -> Option<Lying> {
        let time = self.untaken_for().filter(|time| *time >= least)?;
        (!self.is_in_service()).then(|| Lying { bytes: self.room(), time })
    }

    /// The room that others might want, and since when it is kept: for answers, however slowly the client takes them, and for
    /// requests that it does not finish; or for a connection that has been still for at least so long. `None` if there is nothing,
    /// or if it is not the client's turn.
    pub(crate) fn leaves_room(&self, least: Duration) -> Option<Lying> {
        let time = if self.shares_room() {
            self.since(self.kept_since.load(Ordering::Relaxed))
        } else if self.speaks_http2() && self.still_for() >= least {
            self.still_for()
        } else {
            return None;
        };
        (!self.is_in_service()).then(|| Lying { bytes: self.room(), time })
    }

    /// Whether it has more room than a connection has for itself.
    pub(super) fn shares_room(&self) -> bool {
        self.kept.load(Ordering::Relaxed) > OWN_BYTES
    }

    /// All the room that it takes.
    fn room(&self) -> usize {
        self.kept.load(Ordering::Relaxed) + self.http2_bytes.load(Ordering::Relaxed)
    }

    /// Whether it may be ended when somebody else has a better use for its place.
    pub(crate) fn may_give_way(&self) -> bool {
        let is_there = self.task.get().is_some_and(|task| !task.is_finished());
        is_there && !self.is_cut_off.load(Ordering::Relaxed) && !self.is_in_service()
    }

    pub(crate) fn speaks_http2(&self) -> bool {
        self.http2_bytes.load(Ordering::Relaxed) > 0
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
    pub(crate) fn cut_off(&self) {
        self.is_cut_off.store(true, Ordering::Relaxed);
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
        self.untaken().take_some(now);
    }

    fn has_untaken(&self) -> bool {
        self.untaken().since().is_some()
    }

    fn untaken(&self) -> MutexGuard<'_, Untaken> {
        // What it guards is whole at any moment.
        self.untaken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        nanos_since(self.epoch)
    }

    fn since(&self, moment: u64) -> Duration {
        self.epoch.elapsed().saturating_sub(Duration::from_nanos(moment))
    }
}

impl order_api::Connection for Activity {
    fn number(&self) -> u64 {
        self.number
    }

    fn address(&self) -> IpAddr {
        self.address
    }

    fn want_room(&self) {
        self.budget.want_pages();
    }

    fn hang_up(&self) {
        if self.may_give_way() {
            self.cut_off();
        }
    }
}

fn nanos_since(epoch: Instant) -> u64 {
    epoch.elapsed().as_nanos() as u64
}
