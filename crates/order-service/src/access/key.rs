//! Keys: `ok_ID_SECRET`. The file has the hash of each, so that nobody who reads it can use them.

use std::fmt::{self, Display};
use std::sync::Arc;

use order_api::{Caller, Scope, Scopes};
use order_application::rfc3339;
use order_domain::Timestamp;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::bearer::Bearer;

/// What every key begins with, so that people and scanners for secrets know one when they see it.
const PREFIX: &str = "ok_";
/// What stands before a hash in the file: which one it is.
pub(super) const HASH_PREFIX: &str = "sha256:";
/// Longest name of a key, in characters.
pub(super) const MAX_NAME_CHARS: usize = 64;
/// Longest id of a key.
pub(super) const MAX_ID_CHARS: usize = 32;
const ID_BYTES: usize = 4;
/// So many that nobody finds one by trying. It is also why a plain hash does: there is nothing to guess.
const SECRET_BYTES: usize = 32;

/// The hash of a whole key, or of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SecretHash([u8; 32]);

impl SecretHash {
    pub(super) fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Reads the hash as it stands in the file.
    pub(super) fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(HASH_PREFIX)?.as_bytes();
        let mut hash = [0; 32];
        if digits.len() != 2 * hash.len() || !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        for (byte, digits) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl Display for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{HASH_PREFIX}{}", hexadecimal(&self.0))
    }
}

/// A key of the file.
pub(super) struct Key {
    pub(super) hash: SecretHash,
    pub(super) bearer: Bearer,
}

impl Key {
    /// Whether this is the key, whose id it has. It takes as long whatever is wrong with it.
    pub(super) fn is(&self, shown: &str) -> bool {
        SecretHash::of(shown).0.ct_eq(&self.hash.0).into()
    }
}

/// Whether it looks like a key, good or not.
pub(super) fn is_key(shown: &str) -> bool {
    shown.starts_with(PREFIX)
}

/// The id in a key, which is no secret.
pub(super) fn id_of(key: &str) -> Option<&str> {
    key.strip_prefix(PREFIX)?.split_once('_').map(|(id, _)| id)
}

pub(super) fn is_id(text: &str) -> bool {
    (1..=MAX_ID_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// A key that is being made: the secret, which is shown once, and what the file gets.
pub(crate) struct KeyEntry {
    pub(crate) name: String,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) expires: Option<Timestamp>,
}

impl KeyEntry {
    /// A new key, and its lines for the file.
    ///
    /// # Errors
    /// The system has no randomness.
    pub(crate) fn make(&self) -> Result<(String, String), getrandom::Error> {
        let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut secret)?;
        let id = hexadecimal(&id);
        let key = format!("{PREFIX}{id}_{}", hexadecimal(&secret));
        let entry = self.entry(&id, SecretHash::of(&key));
        Ok((key, entry))
    }

    /// What an entry must have stands last: one that was cut off is a fault, and not a key without its end.
    fn entry(&self, id: &str, hash: SecretHash) -> String {
        let scopes: Vec<_> = self.scopes.iter().map(|scope| format!("\"{scope}\"")).collect();
        let expires = self.expires.map(|time| format!("expires = {}\n", rfc3339::format(time)));
        format!(
            "\n[[keys]]\nid = \"{id}\"\nname = {}\n{}hash = \"{hash}\"\nscopes = [{}]\n",
            toml::Value::from(self.name.as_str()),
            expires.unwrap_or_default(),
            scopes.join(", "),
        )
    }
}

/// Who bears a key.
pub(super) fn caller(id: &str, name: &str, scopes: Scopes, expires: Option<Timestamp>) -> Arc<Caller> {
    let credential = format!("the key {id}").into();
    Arc::new(Caller { credential, name: name.into(), owner: name.into(), scopes, expires })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::access::file;

    #[test]
    fn a_key_that_was_made_is_the_one_whose_hash_stands_in_its_entry() {
        let expires = rfc3339::parse_strict("2030-01-01T00:00:00Z");
        let entry =
            KeyEntry { name: "the \"shop\"".to_owned(), scopes: vec![Scope::Place, Scope::Read], expires };
        let (key, lines) = entry.make().unwrap();
        let id = id_of(&key).unwrap();
        assert_eq!(key.len(), PREFIX.len() + 8 + 1 + 64);
        let hash = SecretHash::of(&key);
        assert_eq!(
            lines,
            format!(
                "\n[[keys]]\nid = \"{id}\"\nname = 'the \"shop\"'\nexpires = 2030-01-01T00:00:00.000000Z\n\
                 hash = \"{hash}\"\nscopes = [\"place\", \"read\"]\n"
            )
        );
        assert_eq!(SecretHash::read(&hash.to_string()), Some(hash));
        assert_ne!(entry.make().unwrap().0, key);
        assert!(!lines.contains(&key[12..]), "the secret is not in the file");
    }

    #[test]
    fn an_entry_that_was_made_is_bad_wherever_it_is_cut() {
        let expires = rfc3339::parse_strict("2030-01-01T00:00:00Z");
        let (_, entry) =
            KeyEntry { name: "shop".to_owned(), scopes: vec![Scope::Read], expires }.make().unwrap();
        let is_good = |text: &str| file::read(text, Path::new("/etc/shop")).is_ok();
        assert!(is_good(&entry));
        for cut in 0..entry.len() {
            assert!(!is_good(&entry[..cut]), "{}", &entry[..cut]);
        }
    }

    #[test]
    fn only_the_very_key_opens() {
        let (key, caller) = ("ok_1_abc", caller("1", "n", Scopes::default(), None));
        let opens =
            Key { hash: SecretHash::of(key), bearer: Bearer { caller, allowance: None, signature: None } };
        assert!(opens.is(key));
        for other in ["ok_1_ab", "ok_1_abcd", "ok_2_abc", "OK_1_abc", ""] {
            assert!(!opens.is(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_hash_is_not_read() {
        let zeros = "0".repeat(64);
        assert!(SecretHash::read(&format!("sha256:{zeros}")).is_some());
        for text in
            [&zeros[..], "sha256:", &format!("sha256:{}", &zeros[1..]), &format!("sha256:{}+", &zeros[1..])]
        {
            assert_eq!(SecretHash::read(text), None, "{text}");
        }
    }
}
