//! What is kept of a command that was accepted and came with a key of its sender's (`Idempotency-Key`): enough to answer a
//! repetition as the first was answered.

use order_domain::{OrderId, Timestamp};
use sha2::{Digest, Sha256};

use crate::event::Version;

/// What a command was answered with that was accepted under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The key, with whom it belongs to.
    pub key: ReceiptKey,
    /// What was asked for under it.
    pub fingerprint: Fingerprint,
    /// The order, whose id the service may have made.
    pub order_id: OrderId,
    /// Its version after the command.
    pub version: Version,
    /// What kind of answer it was.
    pub answer: AnswerKind,
    /// When it was given. Receipts are deleted by their age.
    pub answered_at: Timestamp,
}

/// How an accepted command is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// With the id of a new order.
    Placed,
    /// In one word.
    Accepted,
}

impl AnswerKind {
    /// Its name, in which it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Accepted => "accepted",
        }
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Placed, Self::Accepted].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A key that a client has given a command, with whose key it is: the same key of two clients is two keys.
///
/// It is a digest of both, so that a look-up costs the same for keys of any length, and no store shows what they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptKey([u8; DIGEST_BYTES]);

impl ReceiptKey {
    /// The key of an owner, or of those of whom nobody knows who they are.
    pub fn new(owner: Option<&str>, key: &str) -> Self {
        match owner {
            Some(owner) => Self(digest(&[owner.as_bytes(), key.as_bytes()])),
            None => Self(digest(&[key.as_bytes()])),
        }
    }

    /// The key that was stored as these bytes.
    pub const fn stored(bytes: [u8; DIGEST_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn as_bytes(&self) -> &[u8; DIGEST_BYTES] {
        &self.0
    }
}

/// What tells a request from every other: who sends a key again means the same request, or has made a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; DIGEST_BYTES]);

impl Fingerprint {
    /// The fingerprint of a request with these parts. Where one ends and the next begins makes a difference.
    pub fn of(parts: &[&[u8]]) -> Self {
        Self(digest(parts))
    }

    /// The fingerprint that was stored as these bytes.
    pub const fn stored(bytes: [u8; DIGEST_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn as_bytes(&self) -> &[u8; DIGEST_BYTES] {
        &self.0
    }
}

/// Half of a SHA-256: nobody finds a key that is taken for another's, and an index of them is half as large.
const DIGEST_BYTES: usize = 16;

fn digest(parts: &[&[u8]]) -> [u8; DIGEST_BYTES] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut digest = [0; DIGEST_BYTES];
    digest.copy_from_slice(&hash.finalize()[..DIGEST_BYTES]);
    digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_its_owner_and_nobody_is_no_owner() {
        let keys = [
            ReceiptKey::new(None, "a"),
            ReceiptKey::new(Some(""), "a"),
            ReceiptKey::new(Some("a"), ""),
            ReceiptKey::new(Some("x"), "a"),
            ReceiptKey::new(Some("xa"), ""),
            ReceiptKey::new(None, "xa"),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key), "{index}");
        }
        assert_eq!(ReceiptKey::new(Some("x"), "a"), ReceiptKey::new(Some("x"), "a"));
    }

    #[test]
    fn a_fingerprint_tells_where_parts_end() {
        assert_ne!(Fingerprint::of(&[b"ab", b"c"]), Fingerprint::of(&[b"a", b"bc"]));
        assert_ne!(Fingerprint::of(&[b"a"]), Fingerprint::of(&[b"a", b""]));
        assert_eq!(Fingerprint::of(&[b"a", b"b"]), Fingerprint::of(&[b"a", b"b"]));
    }
}
