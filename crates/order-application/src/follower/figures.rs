use std::sync::{Mutex, PoisonError};

use order_domain::Timestamp;

use crate::figures::Counter;

/// What a follower counts besides its [status](super::FollowerStatus).
#[derive(Debug, Default)]
pub struct FollowerFigures {
    /// Events that got done, for a relay: that were acknowledged.
    pub done: Counter,
    /// How often it could not go on.
    pub failures: Counter,
    oldest: Mutex<Option<Timestamp>>,
}

impl FollowerFigures {
    /// The time of the oldest event that is not done, as of the last look; `None`: all are done.
    pub fn waiting_since(&self) -> Option<Timestamp> {
        *self.oldest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn waits_since(&self, time: Timestamp) {
        *self.oldest.lock().unwrap_or_else(PoisonError::into_inner) = Some(time);
    }

    pub(super) fn nothing_waits(&self) {
        *self.oldest.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
