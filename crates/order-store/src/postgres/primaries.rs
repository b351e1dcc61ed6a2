//! Who has been seen as the primary. A connection to an old one is not used any more as soon as one has been seen that took over
//! from it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::timeline::Timeline;

/// A server that takes writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Primary {
    pub(super) timeline: Timeline,
    /// As the URL has it.
    pub(super) server: Arc<str>,
}

/// Primaries that the store has seen.
#[derive(Debug, Default)]
pub(super) struct Primaries {
    state: Mutex<State>,
    /// That servers do not say which timeline they are on.
    untold: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// The one on the highest timeline.
    newest: Option<Primary>,
    /// Old ones that were told of: the last timeline of each server.
    told: Vec<Primary>,
}

impl Primaries {
    /// The one on the highest timeline that was seen.
    pub(super) fn newest(&self) -> Option<Primary> {
        self.state().newest.clone()
    }

    /// Whether a timeline is an old primary's.
    pub(super) fn is_left(&self, timeline: Option<Timeline>) -> bool {
        self.state().is_left(timeline)
    }

    /// Whether a timeline is of one that has taken over unseen.
    pub(super) fn is_later(&self, timeline: Option<Timeline>) -> bool {
        let state = self.state();
        state.newest.as_ref().zip(timeline).is_some_and(|(newest, own)| newest.timeline.was_left_for(own))
    }

    /// Remembers who is the primary of the log, if nobody has taken over from it. Another cluster begins anew.
    pub(super) fn note(&self, timeline: Option<Timeline>, server: &Arc<str>) {
        let mut state = self.state();
        let Some(timeline) = timeline.filter(|&timeline| !state.is_left(Some(timeline))) else { return };
        if let Some(before) = &state.newest
            && before.timeline.was_left_for(timeline)
        {
            tracing::info!(
                server = &**server,
                timeline = timeline.number,
                before = &*before.server,
                timeline_before = before.timeline.number,
                "another server has taken over as the primary"
            );
        }
        state.newest = Some(Primary { timeline, server: Arc::clone(server) });
    }

    /// Why a server is not used, if it is an old primary. Told once.
    pub(super) fn refuse_old(&self, timeline: Option<Timeline>, server: &Arc<str>) -> Option<String> {
        let mut state = self.state();
        let timeline = timeline.filter(|&timeline| state.is_left(Some(timeline)))?;
        let newest = state.newest.clone()?;
        let old = Primary { timeline, server: Arc::clone(server) };
        if !state.told.contains(&old) {
            tracing::warn!(
                server = &**server,
                timeline = timeline.number,
                primary = &*newest.server,
                newest_timeline = newest.timeline.number,
                "an old primary is not used: another server has been promoted in its place, and nobody has fenced it. Stop it, \
                 and make it a standby (pg_rewind, or a new base backup). If it is the one that is meant, stop the other \
                 and start all instances anew"
            );
            state.told.retain(|told| told.server != *server);
            state.told.push(old);
        }
        let Primary { timeline: later, server: primary } = newest;
        Some(format!("{server} is an old primary ({timeline}); {primary} has taken over from it ({later})"))
    }

    /// Says once that an old primary will not be noticed.
    pub(super) fn note_untold(&self) {
        if !self.untold.swap(true, Ordering::Relaxed) {
            tracing::debug!(
                "the database does not say which timeline it is on: an old primary that comes back is not told from the one \
                 that has taken over from it"
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one assignment, or two that need not belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_left(&self, timeline: Option<Timeline>) -> bool {
        self.newest.as_ref().zip(timeline).is_some_and(|(newest, own)| own.was_left_for(newest.timeline))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(number: u32) -> Option<Timeline> {
        Some(Timeline { system: 7, number })
    }

    #[test]
    fn who_was_taken_over_from_is_refused_and_nobody_else() {
        let primaries = Primaries::default();
        let (db1, db2) = (Arc::from("db1:5432"), Arc::from("db2:5432"));
        primaries.note(timeline(1), &db1);
        assert_eq!(primaries.refuse_old(timeline(1), &db1), None);
        primaries.note(timeline(2), &db2);
        primaries.note(timeline(1), &db1);
        primaries.note(None, &db1);
        assert_eq!(primaries.newest().map(|primary| primary.server), Some(Arc::clone(&db2)));
        let why = primaries.refuse_old(timeline(1), &db1).unwrap();
        assert_eq!(
            why,
            "db1:5432 is an old primary (timeline 1); db2:5432 has taken over from it (timeline 2)"
        );
        assert_eq!(primaries.refuse_old(timeline(2), &db2), None);
        assert_eq!(primaries.refuse_old(timeline(3), &db1), None, "it may have taken over again");
        assert_eq!(primaries.refuse_old(None, &db1), None, "it does not tell");
    }

    #[test]
    fn timelines_of_another_cluster_are_not_compared() {
        let primaries = Primaries::default();
        let server = Arc::from("db:5432");
        primaries.note(timeline(9), &server);
        let other = Some(Timeline { system: 8, number: 1 });
        assert!(!primaries.is_left(other) && !primaries.is_later(other));
        primaries.note(other, &server);
        assert_eq!(primaries.newest().map(|primary| primary.timeline), other);
    }
}
