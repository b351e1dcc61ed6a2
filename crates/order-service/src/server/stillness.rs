//! The connections that have been still for longest.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use super::networks::{PlacesByNetwork, magnitude};
use crate::connection::Activity;

/// How many are found at once: to find them takes a look at all.
const FOUND_AT_ONCE: usize = 64;

/// Whoever has come within this time and has asked nothing may be about to.
const MAY_SAY_NOTHING: Duration = Duration::from_millis(200);

/// The connections that give way next, the last one first, since that is the cheapest to take away. They are of the networks that have
/// most, and where networks have [about](magnitude) as many, the stillest of all goes first.
#[derive(Default)]
pub(super) struct Stillest(Vec<Found>);

/// A connection as it was when all were looked at.
struct Found {
    connection: Arc<Activity>,
    last_progress: u64,
    /// The [magnitude] of what its network had.
    magnitude: u32,
}

/// Who makes a connection give way.
#[derive(Clone, Copy)]
pub(super) struct Newcomer {
    /// How many its network has.
    pub(super) has: usize,
    /// How long a connection of a network that has as many must have been still.
    pub(super) least: Duration,
    /// How long it has waited for a place.
    pub(super) waited: Duration,
}

impl Newcomer {
    /// Whether a connection has been still for long enough, whose network has so many. Where that has more than the newcomer's, less is
    /// enough: however many a machine keeps moving, it is not to have all places. Where it has fewer, more is needed: this may be its only
    /// one. And as long as the newcomer has not waited, a network with fewer keeps its own: those of the networks with more may only have
    /// come too recently to give way.
    fn is_given_way_by(self, connection: &Activity, others_have: usize) -> bool {
        if magnitude(others_have) < magnitude(self.has) && self.waited < self.least.max(MAY_SAY_NOTHING) {
            return false;
        }
        // Its client may be about to ask something.
        let asks_first = connection.arrivals() == 0;
        let least = if asks_first { self.least.max(MAY_SAY_NOTHING) } else { self.least };
        connection.still_for().as_nanos() * others_have as u128 >= least.as_nanos() * self.has.max(1) as u128
    }
}

