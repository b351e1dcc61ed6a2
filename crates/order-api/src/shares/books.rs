//! Who holds how much.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::{Call, NotGiven};
use crate::asked_by::{AskedBy, Asker};

/// Where shares come in portions, a connection has at most so many times what it leaves free, and a network so many times: each
/// next client finds some, however many there are, and a lone one has nearly all (A. K. Choudhury and E. L. Hahne, *Dynamic Queue
/// Length Thresholds*, 1998). Who has nothing yet may have what there is.
const CONNECTION_PORTION: usize = 2;
const NETWORK_PORTION: usize = 8;
/// Growing by less is no progress.
const LEAST_PROGRESS: usize = 1024;
/// How many are looked at to find one that gives way.
const MOST_LOOKED_AT: usize = 64;
/// How many are looked at to find answers that lie there untaken, and how long not again after that: thousands may want some at
/// once.
const MOST_LOOKED_THROUGH: usize = 4096;
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// How long a client may take to notice that a share was called in. After that it is hung up on.
const MAX_NOTICE: Duration = Duration::from_secs(1);

/// See [`Shares`](super::Shares).
pub(super) struct Books {
    limit: usize,
    is_portioned: bool,
    taken: usize,
    /// The last share's number.
    count: u64,
    /// By number.
    held: HashMap<u64, Held>,
    /// Numbers by connection, the newest last.
    of_connections: BTreeSet<(u64, u64)>,
    networks: Sums<IpAddr>,
    /// The connections of each.
    connections: HashMap<IpAddr, Sums<u64>>,
    /// Shares by their last progress.
    by_progress: BTreeSet<(Instant, u64)>,
    /// Shares that were called in, and are not given up yet, by number.
    leaving: HashMap<u64, Leaving>,
    /// When answers that lie there untaken were last looked for.
    looked: Option<Instant>,
}

struct Held {
    asked_by: Option<AskedBy>,
    amount: usize,
    progress: Instant,
    /// The amount then.
    progress_amount: usize,
    call: Weak<Call>,
}

struct Leaving {
    since: Instant,
    asked_by: AskedBy,
}

impl Books {
    pub(super) fn new(limit: usize, is_portioned: bool) -> Self {
        Self {
            limit,
            is_portioned,
            taken: 0,
            count: 0,
            held: HashMap::new(),
            of_connections: BTreeSet::new(),
            networks: Sums::default(),
            connections: HashMap::new(),
            by_progress: BTreeSet::new(),
            leaving: HashMap::new(),
            looked: None,
        }
    }

    /// How much is held, of how much.
    pub(super) fn taken_of(&self) -> (usize, usize) {
        (self.taken, self.limit)
    }

    /// Enters a share; the answer is its number.
    pub(super) fn open(
        &mut self,
        asked_by: Option<&AskedBy>,
        call: &Arc<Call>,
        amount: usize,
        spared: usize,
    ) -> Result<u64, NotGiven> {
        self.has_room(asked_by.map(AskedBy::asker), None, amount, spared)?;
        self.count += 1;
        let (number, progress) = (self.count, Instant::now());
        let (asked_by, call) = (asked_by.cloned(), Arc::downgrade(call));
        self.of_connections.extend(asked_by.as_ref().map(|asked_by| (asked_by.0.number(), number)));
        self.held.insert(number, Held { asked_by, amount: 0, progress, progress_amount: 0, call });
        self.by_progress.insert((progress, number));
        self.add(number, amount);
        Ok(number)
    }

    /// Makes a share of so much in all, if it is not already.
    pub(super) fn grow(&mut self, number: u64, amount: usize, spared: usize) -> Result<(), NotGiven> {
        let held = self.held.get(&number).ok_or(NotGiven::CalledIn)?;
        let asker = held.asker();
        let Some(more) = amount.checked_sub(held.amount) else { return Ok(()) };
        self.has_room(asker, Some(number), amount, spared)?;
        self.add(number, more);
        Ok(())
    }

