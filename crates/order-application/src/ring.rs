//! Those whose turn comes round.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Keys in the order of their turns, each with something that waits for it.
pub struct Ring<K, V> {
    /// By the numbers of their turns.
    turns: BTreeMap<u64, K>,
    /// Each with the number of its turn.
    members: HashMap<K, (u64, V)>,
    last_turn: u64,
}

impl<K, V> Default for Ring<K, V> {
    fn default() -> Self {
        Self { turns: BTreeMap::new(), members: HashMap::new(), last_turn: 0 }
    }
}

impl<K: Copy + Eq + Hash, V: Default> Ring<K, V> {
    /// Whether nothing waits for anybody.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// For how many keys something waits.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// What waits for a key, if there is something.
    pub fn get(&mut self, key: K) -> Option<&mut V> {
        self.members.get_mut(&key).map(|(_, value)| value)
    }

    /// What waits for a key. One that is new is the last whose turn comes.
    pub fn entry(&mut self, key: K) -> &mut V {
        let Self { turns, members, last_turn } = self;
        let (_, value) = members.entry(key).or_insert_with(|| {
            *last_turn += 1;
            turns.insert(*last_turn, key);
            (*last_turn, V::default())
        });
        value
    }

    /// Nothing waits for a key any more.
    pub fn remove(&mut self, key: K) {
        if let Some((turn, _)) = self.members.remove(&key) {
            self.turns.remove(&turn);
        }
    }

    /// Gives whoever is next its turn. `take` says what it takes, and whether nothing waits any more; if something does, its turn
    /// comes again after everybody else's.
    pub fn turn<T>(&mut self, take: impl FnOnce(&mut V) -> (T, bool)) -> Option<T> {
        let (_, key) = self.turns.pop_first()?;
        let (turn, value) = self.members.get_mut(&key)?;
        let (taken, is_over) = take(value);
        if is_over {
            self.members.remove(&key);
        } else {
            self.last_turn += 1;
            *turn = self.last_turn;
            self.turns.insert(self.last_turn, key);
        }
        Some(taken)
    }
}
