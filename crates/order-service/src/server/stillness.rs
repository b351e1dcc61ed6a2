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
    /// The next connection to give way to one from `newcomer`, of those that wait for their clients. If its address has many and the
    /// newcomer's has not, it does so whatever has moved on it; otherwise if it has been still for at least `least`, and never if only
    /// the newcomer's address has many. Nobody is named twice.
    pub(super) fn next<'a>(
        &mut self,
        all: impl Iterator<Item = &'a Arc<Activity>>,
        least: Duration,
        newcomer: IpAddr,
        has_many: impl Fn(IpAddr) -> bool,
    ) -> Option<Arc<Activity>> {
        let newcomer_is_of_many = has_many(newcomer);
        let gives_way = |connection: &Activity, is_of_many: bool| match (is_of_many, newcomer_is_of_many) {
            // Those of few are left for others.
            (false, true) => false,
            (true, false) => true,
            (true, true) | (false, false) => is_still(connection, least),
        };
        if let Some(found) = self.next_found(gives_way) {
            return Some(found);
        }
        self.find(all, gives_way, has_many);
        self.next_found(gives_way)
    }

    /// Some were found for others, to whom they gave way sooner.
    fn next_found(&mut self, gives_way: impl Fn(&Activity, bool) -> bool) -> Option<Arc<Activity>> {
        while let Some(found) = self.0.pop_if(|next| gives_way(&next.connection, next.is_of_many)) {
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
        gives_way: impl Fn(&Activity, bool) -> bool,
        has_many: impl Fn(IpAddr) -> bool,
    ) {
        let seen = |connection: &'a Arc<Activity>| {
            let is_of_many = has_many(connection.network());
            let turn = (!is_of_many, connection.last_progress());
            (connection.may_give_way() && gives_way(connection, is_of_many)).then_some((turn, connection))
        };
        let mut found: Vec<_> = all.filter_map(seen).collect();
        if found.len() > FOUND_AT_ONCE {
            found.select_nth_unstable_by_key(FOUND_AT_ONCE, |(turn, _)| *turn);
            found.truncate(FOUND_AT_ONCE);
        }
        found.sort_unstable_by_key(|(turn, _)| Reverse(*turn));
        let found = found.into_iter().map(|((is_of_few, last_progress), connection)| Found {
            connection: Arc::clone(connection),
            last_progress,
            is_of_many: !is_of_few,
        });
        self.0 = found.collect();
    }
}

/// Whether nothing has moved on a connection for at least so long; a little longer, if its client is about to ask something.
fn is_still(connection: &Activity, least: Duration) -> bool {
    let least = if connection.arrivals() > 0 { least } else { least.max(MAY_SAY_NOTHING) };
    connection.still_for() >= least
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Instant;

    use super::*;
    use crate::connection::AnswerBudget;
    use crate::metrics::GivenUp;

    const MANY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const FEW: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));

    const LONG: Duration = Duration::from_secs(3600);

    /// Connections from these addresses on which something has just moved, from the stillest on.
    fn connections<const N: usize>(addresses: [IpAddr; N]) -> Vec<Arc<Activity>> {
        let (budget, begun) = (Arc::new(AnswerBudget::new(0)), Instant::now());
        let connection = |(number, address)| {
            let budget = Arc::clone(&budget);
            let connection = Activity::new((number, address), begun, Duration::ZERO, budget, Arc::default());
            connection.set_task(tokio::spawn(std::future::pending::<()>()).abort_handle());
            connection.arrived();
            Arc::new(connection)
        };
        (0..).zip(addresses).map(connection).collect()
    }

    impl Stillest {
        fn next_number(&mut self, all: &[Arc<Activity>], least: Duration, newcomer: IpAddr) -> Option<u64> {
            let next = self.next(all.iter(), least, newcomer, |address| address == MANY);
            next.map(|connection| {
                connection.cut_off(GivenUp::Place);
                order_api::Connection::number(&*connection)
            })
        }
    }

    #[tokio::test]
    async fn those_of_many_give_way_before_others_and_others_only_to_each_other() {
        let mut all = connections([FEW, MANY, MANY]);
        let mut stillest = Stillest::default();
        let mut next = |all: &[Arc<Activity>], newcomer| stillest.next_number(all, Duration::ZERO, newcomer);
        assert_eq!([next(&all, FEW), next(&all, MANY)], [Some(1), Some(2)]);
        all.truncate(1);
        assert_eq!([next(&all, MANY), next(&all, FEW)], [None, Some(0)]);
    }

    #[tokio::test]
    async fn those_of_many_give_way_to_one_of_few_whatever_has_moved_on_them_and_to_each_other_when_they_are_still()
     {
        let all = connections([FEW, MANY, MANY, MANY]);
        let mut stillest = Stillest::default();
        let mut next = |all: &[Arc<Activity>], newcomer| stillest.next_number(all, LONG, newcomer);
        assert_eq!(next(&all, MANY), None);
        assert_eq!(next(&all, FEW), Some(1));
        assert_eq!(next(&all, MANY), None, "what was found for another is not for it");
        assert_eq!([next(&all, FEW), next(&all, FEW)], [Some(2), Some(3)]);
        assert_eq!(next(&all, FEW), None, "of few it is the same for all");
    }
}
