//! Why the database cannot be written to, for those who wait in vain.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use order_application::{AppendError, StoreError};

/// Why the database could not be written to the last time, until it can be.
#[derive(Default)]
pub(super) struct Trouble {
    why: Mutex<Option<String>>,
    /// It was there, and has refused an append for a reason that would do for any other as well.
    has_refused: AtomicBool,
}

impl Trouble {
    pub(super) fn met(&self, why: &str) {
        *self.why() = Some(why.to_owned());
    }

    pub(super) fn clear(&self) {
        self.why().take();
        self.has_refused.store(false, Ordering::Relaxed);
    }

    /// An append was refused. One that says that rows cannot be read is about its order alone.
    pub(super) fn refused(&self, error: &StoreError) {
        if matches!(error, StoreError::Unavailable(_) | StoreError::NewerRelease(_)) {
            self.has_refused.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn is_refused(&self) -> bool {
        self.has_refused.load(Ordering::Relaxed)
    }

    /// What is told to whoever waited in vain for the writer to begin: that the database is away, or else only slow.
    pub(super) fn refusal(&self) -> AppendError {
        let why = self.why().clone();
        why.map_or(StoreError::Overloaded, StoreError::Unavailable).into()
    }

    fn why(&self) -> MutexGuard<'_, Option<String>> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waited_in_vain_is_told_that_the_database_is_away_only_while_it_is_known_to_be() {
        let trouble = Trouble::default();
        assert_eq!(trouble.refusal(), StoreError::Overloaded.into());
        trouble.met("connection refused");
        assert_eq!(trouble.refusal(), StoreError::Unavailable("connection refused".to_owned()).into());
        trouble.clear();
        assert_eq!(trouble.refusal(), StoreError::Overloaded.into());
    }
}
