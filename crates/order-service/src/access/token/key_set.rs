//! An issuer's public keys (JWK Set, RFC 7517), kept and fetched anew when they do not do.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::http::Uri;
use jsonwebtoken::jwk::{JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};
use order_application::RepeatedFault;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::fetch;
use crate::settings_file::SettingsFile;

/// Between two fetches, whatever tokens say and however they end.
const LEAST_PAUSE: Duration = Duration::from_secs(10);
/// After so long they are asked for anew before they are used, so that a key which the issuer has withdrawn is not taken any more.
const MAX_AGE: Duration = Duration::from_secs(300);
/// After so long they are asked for while they are used, so that nobody has to wait where tokens come all the time.
const REFRESH_AGE: Duration = Duration::from_secs(240);

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
    /// Held while they are asked for, so that one asks for all.
    asking: Mutex<()>,
    failing: RepeatedFault,
}

#[derive(Default)]
struct Known {
    keys: Vec<Arc<PublicKey>>,
    /// When they were last asked for.
    asked: Option<Instant>,
    /// Whether that failed, and they are those from before.
    is_behind: bool,
}

/// A key of an issuer. As long as the issuer has it, it stays the same in memory.
pub(in crate::access) struct PublicKey {
    id: Option<String>,
    /// The only algorithm that it is for, where its issuer says so.
    algorithm: Option<KeyAlgorithm>,
    pub(super) key: DecodingKey,
}

/// When keys are to be asked for.
enum Due {
    Now,
    /// Nobody has to wait for that.
    Beside,
    Later,
}

impl KeySet {
    pub(super) fn new(source: Source) -> Self {
        Self { source, keys: ArcSwap::default(), asking: Mutex::default(), failing: RepeatedFault::default() }
    }

    /// The key of an id, for an algorithm; without an id the only one that there is. One that is not known is asked for, unless
    /// that was done a moment ago.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Option<Arc<PublicKey>> {
        self.freshen().await;
        let found = self.keys.load().find(id, algorithm);
        if found.is_some() {
            return found;
        }
        self.fetch().await;
        self.keys.load().find(id, algorithm)
    }

    /// Whether a key that was found is still its issuer's.
    pub(in crate::access) async fn has(self: &Arc<Self>, key: &Arc<PublicKey>) -> bool {
        self.freshen().await;
        self.keys.load().keys.iter().any(|known| Arc::ptr_eq(known, key))
    }

    /// Asks for the keys if they are old. An issuer that is away is waited for once in [`MAX_AGE`]: then what it had counts, and
    /// it is asked again beside.
    async fn freshen(self: &Arc<Self>) {
        let due = self.keys.load().due();
        match due {
            Due::Now => self.fetch().await,
            Due::Beside if self.asking.try_lock().is_ok() => {
                let keys = Arc::clone(self);
                tokio::spawn(async move { keys.fetch().await });
            }
            Due::Beside | Due::Later => {}
        }
    }

    /// Asks for the keys. What is known stays if that fails.
    async fn fetch(&self) {
        let _asking = self.asking.lock().await;
        let before = self.keys.load_full();
        if before.asked.is_some_and(|asked| asked.elapsed() < LEAST_PAUSE) {
            return;
        }
        let fetched = match &self.source {
            Source::File(file) => file.read().await,
            Source::Url(url) => fetch::url(url).await,
        };
        let (keys, is_behind) = match fetched.and_then(|text| read(&text)) {
            Ok(keys) => {
                if let Some(more) = self.failing.over() {
                    tracing::info!(source = %self.source, more, "the keys of an issuer are there again");
                }
                (keys.into_iter().map(|key| before.same_or(key)).collect(), false)
            }
            Err(error) => {
                if self.failing.is_news() {
                    let known = before.keys.len();
                    tracing::error!(source = %self.source, error, known, "the keys of an issuer cannot be fetched");
                }
                (before.keys.clone(), true)
            }
        };
        self.keys.store(Arc::new(Known { keys, asked: Some(Instant::now()), is_behind }));
    }
}

impl Known {
    fn due(&self) -> Due {
        let least = if self.is_behind { LEAST_PAUSE } else { REFRESH_AGE };
        match self.asked.map(|asked| asked.elapsed()) {
            Some(age) if age < least => Due::Later,
            Some(age) if age < MAX_AGE => Due::Beside,
            Some(_) | None => Due::Now,
        }
    }

