use std::collections::HashMap;
use std::num::NonZeroU32;

use order_domain::Timestamp;
use quick_cache::sync::Cache;

use super::allowance::Rate;
use super::bearer::Bearer;
use super::key::{self, Key, SecretHash};
use super::token::{self, Issuer};

/// How often those may ask who show nothing good, where the file does not say: enough for somebody who tries a new key by hand.
pub(super) const STRANGER_RATE: Rate =
    Rate { per_second: NonZeroU32::MIN.saturating_add(9), burst: NonZeroU32::MIN.saturating_add(99) };

/// Most tokens that are remembered. Beyond that those are verified again that have not come for longest.
const MAX_TOKENS: usize = 65_536;

/// What a file says.
pub(super) struct Rules {
    /// By their ids.
    pub(super) keys: HashMap<String, Key>,
    pub(super) issuers: Vec<Issuer>,
    /// For each address that shows nothing good.
    pub(super) stranger_rate: Rate,
    /// Tokens that were good, and may have expired since.
    tokens: Cache<SecretHash, Bearer>,
}

impl Rules {
    pub(super) fn new(keys: HashMap<String, Key>, issuers: Vec<Issuer>, stranger_rate: Rate) -> Self {
        let tokens = Cache::new(if issuers.is_empty() { 0 } else { MAX_TOKENS });
        Self { keys, issuers, stranger_rate, tokens }
    }

    /// Who bears a key, or a token that was verified before. It may have expired.
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
        let bearer = token::verify(&self.issuers, shown, now).await?;
        self.tokens.insert(SecretHash::of(shown), bearer.clone());
        Ok(bearer)
    }

    /// Takes over what is known of issuers' keys, since an issuer may be away just now.
    pub(super) fn keep_keys_of(&mut self, before: &Self) {
        for issuer in &mut self.issuers {
            let same = before.issuers.iter().find(|known| known.keys.source == issuer.keys.source);
            if let Some(known) = same {
                issuer.keys = known.keys.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use base64::prelude::{BASE64_URL_SAFE_NO_PAD as BASE64, Engine};
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

    use super::*;
    use crate::access::file;

    const CLAIMS: &str = r#"{"iss":"i","aud":"a","sub":"alice","exp":4000000000}"#;

    /// Rules that trust an issuer, and a token of it.
    fn rules_and_token(directory: &tempfile::TempDir) -> (Rules, String) {
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap();
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (BASE64.encode(x), BASE64.encode(y));
        let set = format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}]}}"#);
        fs::write(directory.path().join("keys.json"), set).unwrap();
        let message = format!("{}.{}", BASE64.encode(r#"{"alg":"ES256"}"#), BASE64.encode(CLAIMS));
        let signature = BASE64.encode(key.sign(&random, message.as_bytes()).unwrap());
        let text = "[[issuers]]\nissuer = 'i'\naudience = 'a'\nalgorithms = ['ES256']\njwks = 'keys.json'\n";
        let rules = file::read(text, directory.path()).unwrap_or_else(|faults| panic!("{faults:?}"));
        (rules, format!("{message}.{signature}"))
    }

    #[tokio::test]
    async fn a_token_is_verified_once_and_remembered() {
        token::install();
        let directory = tempfile::tempdir().unwrap();
        let (rules, token) = rules_and_token(&directory);
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
}