impl Stillest {
    /// The next connection to give way to a newcomer, of those that wait for their clients. Nobody is named twice.
    pub(super) fn next<'a>(
        &mut self,
        all: impl Iterator<Item = &'a Arc<Activity>>,
        newcomer: Newcomer,
        places: &PlacesByNetwork,
    ) -> Option<Arc<Activity>> {
        if let Some(found) = self.next_found(newcomer, places) {
            return Some(found);
        }
        self.find(all, newcomer, places);
        self.next_found(newcomer, places)
    }

    /// The next of those that were found, which may have been for others: who they are is asked anew if it would not give way to this
    /// one, or if it was found while its network had more.
    fn next_found(&mut self, newcomer: Newcomer, places: &PlacesByNetwork) -> Option<Arc<Activity>> {
        while let Some(Found { connection, last_progress, magnitude: found_at }) = self.0.pop() {
            if connection.last_progress() != last_progress || !connection.may_give_way() {
                continue;
            }
            let has = places.of(connection.network());
            let is_next = magnitude(has) == found_at && newcomer.is_given_way_by(&connection, has);
            return is_next.then_some(connection);
        }
        None
    }

    fn find<'a>(
        &mut self,
        all: impl Iterator<Item = &'a Arc<Activity>>,
        newcomer: Newcomer,
        places: &PlacesByNetwork,
    ) {
        let seen = |connection: &'a Arc<Activity>| {
            let has = places.of(connection.network());
            let turn = (Reverse(magnitude(has)), connection.last_progress());
            let gives_way = connection.may_give_way() && newcomer.is_given_way_by(connection, has);
            gives_way.then_some((turn, connection))
        };
        let mut found: Vec<_> = all.filter_map(seen).collect();
        if found.len() > FOUND_AT_ONCE {
            found.select_nth_unstable_by_key(FOUND_AT_ONCE, |(turn, _)| *turn);
            found.truncate(FOUND_AT_ONCE);
        }
        found.sort_unstable_by_key(|(turn, _)| Reverse(*turn));
        let found = found.into_iter().map(|((Reverse(magnitude), last_progress), connection)| Found {
            connection: Arc::clone(connection),
            last_progress,
            magnitude,
        });
        self.0 = found.collect();
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Instant;

    use super::*;
    use crate::connection::AnswerBudget;

    /// How long nothing has moved on any connection here.
    const STILL: Duration = Duration::from_secs(10);

    /// Connections from these networks, from the stillest on.
    struct All {
        connections: Vec<Arc<Activity>>,
        places: PlacesByNetwork,
        stillest: Stillest,
    }

    fn network(number: u8) -> IpAddr {
        [192, 0, 2, number].into()
    }

    impl All {
        fn of<const N: usize>(networks: [u8; N]) -> Self {
            let begun = Instant::now().checked_sub(STILL).expect("the system runs for longer");
            let budget = Arc::new(AnswerBudget::new(0));
            let mut all = Self {
                connections: Vec::new(),
                places: PlacesByNetwork::default(),
                stillest: Stillest::default(),
            };
            for (number, of) in (0..).zip(networks.map(network)) {
                let budget = Arc::clone(&budget);
                let connection = Activity::new((number, of), begun, Duration::ZERO, budget, Arc::default());
                connection.set_task(tokio::spawn(std::future::pending::<()>()).abort_handle());
                connection.arrived();
                connection.moved_last(begun + Duration::from_nanos(number));
                all.connections.push(Arc::new(connection));
                all.places.add(of);
            }
            all
        }

        /// Has somebody give way to one of this network that has waited for long, and answers with whom.
        fn next(&mut self, newcomer: u8, least: Duration) -> Option<u64> {
            self.next_for_one_that_has(Duration::MAX, newcomer, least)
        }

        fn next_for_one_that_has(&mut self, waited: Duration, newcomer: u8, least: Duration) -> Option<u64> {
            let newcomer = Newcomer { has: self.places.of(network(newcomer)), least, waited };
            let next = self.stillest.next(self.connections.iter(), newcomer, &self.places)?;
            self.connections.retain(|connection| !Arc::ptr_eq(connection, &next));
            self.places.remove(next.network());
            Some(order_api::Connection::number(&*next))
        }
    }

    #[tokio::test]
    async fn those_of_the_network_that_has_most_give_way_first_and_where_all_have_about_as_many_the_stillest()
    {
        let mut all = All::of([1, 4, 4, 4, 4, 2, 2]);
        let gave_way: Vec<_> = std::iter::from_fn(|| all.next(9, Duration::ZERO)).collect();
        assert_eq!(gave_way, [1, 2, 3, 5, 0, 4, 6]);
    }

    #[tokio::test]
    async fn whoever_comes_from_where_less_is_waits_less_for_those_of_others_and_more_from_where_more_is() {
        let mut all = All::of([1, 4, 4, 4, 4]);
        assert_eq!(all.next(9, 5 * STILL), None);
        assert_eq!(all.next(4, 2 * STILL), None, "as many as it has");
        assert_eq!(all.next(9, 2 * STILL), Some(1), "however it moves, others come before");
        assert_eq!(all.next(9, 2 * STILL), Some(2));
        assert_eq!(all.next(9, 3 * STILL), None, "there are but two left");
        let mut all = All::of([1, 4, 4, 4, 4]);
        (1..5).for_each(|number| all.connections[number].progressed());
        assert_eq!(all.next(4, STILL / 2), None, "what it has moves, and the other may have but this one");
        let just_come = all.next_for_one_that_has(Duration::ZERO, 4, STILL / 5);
        assert_eq!(just_come, None, "the others may have come a moment ago");
        assert_eq!(all.next(4, STILL / 5), Some(0), "which it has left for very long");
    }
}
