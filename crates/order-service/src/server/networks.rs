//! How much each network has of what all share.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// How many places each network has: an address, or a /64 of IPv6.
#[derive(Default)]
pub(super) struct PlacesByNetwork {
    of: HashMap<IpAddr, usize>,
    /// How many networks have so many.
    with: BTreeMap<usize, usize>,
}

impl PlacesByNetwork {
    pub(super) fn of(&self, network: IpAddr) -> usize {
        self.of.get(&network).copied().unwrap_or(0)
    }

    /// Whether it has some, and no network has [more](magnitude).
    pub(super) fn has_most(&self, network: IpAddr) -> bool {
        let most = self.with.last_key_value().map_or(0, |(most, _)| *most);
        let has = self.of(network);
        has > 0 && magnitude(has) == magnitude(most)
    }

    pub(super) fn add(&mut self, network: IpAddr) {
        self.set(network, self.of(network) + 1);
    }

    pub(super) fn remove(&mut self, network: IpAddr) {
        self.set(network, self.of(network).saturating_sub(1));
    }

    fn set(&mut self, network: IpAddr, now: usize) {
        let before = if now > 0 { self.of.insert(network, now) } else { self.of.remove(&network) };
        if let Some(before) = before
            && let Some(networks) = self.with.get_mut(&before)
        {
            *networks -= 1;
            if *networks == 0 {
                self.with.remove(&before);
            }
        }
        if now > 0 {
            *self.with.entry(now).or_default() += 1;
        }
    }
}

/// Networks of one magnitude have about as much; twice as much is the next one. Of two networks, one that has hardly more is not to give
/// way for that alone: its busiest connection would have to go before all idle ones of the other.
pub(super) fn magnitude(amount: usize) -> u32 {
    usize::BITS - amount.leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_most_is_known_at_any_time_and_who_has_nothing_is_forgotten() {
        let [many, few, none] = [1, 2, 3].map(|number| IpAddr::from([192, 0, 2, number]));
        let mut places = PlacesByNetwork::default();
        assert!(!places.has_most(none), "nobody has any");
        (0..4).for_each(|_| places.add(many));
        places.add(few);
        assert_eq!([many, few, none].map(|network| places.of(network)), [4, 1, 0]);
        assert_eq!([many, few, none].map(|network| places.has_most(network)), [true, false, false]);
        places.remove(many);
        places.add(few);
        assert!(places.has_most(many) && places.has_most(few), "about as many");
        for network in [many, many, many, few, few] {
            places.remove(network);
        }
        assert!(places.of.is_empty() && places.with.is_empty());
    }
}
