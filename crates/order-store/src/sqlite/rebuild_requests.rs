//! Between those who find that the views have to be rebuilt, and the thread that does it.

use std::ops::ControlFlow;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use order_application::{StoreError, ViewsState, ViewsStatus};

/// Requests to rebuild the views, and how that goes.
pub(crate) struct RebuildRequests {
    state: Mutex<RebuildState>,
    changed: Condvar,
}

#[derive(Default)]
struct RebuildState {
    /// The number of the views' file that is being served.
    serving: u64,
    wanted: Option<WantedRebuild>,
    finish: bool,
    status: ViewsStatus,
}

/// Why the views are to be rebuilt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedRebuild {
    pub(crate) why: String,
    /// Whether what is served does not add up. Otherwise it is right, and merely made by an earlier release.
    pub(crate) is_damage: bool,
}

impl RebuildRequests {
    pub(crate) fn new(serving: u64) -> Self {
        let state = RebuildState { serving, ..RebuildState::default() };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Says that the file with a number does not add up, and answers with what a reader is told. The first to say so has it
    /// rebuilt.
    pub(crate) fn damaged(&self, number: u64, what: String) -> StoreError {
        // The file may have been replaced since it was read.
        if number == self.state().serving {
            self.want(&what, true);
        }
        StoreError::DamagedView(what)
    }

    /// Has the views rebuilt that are served now.
    pub(crate) fn want(&self, why: &str, is_damage: bool) {
        let mut state = self.state();
        // What is being replaced may be damaged in many places.
        if let Some(wanted) = &mut state.wanted {
            wanted.is_damage |= is_damage;
            return;
        }
        if is_damage {
            tracing::warn!(
                why,
                "the views are damaged; they are rebuilt, and served meanwhile as far as they add up"
            );
        }
        state.wanted = Some(WantedRebuild { why: why.to_owned(), is_damage });
        state.show_progress(0, 0);
        self.changed.notify_all();
    }

    /// Waits until they are to be rebuilt; `None` when it is time to end.
    pub(crate) fn wait(&self) -> Option<WantedRebuild> {
        let idle = |state: &mut RebuildState| !state.finish && state.wanted.is_none();
        let waited = self.changed.wait_while(self.state(), idle);
        let state = waited.unwrap_or_else(PoisonError::into_inner);
        if state.finish { None } else { state.wanted.clone() }
    }

    /// Waits for a while, after a failure. `false` when it is time to end.
    pub(crate) fn pause(&self, at_most: std::time::Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), at_most, |state| !state.finish);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.finish
    }

    /// Says that another file is served from now on.
    pub(crate) fn replaced(&self, number: u64) {
        let mut state = self.state();
        *state = RebuildState { serving: number, finish: state.finish, ..RebuildState::default() };
    }

    /// Shows how far it has come. Answers whether to go on.
    pub(crate) fn progress(&self, done: u64, total: u64) -> ControlFlow<()> {
        let mut state = self.state();
        state.show_progress(done, total);
        if state.finish { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Shows that it did not work out. It is tried again.
    pub(crate) fn failed(&self, why: String) {
        let status = ViewsStatus { state: ViewsState::Failed, detail: Some(why), ..ViewsStatus::default() };
        self.state().status = status;
    }

    /// Whether it is time to end.
    pub(crate) fn is_finished(&self) -> bool {
        self.state().finish
    }

    /// How the views are.
    pub(crate) fn status(&self) -> ViewsStatus {
        self.state().status.clone()
    }

    /// Has all who wait end.
    pub(crate) fn finish(&self) {
        self.state().finish = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, RebuildState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RebuildState {
    fn show_progress(&mut self, done: u64, total: u64) {
        let detail = self.wanted.as_ref().map(|wanted| wanted.why.clone());
        let (done, total) = (Some(done), Some(total));
        self.status = ViewsStatus { state: ViewsState::Rebuilding, detail, done, total };
    }
}
