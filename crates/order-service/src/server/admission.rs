//! Who may be connected, and who gives way to others.
//!
//! As long as there is room, nobody is looked at but by a clock, once a second. Only when a place or the room for answers is
//! wanted and there is none, all connections are gone through for those that are of least use.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use order_api::LONG_UNTAKEN;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Limits;
use super::line::Line;
use super::networks::PlacesByNetwork;
use super::rooms::Rooms;
use super::stillness::{Newcomer, Stillest};
use crate::connection::{Activity, AnswerBudget};
use crate::metrics::{ConnectionFigures, GivenUp};

/// How long to wait for a place, or for room, until more have to give way.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// After so long without anybody who makes room among those who have much, others do.
const LONG_IN_VAIN: Duration = Duration::from_millis(500);
/// Between two looks at connections that have come to a stand, at most.
const MAX_WATCH_PAUSE: Duration = Duration::from_secs(1);
/// How long such a client may have nothing to take, and leave a request unfinished or a ping unanswered.
const MAX_SILENCE: Duration = Duration::from_secs(2);

/// See the module.
pub(crate) struct Admission {
    epoch: Instant,
    idle_timeout: Duration,
    least_stillness: Duration,
    in_service: Duration,
    max_connections: usize,
    figures: Arc<ConnectionFigures>,
    places: Arc<Semaphore>,
    /// Whoever wants one.
    wanted: tokio::sync::Mutex<()>,
    /// Where some more may wait for one, if any may.
    line: Option<Line>,
    budget: Arc<AnswerBudget>,
    connections: Mutex<Connections>,
    is_draining: AtomicBool,
}

/// How many are connected, and what their clients have not taken.
pub(crate) struct AdmissionState {
    pub(crate) open: usize,
    pub(crate) most: usize,
    pub(crate) untaken: usize,
    pub(crate) most_untaken: usize,
    /// Answers that wait for room.
    pub(crate) waiting: usize,
}

/// Everybody who is connected.
#[derive(Default)]
struct Connections {
    all: HashMap<u64, Arc<Activity>>,
    /// How many there have been so far, which is the next one's number.
    count: u64,
    /// How many each network has.
    places: PlacesByNetwork,
    /// Those who give way next.
    stillest: Stillest,
}

impl Connections {
    /// One more, which is `made` with its number.
    fn add(&mut self, made: impl FnOnce(u64) -> Activity) -> (u64, Arc<Activity>) {
        let number = self.count;
        self.count += 1;
        let activity = Arc::new(made(number));
        self.all.insert(number, Arc::clone(&activity));
        self.places.add(activity.network());
        (number, activity)
    }

    fn remove(&mut self, number: u64) {
        if let Some(activity) = self.all.remove(&number) {
            self.places.remove(activity.network());
        }
    }

    /// Who makes way for one more from this network. See [`Newcomer::least`].
    fn next_to_give_way(
        &mut self,
        network: IpAddr,
        least: Duration,
        waited: Duration,
    ) -> Option<Arc<Activity>> {
        #[cfg(feature = "full-tests")]
        if crate::planted_faults::nobody_gives_way() {
            return None;
        }
        let newcomer = Newcomer { has: self.places.of(network), least, waited };
        self.stillest.next(self.all.values(), newcomer, &self.places)
    }
}

/// Where somebody new waits for a place.
pub(super) enum Wait {
    /// Nowhere, or before all others: there is one, or other networks have more.
    BeforeOthers,
    /// Behind others of the networks that have most, in this place of their line.
    InLine(OwnedSemaphorePermit),
    /// There would be too many of them, for [too long](Line::place).
    Nowhere,
}

impl Admission {
    pub(super) fn new(limits: Limits) -> Self {
        let answer_bytes = limits.answer_bytes;
        #[cfg(feature = "full-tests")]
        let answer_bytes = if crate::planted_faults::answers_are_not_counted() {
            Semaphore::MAX_PERMITS
        } else {
            answer_bytes
        };
        Self {
            epoch: Instant::now(),
            idle_timeout: limits.idle_timeout,
            least_stillness: limits.least_stillness,
            in_service: limits.in_service,
            max_connections: limits.connections,
            figures: Arc::default(),
            places: Arc::new(Semaphore::new(limits.connections)),
            wanted: tokio::sync::Mutex::default(),
            line: (limits.waiting > 0).then(|| Line::new(limits.waiting)),
            budget: Arc::new(AnswerBudget::new(answer_bytes)),
            connections: Mutex::default(),
            is_draining: AtomicBool::new(false),
        }
    }

    /// What has become of connections so far.
    pub(crate) fn figures(&self) -> &ConnectionFigures {
        &self.figures
    }

    /// How it is now.
    pub(crate) fn state(&self) -> AdmissionState {
        AdmissionState {
            open: self.lock().all.len(),
            most: self.max_connections,
            untaken: self.budget.in_use(),
            most_untaken: self.budget.bytes(),
            waiting: self.budget.waiting(),
        }
    }

    /// Where one more connection from this address waits for a place.
    pub(super) async fn wait(&self, from: IpAddr) -> Wait {
        let Some(line) = self.line.as_ref().filter(|_| self.places.available_permits() == 0) else {
            return Wait::BeforeOthers;
        };
        if !self.lock().places.has_most(order_api::network(from)) {
            return Wait::BeforeOthers;
        }
        line.place().await.map_or(Wait::Nowhere, Wait::InLine)
    }

