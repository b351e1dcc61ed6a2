//! Failures of requests, each said once in the log however many requests it meets: the first gives the incident its name,
//! which the answers to the others have as well, and when no more have come for a while the log says how many there were.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use order_application::RepeatedFault;
use tokio::time::{Instant, sleep_until};

/// After so long without such a failure it is over.
const QUIET: Duration = Duration::from_secs(5);
/// Most causes that are told apart at a time, such as orders that cannot be read; all others are one for each code.
const MAX_CAUSES: usize = 64;

/// The failures that are going on.
#[derive(Clone, Default)]
pub(crate) struct Incidents(Arc<Mutex<HashMap<Kind, Incident>>>);

/// What failures have in common that are one incident.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Kind {
    code: &'static str,
    /// Empty for what is beyond [`MAX_CAUSES`].
    cause: String,
}

struct Incident {
    name: String,
    last: Instant,
    fault: RepeatedFault,
}

impl Incidents {
    /// Counts a failure, of which `name` would be the incident. If such failures are going on already: the name of theirs.
    /// Otherwise it is to be said.
    pub(crate) fn note(&self, code: &'static str, cause: &str, name: &str) -> Option<String> {
        let mut open = self.open();
        let mut kind = Kind { code, cause: cause.to_owned() };
        if open.len() >= MAX_CAUSES && !open.contains_key(&kind) {
            kind.cause.clear();
        }
        let incident = match open.entry(kind) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(vacant) => {
                tokio::spawn(self.clone().tell_end(vacant.key().clone()));
                let name = name.to_owned();
                vacant.insert(Incident { name, last: Instant::now(), fault: RepeatedFault::default() })
            }
        };
        incident.last = Instant::now();
        (!incident.fault.is_news()).then(|| incident.name.clone())
    }

    /// Waits until such failures have ended, and says how many there were.
    async fn tell_end(self, kind: Kind) {
        while let Some(over_at) = self.end(&kind) {
            sleep_until(over_at).await;
        }
    }

    /// Ends an incident if it is over. Otherwise: when to ask again.
    fn end(&self, kind: &Kind) -> Option<Instant> {
        let mut open = self.open();
        let incident = open.get(kind)?;
        let over_at = incident.last + QUIET;
        if over_at > Instant::now() {
            return Some(over_at);
        }
        let Incident { name: incident, fault, .. } = open.remove(kind)?;
        drop(open);
        if let Some(more @ 1..) = fault.over() {
            let Kind { code, cause } = kind;
            tracing::warn!(
                incident,
                code,
                cause,
                more,
                "more requests failed like this; for a while none has"
            );
        }
        None
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Kind, Incident>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failures_of_one_cause_are_one_incident_until_none_has_come_for_a_while() {
        let incidents = Incidents::default();
        assert_eq!(incidents.note("corrupt", "order a", "1"), None);
        assert_eq!(incidents.note("corrupt", "order a", "2").as_deref(), Some("1"));
        assert_eq!(incidents.note("corrupt", "order b", "3"), None, "another cause");
        assert_eq!(incidents.note("storage-full", "order a", "4"), None, "another code");
        for _ in 0..3 {
            tokio::time::sleep(QUIET * 2 / 3).await;
            assert_eq!(incidents.note("corrupt", "order a", "5").as_deref(), Some("1"), "it goes on");
        }
        tokio::time::sleep(QUIET * 2).await;
        assert_eq!(incidents.note("corrupt", "order a", "6"), None, "it was over");
    }

    #[tokio::test(start_paused = true)]
    async fn causes_that_are_too_many_to_tell_apart_are_one_for_each_code() {
        let incidents = Incidents::default();
        let told = |number: usize| incidents.note("corrupt", &format!("order {number}"), "n").is_none();
        assert_eq!((0..1_000).filter(|number| told(*number)).count(), MAX_CAUSES + 1);
        assert_eq!(incidents.open().len(), MAX_CAUSES + 1);
        tokio::time::sleep(QUIET * 2).await;
        assert!(incidents.open().is_empty());
    }
}
