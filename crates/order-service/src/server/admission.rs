//! Who may be connected, and who gives way to others.
//!
//! As long as there is room, nobody is looked at but by a clock, once a second. Only when a place or the room for answers is
//! wanted and there is none, all connections are gone through for those that are of least use.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Limits;
use super::stillness::Stillest;
use crate::connection::{Activity, AnswerBudget};

/// A connection on which something has moved within this time gives way to nobody.
const LEAST_STILLNESS: Duration = Duration::from_millis(200);
/// How long to wait for a place, or for room, until more have to give way.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How many give way at once when room is wanted: as many as wait for it, but at least and at most so many; and so many when a
/// page is wanted.
const FEWEST_AT_ONCE: usize = 16;
const MOST_AT_ONCE: usize = 256;
/// Between two looks at connections that have come to a stand, at most.
const MAX_WATCH_PAUSE: Duration = Duration::from_secs(1);
/// How long a client that says no more may take nothing, and how long any client may when the server drains.
const MAX_UNTAKEN: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Admission {
    epoch: Instant,
    idle_timeout: Duration,
    places: Arc<Semaphore>,
    budget: Arc<AnswerBudget>,
    connections: Mutex<Connections>,
    is_draining: AtomicBool,
}

/// Everybody who is connected.
#[derive(Default)]
struct Connections {
    all: HashMap<u64, Arc<Activity>>,
    /// How many there have been so far, which is the next one's number.
    count: u64,
    /// Those who give way next.
    stillest: Stillest,
}

impl Connections {
    fn add(&mut self, activity: &Arc<Activity>) -> u64 {
        let number = self.count;
        self.count += 1;
        self.all.insert(number, Arc::clone(activity));
        number
    }

    fn next_to_give_way(&mut self) -> Option<Arc<Activity>> {
        #[cfg(feature = "full-tests")]
        if crate::planted_faults::nobody_gives_way() {
            return None;
        }
        self.stillest.next(self.all.values(), LEAST_STILLNESS)
    }
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
            places: Arc::new(Semaphore::new(limits.connections)),
            budget: Arc::new(AnswerBudget::new(answer_bytes)),
            connections: Mutex::default(),
            is_draining: AtomicBool::new(false),
        }
    }

    /// A place for one more connection. If all are taken, somebody has to give way.
    pub(super) async fn place(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                return place;
            }
            let gives_way = self.lock().next_to_give_way();
            if let Some(connection) = gives_way {
                connection.cut_off();
            }
            let place = Arc::clone(&self.places).acquire_owned();
            if let Ok(Ok(place)) = tokio::time::timeout(LOOK_AGAIN, place).await {
                return place;
            }
        }
    }

    /// A connection is there, in this place if it has one.
    pub(super) fn admit(self: &Arc<Self>, place: Option<OwnedSemaphorePermit>) -> Admitted {
        let activity = Arc::new(Activity::new(self.epoch, Arc::clone(&self.budget)));
        let number = self.lock().add(&activity);
        Admitted { activity, number, admission: Arc::clone(self), _place: place }
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
                () = self.budget.pages_wanted() => self.end(FEWEST_AT_ONCE, Activity::leaves_answers_for),
                () = tokio::time::sleep(pause) => {}
            }
            let stuck = self.picked(|connection| self.is_stuck(connection));
            stuck.iter().for_each(|connection| connection.cut_off());
        }
    }

    /// Whether a connection waits for a client that has had its time.
    fn is_stuck(&self, connection: &Activity) -> bool {
        let is_draining = self.is_draining.load(Ordering::Relaxed);
        let patience = if is_draining { self.idle_timeout.min(MAX_UNTAKEN) } else { self.idle_timeout };
        let takes_nothing = connection.untaken_for().is_some_and(|untaken| untaken > patience);
        let only_pings =
            connection.speaks_http2() && !connection.is_open() && connection.still_for() > self.idle_timeout;
        let has_left = connection.is_half_closed()
            && !connection.is_in_service()
            && connection.still_for() > self.idle_timeout.min(MAX_UNTAKEN);
        takes_nothing || only_pings || has_left
    }

    /// Ends connections that take room from others, until none waits for room, or all are taken as fast as can be.
    async fn make_room(&self) {
        loop {
            let count = self.budget.waiting().clamp(FEWEST_AT_ONCE, MOST_AT_ONCE);
            self.end(count, Activity::takes_room_for);
            tokio::time::sleep(LOOK_AGAIN).await;
            if !self.budget.is_short() {
                return;
            }
        }
    }

    /// Ends so many connections that have left something lying, those first that have done so for longest.
    fn end(&self, count: usize, lying_for: impl Fn(&Activity) -> Option<Duration>) {
        let mut lying = self.picked(|connection| lying_for(connection) >= Some(LEAST_STILLNESS));
        lying.sort_by_cached_key(|connection| Reverse(lying_for(connection)));
        lying.iter().take(count).for_each(|connection| connection.cut_off());
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
        self.admission.lock().all.remove(&self.number);
    }
}
