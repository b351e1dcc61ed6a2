//! Wakes the view writer.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::sqlite::rebuild::replacement::ReplacementViews;

#[derive(Default)]
pub(crate) struct ViewSignal {
    work: Mutex<ViewWriterWork>,
    changed: Condvar,
}

#[derive(Default)]
struct ViewWriterWork {
    flush: bool,
    replacement: Option<ReplacementViews>,
    finish: bool,
}

impl ViewSignal {
    /// Has what has changed written.
    pub(crate) fn flush(&self) {
        self.work().flush = true;
        self.changed.notify_one();
    }

    /// Gives the view writer a file to go on with.
    pub(crate) fn replace(&self, replacement: ReplacementViews) {
        self.work().replacement = Some(replacement);
        self.changed.notify_one();
    }

    /// Has the view writer write everything, and end.
    pub(crate) fn finish(&self) {
        self.work().finish = true;
        self.changed.notify_one();
    }

    pub(super) fn has_replacement(&self) -> bool {
        self.work().replacement.is_some()
    }

    pub(super) fn take_replacement(&self) -> Option<ReplacementViews> {
        self.work().replacement.take()
    }

    /// Waits for work, or for as long as changes may wait. `false` when it is time to finish.
    pub(super) fn wait(&self, at_most: Duration) -> bool {
        let is_idle = |work: &mut ViewWriterWork| !work.flush && !work.finish && work.replacement.is_none();
        let waited = self.changed.wait_timeout_while(self.work(), at_most, is_idle);
        let (mut work, _) = waited.unwrap_or_else(PoisonError::into_inner);
        work.flush = false;
        !work.finish
    }

    fn work(&self) -> MutexGuard<'_, ViewWriterWork> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
