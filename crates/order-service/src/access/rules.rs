use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use order_domain::Timestamp;

use super::allowance::{Allowance, Rate};
use super::bearer::Bearer;
use super::key::{self, Key, SecretHash};
use super::remembered::Remembered;
use super::token::{self, Issuer};

/// How often those may ask who show nothing good, where the file does not say: enough for somebody who tries a new key by hand.
pub(super) const STRANGER_RATE: Rate =
    Rate { per_second: NonZeroU32::MIN.saturating_add(9), burst: NonZeroU32::MIN.saturating_add(99) };

/// What a file says.
pub(super) struct Rules {
    /// By their ids.
    pub(super) keys: HashMap<String, Key>,
    pub(super) issuers: Vec<Issuer>,
    /// For each address that shows nothing good.
    pub(super) stranger_rate: Rate,
    /// Names of keys, which are nobody else's.
    names: HashSet<Arc<str>>,
    tokens: Remembered,
}

impl Rules {
    pub(super) fn new(keys: HashMap<String, Key>, issuers: Vec<Issuer>, stranger_rate: Rate) -> Self {
        let names = keys.values().map(|key| Arc::clone(&key.bearer.caller.name)).collect();
        Self { keys, issuers, stranger_rate, names, tokens: Remembered::new() }
    }

    /// Who bears a key, or a token that was verified before. It may have expired, or hold no more.
    pub(super) fn known(&self, shown: &str) -> Option<Bearer> {
        match key::id_of(shown) {
            // Which ids there are may be found out by the time that this takes; they are no secret.
            Some(id) => self.keys.get(id).filter(|key| key.is(shown)).map(|key| key.bearer.clone()),
            None => self.tokens.get(&SecretHash::of(shown)),
        }
    }

    /// Who bears a token that is new.
    ///
    /// # Errors
    /// Why it is not taken.
    pub(super) async fn verify(&self, shown: &str, now: Timestamp) -> Result<Bearer, &'static str> {
        if key::is_key(shown) || self.issuers.is_empty() {
            return Err("No key of this service is like this.");
        }
        let hash = SecretHash::of(shown);
        let verified = token::verify(&self.issuers, shown, now).await.and_then(|bearer| {
            // Events would not tell one from the other.
            if self.names.contains(&bearer.caller.name) { Err(NAME_OF_A_KEY) } else { Ok(bearer) }
        });
        match &verified {
            Ok(bearer) => self.tokens.insert(hash, bearer.clone()),
            Err(_) => self.tokens.forget(&hash),
        }
        verified
    }

    /// Takes over what the file does not have: how much callers have left of what they may send, and issuers' keys, since an
    /// issuer may be away just now.
    pub(super) fn keep_what_is_known_by(&mut self, before: &Self) {
        for (id, key) in &mut self.keys {
            if let (Some(known), Some(allowance)) = (before.keys.get(id), &mut key.bearer.allowance) {
                Allowance::keep(allowance, known.bearer.allowance.as_ref());
            }
        }
        for issuer in &mut self.issuers {
            if let Some(known) = before.issuers.iter().find(|known| known.keys.source == issuer.keys.source) {
                issuer.keys = known.keys.clone();
            }
            if let Some(known) = before.issuers.iter().find(|known| known.name == issuer.name) {
                issuer.keep_allowances_of(known);
            }
        }
    }
}

