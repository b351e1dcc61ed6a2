//! Who has room for answers, who wants some, and who makes room for whom.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::networks::magnitude;
use crate::connection::{Activity, AnswerBudget, LeastStillness, Lying};

/// An answer of which a piece was taken within this time, or a connection on which something moved, is not still.
const LEAST_STILLNESS: Duration = Duration::from_millis(200);
/// What each that waits for room wants, at least, about.
const LEAST_WANTED: usize = 16 * 1024;
/// How many give way at once, at most.
const MOST_AT_ONCE: usize = 256;

/// All of that at one moment. A *network* is an address, or a /64 of IPv6, and a *share* is what each may have while others want some.
pub(super) struct Rooms {
    /// Bytes that were asked for since somebody last looked.
    newly_wanted: usize,
    /// Bytes that are waited for.
    waited_for: usize,
    /// As many of them as networks with less than a share lack to it, but for what is on its way to somebody already.
    lacking: usize,
    /// A network's share.
    share: usize,
    /// The networks that have a share, or more.
    have_much: HashSet<IpAddr>,
    /// Those of them that have most.
    have_most: HashSet<IpAddr>,
    /// More than a share is taken and belongs to no connection that is left: it is on its way to somebody, or back from those that
    /// were ended.
    is_much_on_its_way: bool,
    /// The connections that could make room.
    leaving: Vec<Leaving>,
}

/// A connection that could make room, since it leaves some lying.
struct Leaving {
    connection: Arc<Activity>,
    lying: Lying,
    /// The [magnitude] of what its network has.
    magnitude: u32,
    /// How still it was asked to be.
    least: LeastStillness,
    /// Something may still move on it: it makes room only for those who lack some of their share.
    is_moving: bool,
}

/// Connections of which some make room.
pub(super) struct MakingRoom {
    /// How many bytes are to become free.
    wanted: usize,
    /// Up to so many, those make room as well on which something moves.
    wanted_of_moving: usize,
    connections: Vec<Leaving>,
}

impl Rooms {
    /// What these connections have and want of all this.
    pub(super) fn of<'a>(
        connections: impl Iterator<Item = &'a Arc<Activity>> + Clone,
        budget: &AnswerBudget,
    ) -> Self {
        let mut have = HashMap::<IpAddr, usize>::new();
        for connection in connections.clone() {
            *have.entry(connection.network()).or_default() += connection.room();
        }
        let has = |network: &IpAddr| have.get(network).copied().unwrap_or(0);
        let share = budget.share();
        let on_its_way = budget.in_use().saturating_sub(have.values().sum());
        let waiting = budget.waiting_by_network();
        let lacks = |(network, bytes): (&IpAddr, &usize)| share.saturating_sub(has(network)).min(*bytes);
        let least_of_waiting = waiting.keys().map(has).min();
        let leaving = connections
            .filter_map(|connection| leaving(connection, has(&connection.network()), least_of_waiting));
        let have_much = have.iter().filter(|(_, bytes)| **bytes >= share);
        let most = have.values().copied().max().unwrap_or(0);
        let have_most = have_much.clone().filter(|(_, bytes)| magnitude(**bytes) == magnitude(most));
        Self {
            newly_wanted: budget.newly_wanted(),
            waited_for: waiting.values().sum(),
            lacking: waiting.iter().map(lacks).sum::<usize>().saturating_sub(on_its_way),
            share,
            is_much_on_its_way: on_its_way > share,
            have_most: have_most.map(|(network, _)| *network).collect(),
            have_much: have_much.map(|(network, _)| *network).collect(),
            leaving: leaving.collect(),
        }
    }

    /// The networks that have much, and of them most.
    pub(super) fn have_most(&self) -> &HashSet<IpAddr> {
        &self.have_most
    }

    /// As long as a network has a share or more, or will have, only connections of such networks make room, whoever wants it. Where none
    /// has, the others make no more than a share for anybody: one newcomer is not to end hundreds of connections that are idle just now.
    pub(super) fn of_much_if_any(self) -> MakingRoom {
        let Self {
            newly_wanted,
            waited_for,
            lacking,
            share,
            have_much,
            is_much_on_its_way,
            leaving: mut connections,
            ..
        } = self;
        let wanted = if !have_much.is_empty() || is_much_on_its_way {
            connections.retain(|leaving| have_much.contains(&leaving.connection.network()));
            newly_wanted.max(waited_for)
        } else if waited_for > 0 {
            lacking
        } else {
            newly_wanted.min(share)
        };
        MakingRoom { wanted, wanted_of_moving: lacking, connections }
    }

    /// All make room for those who wait and whose networks lack some of their share, and for one more, who may be before them in the
    /// line.
    pub(super) fn of_all(self) -> MakingRoom {
        let Self { lacking, leaving: connections, .. } = self;
        let wanted = if lacking > 0 { lacking + LEAST_WANTED } else { 0 };
        MakingRoom { wanted, wanted_of_moving: wanted, connections }
    }
}

/// The room that a connection could make whose network `has` so much in all. One that is still could make it for anybody. Another could
/// make it where somebody waits whose network has less: the less that has, the sooner after something has moved, or somebody could keep
/// all room by keeping something moving on every connection that has some.
fn leaving(connection: &Arc<Activity>, has: usize, least_of_waiting: Option<usize>) -> Option<Leaving> {
    let still = LeastStillness { of_answers: LEAST_STILLNESS, of_connection: LEAST_STILLNESS };
    let left = |lying, least, is_moving| Leaving {
        connection: Arc::clone(connection),
        lying,
        magnitude: magnitude(has),
        least,
        is_moving,
    };
    if let Some(lying) = connection.leaves_room(still) {
        return Some(left(lying, still, false));
    }
    let needy = least_of_waiting?.max(LEAST_WANTED);
    if needy >= has {
        return None;
    }
    let of_connection = LEAST_STILLNESS.mul_f64(needy as f64 / has as f64);
    let less_still = LeastStillness { of_connection, ..still };
    Some(left(connection.leaves_room(less_still)?, less_still, true))
}

