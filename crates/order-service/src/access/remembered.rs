//! Tokens that were good, which are not verified again.

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::bearer::Bearer;
use super::key::SecretHash;

/// Most tokens that are remembered. Beyond that those are verified again that have not come for longest.
const MAX_TOKENS: usize = 65_536;
/// Most bytes that they take: names are as long as an issuer makes them.
const MAX_BYTES: u64 = 32 * 1024 * 1024;
/// What one takes besides its names: its hash, its place, its bearer, and what allocations cost.
const BYTES_OF_ONE: u64 = 512;

/// By the hash of each. They may have expired since, and their keys been withdrawn.
pub(super) struct Remembered(Cache<SecretHash, Bearer, ByNames>);

#[derive(Clone)]
struct ByNames;

impl Weighter<SecretHash, Bearer> for ByNames {
    fn weight(&self, _: &SecretHash, bearer: &Bearer) -> u64 {
        let caller = &bearer.caller;
        BYTES_OF_ONE + (caller.credential.len() + caller.name.len() + caller.owner.len()) as u64
    }
}

impl Remembered {
    /// None yet.
    pub(super) fn new() -> Self {
        Self(Cache::with_weighter(MAX_TOKENS, MAX_BYTES, ByNames))
    }

    pub(super) fn get(&self, hash: &SecretHash) -> Option<Bearer> {
        self.0.get(hash)
    }

    pub(super) fn insert(&self, hash: SecretHash, bearer: Bearer) {
        self.0.insert(hash, bearer);
    }

    pub(super) fn forget(&self, hash: &SecretHash) {
        self.0.remove(hash);
    }
}

#[cfg(test)]
mod tests {
    use order_api::Scopes;

    use super::*;
    use crate::access::key;

    fn bearer(name: &str) -> Bearer {
        Bearer { caller: key::caller("1", name, Scopes::default(), None), allowance: None, signature: None }
    }

    #[test]
    fn as_many_are_remembered_as_there_are_bytes_for() {
        for (name, fewest) in [("alice".to_owned(), 50_000), ("\u{1f600}".repeat(255), 10_000)] {
            let (remembered, bearer) = (Remembered::new(), bearer(&name));
            for number in 0..fewest * 3 / 2 {
                remembered.insert(SecretHash::of(&number.to_string()), bearer.clone());
            }
            let known = remembered.0.len();
            assert!(known >= fewest, "{known}");
            let bytes = known * (BYTES_OF_ONE as usize + 2 * name.len());
            assert!(bytes <= MAX_BYTES as usize, "{known} take {bytes} bytes");
        }
    }
}
