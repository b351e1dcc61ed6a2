use std::collections::HashMap;
use std::num::NonZeroU32;

use super::allowance::Rate;
use super::key::{self, Key};

/// How often those may ask who show nothing good, where the file does not say: enough for somebody who tries a new key by hand.
pub(super) const STRANGER_RATE: Rate =
    Rate { per_second: NonZeroU32::MIN.saturating_add(9), burst: NonZeroU32::MIN.saturating_add(99) };

/// What a file says.
pub(super) struct Rules {
    /// By their ids.
    pub(super) keys: HashMap<String, Key>,
    /// For each address that shows nothing good.
    pub(super) stranger_rate: Rate,
}

impl Rules {
    /// The key that is shown, if it is one of them.
    pub(super) fn key(&self, shown: &str) -> Option<&Key> {
        // Which ids there are may be found out by the time that this takes; they are no secret.
        self.keys.get(key::id_of(shown)?).filter(|key| key.is(shown))
    }
}
