//! The connections that have been still for longest.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::connection::Activity;

/// How many are found at once: to find them takes a look at all.
const FOUND_AT_ONCE: usize = 64;

/// Whoever has asked nothing yet is about to, at least for so long.
const MAY_SAY_NOTHING: Duration = Duration::from_millis(200);

/// The connections that give way next, the next one last: those of addresses with many before others, and the stillest first.
#[derive(Default)]
pub(super) struct Stillest(Vec<Found>);

/// A connection as it was when all were looked at.
struct Found {
    connection: Arc<Activity>,
    last_progress: u64,
    /// Whether its address has many.
    is_of_many: bool,
}

impl Stillest {
    /// The next connection to give way to one from `newcomer`. It waits for its client and has been still for at least `least`; and if
    /// the newcomer's address has many, so has its own. Nobody is named twice.
    pub(super) fn next<'a>(
        &mut self,
        all: impl Iterator<Item = &'a Arc<Activity>>,
        least: Duration,
        newcomer: IpAddr,
        has_many: impl Fn(IpAddr) -> bool,
    ) -> Option<Arc<Activity>> {
        let newcomer_is_of_many = has_many(newcomer);
        if let Some(found) = self.next_found(newcomer_is_of_many) {
            return Some(found);
        }
        self.find(all, least, has_many);
        self.next_found(newcomer_is_of_many)
    }

    fn next_found(&mut self, newcomer_is_of_many: bool) -> Option<Arc<Activity>> {
        // Those of few are left for others.
        while let Some(found) = self.0.pop_if(|next| next.is_of_many || !newcomer_is_of_many) {
            let Found { connection, last_progress, .. } = found;
            if connection.may_give_way() && connection.last_progress() == last_progress {
                return Some(connection);
            }
        }
        None
    }

    fn find<'a>(
        &mut self,
        all: impl Iterator<Item = &'a Arc<Activity>>,
        least: Duration,
        has_many: impl Fn(IpAddr) -> bool,
    ) {
        let is_still = |connection: &Activity| {
            let least = if connection.arrivals() > 0 { least } else { least.max(MAY_SAY_NOTHING) };
            connection.still_for() >= least
        };
        let still = all.filter(|connection| connection.may_give_way() && is_still(connection));
        let seen = |connection: &'a Arc<Activity>| {
            let turn = (!has_many(connection.network()), connection.last_progress());
            (turn, connection)
        };
        let mut still: Vec<_> = still.map(seen).collect();
        if still.len() > FOUND_AT_ONCE {
            still.select_nth_unstable_by_key(FOUND_AT_ONCE, |(turn, _)| *turn);
            still.truncate(FOUND_AT_ONCE);
        }
        still.sort_unstable_by_key(|(turn, _)| Reverse(*turn));
        let found = still.into_iter().map(|((is_of_few, last_progress), connection)| Found {
            connection: Arc::clone(connection),
            last_progress,
            is_of_many: !is_of_few,
        });
        self.0 = found.collect();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Instant;

    use super::*;
    use crate::connection::AnswerBudget;

    const MANY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const FEW: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    #[tokio::test]
    async fn those_of_many_give_way_before_others_and_others_only_to_each_other() {
        let (budget, begun) = (Arc::new(AnswerBudget::new(0)), Instant::now());
        let mut all = Vec::new();
        // From the stillest on.
        for address in [FEW, MANY, MANY] {
            let (number, epoch) = (all.len() as u64, begun);
            let connection =
                Activity::new((number, address), epoch, Duration::ZERO, Arc::clone(&budget), Arc::default());
            connection.set_task(tokio::spawn(std::future::pending::<()>()).abort_handle());
            connection.arrived();
            all.push(Arc::new(connection));
        }
        let mut stillest = Stillest::default();
        let mut next = |all: &[Arc<Activity>], newcomer| {
            let next = stillest.next(all.iter(), Duration::ZERO, newcomer, |address| address == MANY);
            next.map(|connection| order_api::Connection::number(&*connection))
        };
        assert_eq!([next(&all, FEW), next(&all, MANY)], [Some(1), Some(2)]);
        all.truncate(1);
        assert_eq!([next(&all, MANY), next(&all, FEW)], [None, Some(0)]);
    }
}