    /// Whether a share, or a new one, could be of so much in all, and leave `spared` to others.
    pub(super) fn has_room(
        &self,
        asker: Option<Asker>,
        number: Option<u64>,
        amount: usize,
        spared: usize,
    ) -> Result<(), NotGiven> {
        let own = number.and_then(|number| self.held.get(&number)).map_or(0, |held| held.amount);
        let more = amount.saturating_sub(own);
        let limit = self.limit.saturating_sub(spared);
        let free = limit.checked_sub(self.taken.saturating_add(more)).ok_or(NotGiven::Short)?;
        let Some(asker) = asker.filter(|_| self.is_portioned) else { return Ok(()) };
        let is_within = |sum: usize, portion: usize| sum == own || sum + more <= free.saturating_mul(portion);
        if !is_within(self.of_connection(asker), CONNECTION_PORTION) {
            return Err(NotGiven::HasMuch);
        }
        if is_within(self.networks.of(asker.network), NETWORK_PORTION) {
            Ok(())
        } else {
            Err(NotGiven::Short)
        }
    }

    fn add(&mut self, number: u64, more: usize) {
        let Some(held) = self.held.get_mut(&number) else { return };
        held.amount += more;
        self.taken += more;
        if let Some(Asker { network, connection }) = held.asker() {
            self.connections.entry(network).or_default().add(connection, more);
            self.networks.add(network, more);
        }
        if held.amount - held.progress_amount >= LEAST_PROGRESS {
            self.by_progress.remove(&(held.progress, number));
            (held.progress, held.progress_amount) = (Instant::now(), held.amount);
            self.by_progress.insert((held.progress, number));
        }
    }

    /// From now on a share is not among those that are still.
    pub(super) fn settle(&mut self, number: u64) {
        if let Some(held) = self.held.get(&number) {
            self.by_progress.remove(&(held.progress, number));
        }
    }

    /// Strikes a share out, if it still stands here. Nobody has it any more.
    pub(super) fn close(&mut self, number: u64) {
        if self.remove(number).is_none() {
            self.leaving.remove(&number);
        }
    }

    /// How many were called in, and are not given up yet.
    #[cfg(test)]
    pub(super) fn leaving(&self) -> usize {
        self.leaving.len()
    }

    fn remove(&mut self, number: u64) -> Option<Held> {
        let held = self.held.remove(&number)?;
        self.by_progress.remove(&(held.progress, number));
        self.taken -= held.amount;
        if let Some(Asker { network, connection }) = held.asker() {
            self.of_connections.remove(&(connection, number));
            self.networks.subtract(network, held.amount);
            if let Some(connections) = self.connections.get_mut(&network) {
                connections.subtract(connection, held.amount);
            }
            if self.networks.of(network) == 0 {
                self.connections.remove(&network);
            }
        }
        Some(held)
    }

    /// Strikes a share out and tells whoever has it. Clients that have not noticed for long are hung up on.
    pub(super) fn call_in(&mut self, number: u64) -> bool {
        let Some(held) = self.remove(number) else { return false };
        if let Some(call) = held.call.upgrade() {
            call.make();
        }
        let late = self.leaving.values().filter(|leaving| leaving.since.elapsed() > MAX_NOTICE);
        late.for_each(|leaving| leaving.asked_by.0.hang_up());
        if let Some(asked_by) = held.asked_by {
            self.leaving.insert(number, Leaving { since: Instant::now(), asked_by });
        }
        true
    }

    /// The share that has made no progress for longest, and for at least so long; of the asker's network, or of one that has no less.
    pub(super) fn stillest(&self, asker: Option<Asker>, least: Duration) -> Option<u64> {
        let own = asker.map_or(0, |asker| self.networks.of(asker.network));
        let has_no_less = |number: &u64| {
            let holder = self.held.get(number).and_then(Held::asker);
            holder.is_none_or(|holder| self.networks.of(holder.network) >= own)
        };
        let still = self.by_progress.iter().take_while(|(progress, _)| progress.elapsed() >= least);
        still.take(MOST_LOOKED_AT).map(|(_, number)| *number).find(has_no_less)
    }

    /// The newest share of whoever has most, if that is at least two more than the asker has: of a connection of another network,
    /// or of the asker's own. Afterwards it has as much as the asker or more, so nobody who has given way can have that undone by
    /// asking again.
    pub(super) fn newest_of_most(&self, asker: Asker) -> Option<u64> {
        let (most, network) = self.networks.most()?;
        let is_of_another = most >= self.networks.of(asker.network) + 2;
        let network = if is_of_another { network } else { asker.network };
        let (most, connection) = self.connections.get(&network)?.most()?;
        if !is_of_another && most < self.of_connection(asker) + 2 {
            return None;
        }
        self.numbers_of(connection).next_back()
    }