    /// One that may wait nowhere is not taken.
    pub(super) fn turned_away(&self) {
        self.figures.accepted.add_one();
        self.figures.gave_up(GivenUp::Place);
    }

    /// A place for one more connection from this address. If all are taken, somebody has to give way.
    pub(super) async fn place(&self, from: IpAddr) -> OwnedSemaphorePermit {
        let begun = Instant::now();
        loop {
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                return place;
            }
            // One after the other, so that whoever has somebody give way has the place.
            let _turn = self.wanted.lock().await;
            let gives_way =
                self.lock().next_to_give_way(order_api::network(from), self.least_stillness, begun.elapsed());
            if let Some(connection) = gives_way {
                connection.cut_off(GivenUp::Place);
            }
            let place = Arc::clone(&self.places).acquire_owned();
            if let Ok(Ok(place)) = tokio::time::timeout(LOOK_AGAIN, place).await {
                return place;
            }
        }
    }

    /// A connection from this address is there, in this place if it has one.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr, place: Option<OwnedSemaphorePermit>) -> Admitted {
        self.figures.accepted.add_one();
        let (budget, figures) = (Arc::clone(&self.budget), Arc::clone(&self.figures));
        let made = |number| Activity::new((number, address), self.epoch, self.in_service, budget, figures);
        let (number, activity) = self.lock().add(made);
        Admitted { activity, number, admission: Arc::clone(self), _place: place }
    }

    /// Requests that are answered, and those that are waited for, but for live feeds.
    pub(super) fn requests_in_flight(&self) -> usize {
        self.lock().all.values().map(|connection| connection.finite_requests()).sum()
    }

    /// From now on nobody is waited for who takes nothing.
    pub(super) fn hurry(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    /// Ends connections that have come to a stand, and those whose untaken answers take the room that others want. Never
    /// returns.
    pub(super) async fn watch(self: Arc<Self>) {
        let pause = (self.idle_timeout / 4).min(MAX_WATCH_PAUSE);
        loop {
            tokio::select! {
                () = self.budget.wanted() => self.make_room().await,
                () = tokio::time::sleep(pause) => {}
            }
            let stuck = self.picked(|connection| self.is_stuck(connection));
            for connection in stuck {
                connection.cut_off(GivenUp::Stuck);
            }
            for connection in self.picked(Activity::speaks_http2) {
                connection.end_untaken(GivenUp::Stuck, self.patience(&connection));
            }
        }
    }

    /// How long a client may take nothing of an answer: not so long once it says no more, or when the server drains.
    fn patience(&self, connection: &Activity) -> Duration {
        if self.is_over(connection) { self.idle_timeout.min(LONG_UNTAKEN) } else { self.idle_timeout }
    }

    fn is_over(&self, connection: &Activity) -> bool {
        self.is_draining.load(Ordering::Relaxed) || connection.is_half_closed()
    }

    /// Whether a connection waits for a client that has had its time.
    fn is_stuck(&self, connection: &Activity) -> bool {
        let idle_timeout = self.idle_timeout;
        match connection.untaken_for() {
            // Of HTTP/2 each answer is looked at for itself.
            Some(untaken) => untaken > self.patience(connection) && !connection.speaks_http2(),
            None if connection.is_in_service() => false,
            None if self.is_over(connection) => connection.still_for() > idle_timeout.min(MAX_SILENCE),
            // It may answer pings all the while, which is no progress. HTTP/1 has its own timeout.
            None => {
                connection.speaks_http2() && !connection.is_open() && connection.still_for() > idle_timeout
            }
        }
    }

    /// Ends connections that take room from others, until none waits for room, or all are taken as fast as can be; but not for so long
    /// that nobody looks at the others.
    async fn make_room(&self) {
        let begun = Instant::now();
        self.rooms().of_much_if_any().end();
        let mut in_vain = Duration::ZERO;
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            if !self.budget.is_short() {
                return self.budget.set_have_most(HashSet::new());
            }
            if begun.elapsed() > MAX_WATCH_PAUSE {
                return self.budget.want(0);
            }
            let rooms = self.rooms();
            let making_room = if in_vain < LONG_IN_VAIN { rooms.of_much_if_any() } else { rooms.of_all() };
            in_vain = if making_room.end() { Duration::ZERO } else { in_vain + LOOK_AGAIN };
        }
    }

    /// Who has room, and who wants some.
    fn rooms(&self) -> Rooms {
        let rooms = Rooms::of(self.lock().all.values(), &self.budget);
        self.budget.set_have_most(rooms.have_most().clone());
        rooms
    }

    fn picked(&self, is_meant: impl Fn(&Activity) -> bool) -> Vec<Arc<Activity>> {
        self.lock().all.values().filter(|connection| is_meant(connection)).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        // What it guards is whole at any moment.
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who is connected.
pub(super) struct Admitted {
    activity: Arc<Activity>,
    number: u64,
    admission: Arc<Admission>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Admitted {
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admission.lock().remove(self.number);
    }
}
