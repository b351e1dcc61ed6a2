//! What is known of a connection from outside: when something last moved on it, and whose turn it is.
//!
//! Everything is a number in memory that the connection's own tasks store to; nobody waits for anybody. Who reads them is
//! `Admission`, when it has to find out which connection is of least use.

mod room;
mod turns;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use super::answer_budget::AnswerBudget;

pub(super) use room::{Asking, Kept};
pub(super) use turns::WaitsForClient;
pub(crate) use turns::{InService, Open};

use room::OWN_BYTES;

/// How a connection is doing.
pub(crate) struct Activity {
    epoch: Instant,
    budget: Arc<AnswerBudget>,
    /// When bytes last moved that count: a request's head, a piece of its body, a piece of an answer that was taken. In
    /// nanoseconds after `epoch`, as all times here.
    progress: AtomicU64,
    /// Since when the client has been given answers and has taken none of them. Small answers beside large ones that are
    /// left lying do not count.
    untaken_since: AtomicU64,
    /// Bytes that there is room kept for: what the client has been given, and what it will be.
    kept: AtomicUsize,
    /// Those of them that the client has been given and has not taken.
    untaken: AtomicUsize,
    /// Requests that the service has.
    in_service: AtomicUsize,
    /// Those of them, and refused ones, whose bodies are waited for.
    awaited: AtomicUsize,
    /// Requests whose answer is not wholly handed over.
    open: AtomicUsize,
    /// Bodies of requests that somebody still reads, and be it to throw them away after the answer.
    bodies: AtomicUsize,
    /// Requests so far.
    requests: AtomicUsize,
    /// Answers' bytes that lie in HTTP/1's write buffer, out of either purse.
    unflushed: [AtomicUsize; 2],
    /// Whether it speaks HTTP/2, which takes room for as long as it lasts.
    is_http2: AtomicBool,
    is_half_closed: AtomicBool,
    /// Whether its answer has no end.
    is_endless: AtomicBool,
    is_cut_off: AtomicBool,
    task: OnceLock<AbortHandle>,
}

impl Activity {
    pub(crate) fn new(epoch: Instant, budget: Arc<AnswerBudget>) -> Self {
        Self {
            epoch,
            budget,
            progress: AtomicU64::new(nanos_since(epoch)),
            untaken_since: AtomicU64::new(0),
            kept: AtomicUsize::new(0),
            untaken: AtomicUsize::new(0),
            in_service: AtomicUsize::new(0),
            awaited: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            bodies: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            unflushed: Default::default(),
            is_http2: AtomicBool::new(false),
            is_half_closed: AtomicBool::new(false),
            is_endless: AtomicBool::new(false),
            is_cut_off: AtomicBool::new(false),
            task: OnceLock::new(),
        }
    }

    /// Bytes have moved that count.
    pub(crate) fn progressed(&self) {
        self.progress.store(nanos_since(self.epoch), Ordering::Relaxed);
    }

    /// When it last did, to be compared with others and with itself later.
    pub(crate) fn last_progress(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// How long nothing has moved.
    pub(crate) fn still_for(&self) -> Duration {
        self.since(&self.progress)
    }

    /// Whether a request waits for the service. Its client can do nothing about it.
    pub(crate) fn is_in_service(&self) -> bool {
        self.in_service.load(Ordering::Relaxed) > self.awaited.load(Ordering::Relaxed)
    }

    /// Whether more of a request's body is waited for.
    pub(super) fn awaits_body(&self) -> bool {
        self.awaited.load(Ordering::Relaxed) > 0
    }

    /// Whether there is a request whose answer is not wholly handed over.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
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

    /// How long the client has left answers lying; `None` if it has none to take.
    pub(crate) fn untaken_for(&self) -> Option<Duration> {
        (self.untaken.load(Ordering::Relaxed) > 0).then(|| self.since(&self.untaken_since))
    }

    /// How long the client has left lying what takes room from others: answers, requests that it does not finish, a connection. `None` if
    /// others are not in want of anything that is here.
    pub(crate) fn takes_room_for(&self) -> Option<Duration> {
        let takes_room = self.kept.load(Ordering::Relaxed) > OWN_BYTES || self.speaks_http2();
        (takes_room && !self.is_in_service()).then(|| self.untaken_for().unwrap_or_else(|| self.still_for()))
    }

    /// Whether it may be ended when somebody else has a better use for its place.
    pub(crate) fn may_give_way(&self) -> bool {
        let is_there = self.task.get().is_some_and(|task| !task.is_finished());
        is_there && !self.is_cut_off.load(Ordering::Relaxed) && !self.is_in_service()
    }

    pub(crate) fn speaks_http2(&self) -> bool {
        self.is_http2.load(Ordering::Relaxed)
    }

    /// The answer that is given next has no end.
    pub(crate) fn is_given_an_endless_answer(&self) {
        self.is_endless.store(true, Ordering::Relaxed);
    }

    /// Whether somebody still has an answer to get that comes to an end.
    pub(super) fn will_have_answered(&self) -> bool {
        self.is_answering() && !self.is_endless.load(Ordering::Relaxed)
    }

    /// The client says no more, which is not to say that it does not listen.
    pub(super) fn half_closed(&self) {
        self.is_half_closed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_half_closed(&self) -> bool {
        self.is_half_closed.load(Ordering::Relaxed)
    }

    /// The task that serves the connection.
    pub(crate) fn is_served_by(&self, task: AbortHandle) {
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
    pub(crate) fn is_reset(&self) -> bool {
        self.is_cut_off.load(Ordering::Relaxed) && self.untaken.load(Ordering::Relaxed) > 0
    }

    /// Whether somebody still has an answer to get.
    pub(super) fn is_answering(&self) -> bool {
        self.is_open() || self.untaken.load(Ordering::Relaxed) > 0
    }

    /// The socket has taken a part of HTTP/1's write buffer.
    pub(super) fn wrote_a_part(&self) {
        let now = nanos_since(self.epoch);
        self.progress.store(now, Ordering::Relaxed);
        self.untaken_since.store(now, Ordering::Relaxed);
    }

    fn since(&self, moment: &AtomicU64) -> Duration {
        let moment = Duration::from_nanos(moment.load(Ordering::Relaxed));
        self.epoch.elapsed().saturating_sub(moment)
    }
}

fn nanos_since(epoch: Instant) -> u64 {
    epoch.elapsed().as_nanos() as u64
}