    /// Strikes out shares whose answers lie there untaken for at least so long, until there is room for another of so much, or for the
    /// one with this number to be of so much: of whoever has most, and of no network that has less than the asker's. Whose they were.
    pub(super) fn take_from_untaken(
        &mut self,
        asker: Option<Asker>,
        number: Option<u64>,
        amount: usize,
        least: Duration,
    ) -> Vec<AskedBy> {
        let own = asker.map_or(0, |asker| self.networks.of(asker.network));
        let mut ended = Vec::new();
        for untaken in self.untaken(own, amount, least) {
            if self.has_room(asker, number, amount, 0).is_ok() {
                break;
            }
            if number != Some(untaken) {
                ended.extend(self.remove(untaken).and_then(|held| held.asked_by));
            }
        }
        ended
    }

    /// Strikes out so many shares whose answers lie there untaken for at least so long. Whose they were.
    pub(super) fn strike_out_untaken(&mut self, count: usize, least: Duration) -> Vec<AskedBy> {
        let untaken = self.untaken(0, count, least).into_iter().take(count);
        untaken.filter_map(|number| self.remove(number)?.asked_by).collect()
    }

    /// Shares whose answers lie there untaken for at least so long, until they are of so much together. Networks that have most come
    /// first, and connections in them, and none of a network that has less than `own`.
    fn untaken(&mut self, own: usize, amount: usize, least: Duration) -> Vec<u64> {
        let mut found = Vec::new();
        if self.looked.is_some_and(|looked| looked.elapsed() < LOOK_PAUSE) {
            return found;
        }
        self.looked = Some(Instant::now());
        let networks = self.networks.ranking.iter().rev().take_while(|(has, _)| *has >= own);
        let connections = networks.filter_map(|(_, network)| self.connections.get(network));
        let connections = connections.flat_map(|sums| sums.ranking.iter().rev());
        let numbers = connections.flat_map(|(_, connection)| self.numbers_of(*connection));
        let mut sum = 0;
        for number in numbers.take(MOST_LOOKED_THROUGH) {
            if sum >= amount {
                break;
            }
            let Some(held) = self.held.get(&number) else { continue };
            let untaken = held.asked_by.as_ref().and_then(|holder| holder.0.untaken_for());
            if untaken.is_some_and(|untaken| untaken >= least) {
                found.push(number);
                sum += held.amount;
            }
        }
        found
    }

    /// The shares of a connection, the newest last.
    fn numbers_of(&self, connection: u64) -> impl DoubleEndedIterator<Item = u64> {
        let all = (connection, 0)..=(connection, u64::MAX);
        self.of_connections.range(all).map(|(_, number)| *number)
    }

    fn of_connection(&self, asker: Asker) -> usize {
        self.connections.get(&asker.network).map_or(0, |sums| sums.of(asker.connection))
    }
}

impl Held {
    fn asker(&self) -> Option<Asker> {
        self.asked_by.as_ref().map(AskedBy::asker)
    }
}

/// How much each has, of those that have something.
struct Sums<K> {
    amounts: HashMap<K, usize>,
    /// The one with the most last.
    ranking: BTreeSet<(usize, K)>,
}

impl<K> Default for Sums<K> {
    fn default() -> Self {
        Self { amounts: HashMap::new(), ranking: BTreeSet::new() }
    }
}

impl<K: Copy + Hash + Ord> Sums<K> {
    fn of(&self, key: K) -> usize {
        self.amounts.get(&key).copied().unwrap_or(0)
    }

    fn add(&mut self, key: K, amount: usize) {
        self.set(key, self.of(key) + amount);
    }

    fn subtract(&mut self, key: K, amount: usize) {
        self.set(key, self.of(key) - amount);
    }

    fn set(&mut self, key: K, amount: usize) {
        self.ranking.remove(&(self.of(key), key));
        if amount == 0 {
            self.amounts.remove(&key);
        } else {
            self.amounts.insert(key, amount);
            self.ranking.insert((amount, key));
        }
    }

    fn most(&self) -> Option<(usize, K)> {
        self.ranking.last().copied()
    }
}
