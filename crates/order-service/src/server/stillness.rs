//! The connections that have been still for longest.

use std::sync::Arc;
use std::time::Duration;

use crate::connection::Activity;

/// How many are found at once: to find them takes a look at all.
const FOUND_AT_ONCE: usize = 64;

/// The connections that give way next, the stillest last, each with its last progress as it was when all were looked at.
#[derive(Default)]
pub(super) struct Stillest(Vec<(u64, Arc<Activity>)>);

impl Stillest {
    /// The next connection to give way. It waits for its client and has been still for at least `least`. Nobody is named twice.
    pub(super) fn next<'a>(
        &mut self,
        all: impl Iterator<Item = &'a Arc<Activity>>,
        least: Duration,
    ) -> Option<Arc<Activity>> {
        if let Some(found) = self.next_found() {
            return Some(found);
        }
        self.find(all, least);
        self.next_found()
    }

    fn next_found(&mut self) -> Option<Arc<Activity>> {
        while let Some((last_progress, connection)) = self.0.pop() {
            if connection.may_give_way() && connection.last_progress() == last_progress {
                return Some(connection);
            }
        }
        None
    }

    fn find<'a>(&mut self, all: impl Iterator<Item = &'a Arc<Activity>>, least: Duration) {
        let still = all.filter(|connection| connection.may_give_way() && connection.still_for() >= least);
        let mut still: Vec<_> = still.map(|connection| (connection.last_progress(), connection)).collect();
        if still.len() > FOUND_AT_ONCE {
            still.select_nth_unstable_by_key(FOUND_AT_ONCE, |(last_progress, _)| *last_progress);
            still.truncate(FOUND_AT_ONCE);
        }
        still.sort_unstable_by_key(|(last_progress, _)| std::cmp::Reverse(*last_progress));
        let owned =
            |(last_progress, connection): (u64, &Arc<Activity>)| (last_progress, Arc::clone(connection));
        self.0 = still.into_iter().map(owned).collect();
    }
}