impl MakingRoom {
    /// Ends answers that take room, and connections that take it for themselves, until enough bytes are free, but not too many at once:
    /// first those of the networks that have most, and of them those that cost others most. Answers whether any bytes became free.
    pub(super) fn end(self) -> bool {
        let Self { wanted, wanted_of_moving, mut connections } = self;
        connections
            .sort_unstable_by_key(|leaving| (Reverse(leaving.magnitude), Reverse(leaving.lying.weight())));
        let (mut freed, mut ended) = (0, 0);
        for Leaving { connection, least, is_moving, .. } in connections {
            let wanted = if is_moving { wanted_of_moving } else { wanted };
            if freed < wanted && ended < MOST_AT_ONCE {
                freed += connection.make_room(wanted - freed, least);
                ended += 1;
            }
        }
        freed > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As much as there is to be had.
    const BYTES: usize = 64 * SHARE;
    /// What each network may have while others want some.
    const SHARE: usize = 256 * 1024;
    const LONG: Duration = Duration::from_secs(10);

    fn network(number: u8) -> IpAddr {
        [192, 0, 2, number].into()
    }

    /// Connections of a network that take so many bytes each for themselves, and on which nothing has moved for so long.
    fn connections(
        budget: &Arc<AnswerBudget>,
        of: u8,
        count: usize,
        bytes: usize,
        still: Duration,
    ) -> Vec<Arc<Activity>> {
        (0..count).map(|_| Activity::taking(budget, network(of), bytes, still)).collect()
    }

    /// How many of them are left.
    fn left(connections: &[Arc<Activity>]) -> usize {
        connections.iter().filter(|connection| connection.may_give_way()).count()
    }

    #[tokio::test]
    async fn those_of_who_has_much_make_room_for_who_has_little_whatever_moves_and_the_largest_first() {
        const GROWN: usize = 144 * 1024;
        let budget = Arc::new(AnswerBudget::new(BYTES));
        let moving = Duration::from_millis(50);
        let (grown, small) =
            (connections(&budget, 1, 100, GROWN, moving), connections(&budget, 1, 10, 16 * 1024, moving));
        let idle = connections(&budget, 2, 5, 16 * 1024, LONG);
        let all = || [&grown[..], &small, &idle].into_iter().flatten();
        let of_its_own = small[0].waits_for(BYTES);
        assert!(!Rooms::of(all(), &budget).of_much_if_any().end(), "it is not for its own");
        let newcomer = &connections(&budget, 3, 1, 0, Duration::ZERO)[0];
        let waiting = newcomer.waits_for(20 * 1024);
        assert!(Rooms::of(all(), &budget).of_much_if_any().end());
        assert_eq!([&grown, &small, &idle].map(|all| left(all)), [99, 10, 5]);
        drop((of_its_own, waiting));
    }

    #[tokio::test]
    async fn where_nobody_has_much_no_more_give_way_than_a_newcomer_may_have() {
        let budget = Arc::new(AnswerBudget::new(BYTES));
        let idle: Vec<_> = (1..=70).flat_map(|of| connections(&budget, of, 15, 16 * 1024, LONG)).collect();
        let newcomers = connections(&budget, 99, 1, 100 * 1024, LONG);
        let all = || idle.iter().chain(&newcomers);
        let waiting: Vec<_> = (0..500).map(|_| newcomers[0].waits_for(16 * 1024)).collect();
        assert!(Rooms::of(all(), &budget).of_much_if_any().end());
        assert_eq!(left(&idle), idle.len() - 10, "it has 100 KiB of 256");
        drop(waiting);
    }

    #[tokio::test]
    async fn nobody_makes_room_for_who_will_have_what_others_have_let_go_of() {
        let budget = Arc::new(AnswerBudget::new(BYTES));
        let idle = connections(&budget, 1, 10, 16 * 1024, LONG);
        let [cut_off, newcomer] = [2, 3].map(|of| Activity::taking(&budget, network(of), 0, Duration::ZERO));
        let waiting = newcomer.waits_for(64 * 1024);
        let wanted = |rooms: [Rooms; 2]| {
            let [before, after] = rooms;
            [before.of_much_if_any(), after.of_all()].map(|making_room| making_room.wanted)
        };
        let rooms = || [(); 2].map(|()| Rooms::of(idle.iter(), &budget));
        assert_eq!(wanted(rooms()), [64 * 1024, 80 * 1024]);
        // Its connection is gone, and what was at work for it is not.
        let kept = cut_off.keeps(10 * 16 * 1024 + 64 * 1024);
        assert_eq!(wanted(rooms()), [0, 0]);
        drop((kept, waiting));
    }

    #[tokio::test]
    async fn of_those_that_have_much_the_network_that_has_most_makes_room_first() {
        let budget = Arc::new(AnswerBudget::new(BYTES));
        let (office, attacker) = (
            connections(&budget, 1, 100, 16 * 1024, LONG),
            connections(&budget, 2, 800, 16 * 1024, Duration::from_secs(1)),
        );
        let all = || office.iter().chain(&attacker);
        assert_eq!(Rooms::of(all(), &budget).have_most(), &[network(2)].into());
        let waiting = attacker[0].waits_for(200 * 16 * 1024);
        assert!(Rooms::of(all(), &budget).of_much_if_any().end());
        assert_eq!([&office, &attacker].map(|all| left(all)), [100, 600]);
        drop(waiting);
    }
}
