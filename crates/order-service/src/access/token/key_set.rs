//! An issuer's public keys (JWK Set, RFC 7517), kept and fetched anew when they do not do.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::http::Uri;
use jsonwebtoken::jwk::{JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use order_application::RepeatedFault;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::fetch;
use crate::settings_file::SettingsFile;

/// Between two fetches, whatever tokens say and however they end.
const LEAST_PAUSE: Duration = Duration::from_secs(10);
/// After so long they are fetched anew, so that keys which the issuer does not have any more are forgotten.
const MAX_AGE: Duration = Duration::from_secs(300);

/// Where the keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::access) enum Source {
    File(SettingsFile),
    Url(Uri),
}

impl Source {
    pub(in crate::access) fn file(path: PathBuf) -> Self {
        Self::File(SettingsFile::new(path, fetch::MAX_BYTES))
    }
}

/// The keys that are known.
pub(in crate::access) struct KeySet {
    pub(in crate::access) source: Source,
    keys: ArcSwap<Known>,
    /// When they were last asked for. Held while they are, so that one asks for all.
    asked: Mutex<Option<Instant>>,
    failing: RepeatedFault,
}

#[derive(Default)]
struct Known {
    keys: Vec<PublicKey>,
    since: Option<Instant>,
}

struct PublicKey {
    id: Option<String>,
    /// The only algorithm that it is for, where its issuer says so.
    algorithm: Option<KeyAlgorithm>,
    key: DecodingKey,
}

impl KeySet {
    pub(super) fn new(source: Source) -> Self {
        Self { source, keys: ArcSwap::default(), asked: Mutex::default(), failing: RepeatedFault::default() }
    }

    /// The key of an id, for an algorithm; without an id the only one that there is. One that is not known is asked for, unless
    /// that was done a moment ago.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Option<DecodingKey> {
        let known = self.keys.load_full();
        let found = known.find(id, algorithm);
        if found.is_none() {
            self.fetch().await;
            return self.keys.load().find(id, algorithm);
        }
        let is_old = known.since.is_none_or(|since| since.elapsed() >= MAX_AGE);
        if is_old && self.asked.try_lock().is_ok() {
            // Nobody waits for that.
            let keys = Arc::clone(self);
            tokio::spawn(async move { keys.fetch().await });
        }
        found
    }

    /// Asks for the keys. What is known stays if that fails.
    async fn fetch(&self) {
        let mut asked = self.asked.lock().await;
        if asked.is_some_and(|asked| asked.elapsed() < LEAST_PAUSE) {
            return;
        }
        let fetched = match &self.source {
            Source::File(file) => file.read().await,
            Source::Url(url) => fetch::url(url).await,
        };
        *asked = Some(Instant::now());
        match fetched.and_then(|text| read(&text)) {
            Ok(keys) => {
                if let Some(more) = self.failing.over() {
                    tracing::info!(source = %self.source, more, "the keys of an issuer are there again");
                }
                self.keys.store(Arc::new(Known { keys, since: Some(Instant::now()) }));
            }
            Err(error) if self.failing.is_news() => {
                let known = self.keys.load().keys.len();
                tracing::error!(source = %self.source, error, known, "the keys of an issuer cannot be fetched");
            }
            Err(_) => {}
        }
    }
}

impl Known {
    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let is_for = |key: &&PublicKey| {
            key.key.family() == algorithm.family()
                && key.algorithm.is_none_or(|only| only == KeyAlgorithm::from(algorithm))
        };
        let mut found = match id {
            Some(id) => self.keys.iter().filter(|key| key.id.as_deref() == Some(id)).collect::<Vec<_>>(),
            None if self.keys.len() == 1 => self.keys.iter().collect(),
            None => Vec::new(),
        };
        found.retain(is_for);
        found.first().map(|found| found.key.clone())
    }
}

/// The keys in a set that signatures can be held against. Others may be there for others.
///
/// # Errors
/// There is none: whoever answers so is not the issuer, or broken.
fn read(text: &[u8]) -> Result<Vec<PublicKey>, String> {
    let set: JwkSet =
        serde_json::from_slice(text).map_err(|error| format!("it is no set of keys: {error}"))?;
    let keys: Vec<_> = set
        .keys
        .iter()
        .filter(|key| key.common.public_key_use != Some(PublicKeyUse::Encryption))
        .filter_map(|jwk| {
            let key = DecodingKey::from_jwk(jwk).ok()?;
            let (id, algorithm) = (jwk.common.key_id.clone(), jwk.common.key_algorithm);
            (key.family() != AlgorithmFamily::Hmac).then_some(PublicKey { id, algorithm, key })
        })
        .collect();
    if keys.is_empty() { Err("there is no key in it that could be used".to_owned()) } else { Ok(keys) }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(file) => file.path().display().fmt(f),
            Self::Url(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A set with a key of that id.
    fn set(id: &str) -> String {
        let (x, y) = ("A".repeat(43), "A".repeat(43));
        format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"{id}","x":"{x}","y":"{y}"}}]}}"#)
    }

    struct InFile {
        directory: tempfile::TempDir,
        keys: Arc<KeySet>,
    }

    impl InFile {
        fn new(text: &str) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let keys = Arc::new(KeySet::new(Source::file(directory.path().join("keys.json"))));
            let file = Self { directory, keys };
            file.has(text);
            file
        }

        fn has(&self, text: &str) {
            fs::write(self.directory.path().join("keys.json"), text).unwrap();
        }

        async fn knows(&self, id: &str) -> bool {
            self.keys.find(Some(id), Algorithm::ES256).await.is_some()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_not_known_is_asked_for_and_not_again_within_ten_seconds() {
        let file = InFile::new(&set("a"));
        assert!(file.knows("a").await);
        file.has(&set("b"));
        assert!(!file.knows("b").await, "it was asked a moment ago");
        tokio::time::advance(LEAST_PAUSE).await;
        assert!(file.knows("b").await);
        assert!(!file.knows("a").await, "it is not published any more");
    }

    #[tokio::test(start_paused = true)]
    async fn known_keys_stay_while_their_issuer_is_away_or_talks_nonsense() {
        let file = InFile::new(&set("a"));
        assert!(file.knows("a").await);
        for nonsense in
            ["", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, &"[".repeat(300_000)]
        {
            file.has(nonsense);
            tokio::time::advance(LEAST_PAUSE).await;
            assert!(!file.knows("b").await);
            assert!(file.knows("a").await, "{}", &nonsense[..nonsense.len().min(20)]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_are_old_are_asked_for_again_while_they_are_used() {
        let file = InFile::new(&set("a"));
        assert!(file.knows("a").await);
        file.has(&set("b"));
        tokio::time::advance(MAX_AGE).await;
        assert!(file.knows("a").await, "nobody waits for that");
        while file.knows("a").await {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_key_is_for_the_algorithm_that_it_names() {
        let file = InFile::new(&set("a").replace(r#""kty""#, r#""alg":"ES384","kty""#));
        assert!(!file.knows("a").await);
        assert!(file.keys.find(Some("a"), Algorithm::ES384).await.is_some());
        assert!(file.keys.find(None, Algorithm::ES384).await.is_some(), "the only one");
        assert!(file.keys.find(None, Algorithm::RS256).await.is_none());
    }
}