    /// A key that is published, as it is known if it was so before.
    fn same_or(&self, key: PublicKey) -> Arc<PublicKey> {
        self.keys.iter().find(|known| known.is(&key)).cloned().unwrap_or_else(|| Arc::new(key))
    }

    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Arc<PublicKey>> {
        let is_for = |key: &&Arc<PublicKey>| {
            key.key.family() == algorithm.family()
                && key.algorithm.is_none_or(|only| only == KeyAlgorithm::from(algorithm))
        };
        let mut found = match id {
            Some(id) => self.keys.iter().filter(|key| key.id.as_deref() == Some(id)).collect::<Vec<_>>(),
            None if self.keys.len() == 1 => self.keys.iter().collect(),
            None => Vec::new(),
        };
        found.retain(is_for);
        found.first().map(|found| Arc::clone(found))
    }
}

impl PublicKey {
    /// Whether both are one: of one name, for the same, and with the same numbers.
    fn is(&self, other: &Self) -> bool {
        let are_equal = match (self.key.kind(), other.key.kind()) {
            (DecodingKeyKind::SecretOrDer(point), DecodingKeyKind::SecretOrDer(other)) => point == other,
            (
                DecodingKeyKind::RsaModulusExponent { n, e },
                DecodingKeyKind::RsaModulusExponent { n: other_n, e: other_e },
            ) => (n, e) == (other_n, other_e),
            (DecodingKeyKind::SecretOrDer(_), DecodingKeyKind::RsaModulusExponent { .. })
            | (DecodingKeyKind::RsaModulusExponent { .. }, DecodingKeyKind::SecretOrDer(_)) => false,
        };
        are_equal
            && self.id == other.id
            && self.algorithm == other.algorithm
            && self.key.family() == other.key.family()
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

/// For the output: what stands behind `?` may be a secret.
impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(file) => file.path().display().fmt(f),
            Self::Url(url) => {
                let (scheme, host) = (url.scheme_str().unwrap_or_default(), url.host().unwrap_or_default());
                let port = url.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
                write!(f, "{scheme}://{host}{port}{}", url.path())
            }
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
    async fn a_key_that_was_withdrawn_is_not_taken_after_a_quiet_spell_nor_is_what_it_has_signed() {
        let file = InFile::new(&set("a"));
        let a = file.keys.find(Some("a"), Algorithm::ES256).await.unwrap();
        file.has(&set("b"));
        tokio::time::advance(MAX_AGE).await;
        assert!(!file.keys.has(&a).await);
        assert!(!file.knows("a").await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_published_again_and_again_is_the_one_that_it_was() {
        let file = InFile::new(&set("a"));
        let a = file.keys.find(Some("a"), Algorithm::ES256).await.unwrap();
        for _ in 0..3 {
            tokio::time::advance(MAX_AGE).await;
            assert!(file.keys.has(&a).await);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_whose_name_was_given_to_another_is_not_the_one_that_it_was() {
        let file = InFile::new(&set("a"));
        let a = file.keys.find(Some("a"), Algorithm::ES256).await.unwrap();
        file.has(&set("a").replace("AAAA\"}", "AAAE\"}"));
        tokio::time::advance(MAX_AGE).await;
        assert!(!file.keys.has(&a).await);
        assert!(file.knows("a").await);
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_get_old_are_asked_for_while_they_are_used_and_nobody_waits() {
        let file = InFile::new(&set("a"));
        assert!(file.knows("a").await);
        file.has(&set("b"));
        tokio::time::advance(REFRESH_AGE).await;
        assert!(file.knows("a").await, "nobody waits for that");
        while file.knows("a").await {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_issuer_that_is_away_is_waited_for_once_and_asked_again_beside() {
        let file = InFile::new(&set("a"));
        assert!(file.knows("a").await);
        file.has("");
        tokio::time::advance(MAX_AGE).await;
        assert!(file.knows("a").await, "what it had counts");
        file.has(&set("b"));
        tokio::time::advance(LEAST_PAUSE).await;
        assert!(file.knows("a").await, "nobody waits for that");
        while file.knows("a").await {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn nothing_of_a_url_is_told_that_may_be_a_secret() {
        let told = |url: &'static str| Source::Url(Uri::from_static(url)).to_string();
        assert_eq!(told("https://us3r:PW@i:8443/keys?api_key=Q"), "https://i:8443/keys");
        assert_eq!(told("http://[::1]/?Q"), "http://[::1]/");
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