const NAME_OF_A_KEY: &str =
    "The token's subject has the name of a key, and events would not tell one from the other.";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use base64::prelude::{BASE64_URL_SAFE_NO_PAD as BASE64, Engine};
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

    use super::*;
    use crate::access::file;

    const CLAIMS: &str = r#"{"iss":"i","aud":"a","sub":"alice","exp":4000000000}"#;

    const ISSUER: &str =
        "[[issuers]]\nissuer = 'i'\naudience = 'a'\nalgorithms = ['ES256']\njwks = 'keys.json'\n";
    const KEY: &str = "[[keys]]\nid = 'k'\nname = 'alice'\n\
        hash = 'sha256:0000000000000000000000000000000000000000000000000000000000000000'\nscopes = ['read']\n";

    fn rules(directory: &tempfile::TempDir, text: &str) -> Rules {
        file::read(text, directory.path()).unwrap_or_else(|faults| panic!("{faults:?}"))
    }

    /// A token of the issuer, whose key is published.
    fn token(directory: &tempfile::TempDir) -> String {
        token::install();
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap();
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (BASE64.encode(x), BASE64.encode(y));
        let set = format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}]}}"#);
        fs::write(directory.path().join("keys.json"), set).unwrap();
        let message = format!("{}.{}", BASE64.encode(r#"{"alg":"ES256"}"#), BASE64.encode(CLAIMS));
        let signature = BASE64.encode(key.sign(&random, message.as_bytes()).unwrap());
        format!("{message}.{signature}")
    }

    async fn name_of(rules: &Rules, token: &str) -> Result<String, &'static str> {
        rules.verify(token, Timestamp::from_micros(0)).await.map(|bearer| bearer.caller.name.to_string())
    }

    #[tokio::test]
    async fn a_token_is_verified_once_and_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let (rules, token) = (rules(&directory, ISSUER), token(&directory));
        assert!(rules.known(&token).is_none());
        assert!(rules.verify(&token, Timestamp::from_micros(0)).await.is_ok());
        assert_eq!(
            rules.known(&token).map(|bearer| bearer.caller.name.to_string()).as_deref(),
            Some("alice")
        );
        let other = token.replace('.', "..");
        assert!(rules.verify(&other, Timestamp::from_micros(0)).await.is_err());
        assert!(rules.known(&other).is_none(), "what was refused is not remembered");
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_forgotten_whose_key_its_issuer_has_withdrawn() {
        let directory = tempfile::tempdir().unwrap();
        let (rules, old) = (rules(&directory, ISSUER), token(&directory));
        assert_eq!(name_of(&rules, &old).await.as_deref(), Ok("alice"));
        let new = token(&directory);
        let remembered = rules.known(&old).unwrap();
        assert!(remembered.holds().await, "nobody has asked since");
        tokio::time::advance(Duration::from_secs(300)).await;
        assert!(!remembered.holds().await);
        assert!(name_of(&rules, &old).await.is_err());
        assert!(rules.known(&old).is_none());
        assert_eq!(name_of(&rules, &new).await.as_deref(), Ok("alice"));
        assert!(rules.known(&new).unwrap().holds().await);
    }

    #[tokio::test]
    async fn no_subject_is_named_in_events_as_a_key_is() {
        let directory = tempfile::tempdir().unwrap();
        let token = token(&directory);
        let clashes = rules(&directory, &format!("{KEY}{ISSUER}"));
        assert_eq!(name_of(&clashes, &token).await, Err(NAME_OF_A_KEY));
        assert!(clashes.known(&token).is_none());
        let apart = rules(&directory, &format!("{KEY}{ISSUER}actor_prefix = 'login:'\n"));
        assert_eq!(name_of(&apart, &token).await.as_deref(), Ok("login:alice"));
    }

    /// How many requests of so many are let through, by rules that come after others.
    async fn left_after(change: impl Fn(&str) -> String) -> [usize; 2] {
        let directory = tempfile::tempdir().unwrap();
        let token = token(&directory);
        let rate = "rate = { per_second = 1, burst = 9 }\n";
        let prefix = "actor_prefix = 'login:'\n";
        let text = format!("{KEY}{rate}{ISSUER}{prefix}{rate}");
        let before = rules(&directory, &text);
        let mut after = rules(&directory, &change(&text));
        let mut counts = [0, 0];
        for (rules, requests) in [(None, 8), (Some(()), 9)] {
            let rules = match rules {
                None => &before,
                Some(()) => {
                    after.keep_what_is_known_by(&before);
                    &after
                }
            };
            let bearers = [
                rules.keys["k"].bearer.clone(),
                rules.verify(&token, Timestamp::from_micros(0)).await.unwrap(),
            ];
            counts = bearers.map(|bearer| (0..requests).filter(|_| bearer.spend().is_ok()).count());
        }
        counts
    }

    #[tokio::test]
    async fn other_rules_give_nobody_back_what_is_spent() {
        // Something may come back within the test.
        let is_little = |count: usize| count < 5;
        let same = left_after(|text| text.replace("scopes = ['read']", "scopes = ['place']")).await;
        assert!(same.into_iter().all(is_little), "{same:?}");
        assert_eq!(left_after(|text| text.replace("per_second = 1", "per_second = 2")).await, [9, 9]);
        let [key, subject] = left_after(|text| text.replacen("per_second = 1", "per_second = 2", 1)).await;
        assert!(key == 9 && is_little(subject), "{key} {subject}");
    }
}
