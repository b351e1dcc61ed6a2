//! Tokens (JWT, RFC 7519) of issuers that the access file names.
//!
//! To verify a signature takes longer than all else that a request needs. So a token that was good is remembered by its hash
//! until it expires or its issuer withdraws the key that it is signed with, and only a new one is looked at: whose it is, with
//! which key of the issuer's it is signed, whom it is for, how long it holds, and what it opens.

mod claims;
mod fetch;
mod key_set;
mod signature;

use std::sync::Arc;

use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use order_api::{AllowanceOf, Caller};
use order_domain::Timestamp;
use quick_cache::sync::Cache;

use super::allowance::{Allowance, Rate};
use super::bearer::Bearer;
use super::key::SecretHash;
use claims::{Claims, IssuerClaim, LACKING};
use key_set::{KeySet, PublicKey};

pub(super) use key_set::Source;
pub(super) use signature::{ALGORITHMS, install};

/// Most subjects of an issuer whose requests are counted. Beyond that those are forgotten that have not come for longest.
const MAX_SUBJECTS: usize = 65_536;

/// What a token was signed with.
pub(super) struct Signature {
    keys: Arc<KeySet>,
    key: Arc<PublicKey>,
}

impl Signature {
    /// Whether the issuer still has that key.
    pub(super) async fn holds(&self) -> bool {
        self.keys.has(&self.key).await
    }
}

/// Somebody whose tokens are taken.
pub(super) struct Issuer {
    /// The claim `iss` of its tokens.
    pub(super) name: String,
    /// One of their claim `aud`.
    pub(super) audience: String,
    pub(super) algorithms: Vec<Algorithm>,
    /// The claim that names scopes.
    pub(super) scopes_claim: String,
    pub(super) keys: Arc<KeySet>,
    /// What stands before its subjects in events.
    pub(super) actor_prefix: String,
    rate: Option<Rate>,
    /// By the hash of each subject, which may be long.
    allowances: Arc<Cache<SecretHash, Arc<Allowance>>>,
}

/// What the file says of an issuer.
pub(super) struct IssuerEntry {
    pub(super) name: String,
    pub(super) audience: String,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) scopes_claim: String,
    pub(super) source: Source,
    pub(super) actor_prefix: String,
    pub(super) rate: Option<Rate>,
}

impl Issuer {
    pub(super) fn new(entry: IssuerEntry) -> Self {
        let IssuerEntry { name, audience, algorithms, scopes_claim, source, actor_prefix, rate } = entry;
        let keys = Arc::new(KeySet::new(source));
        let allowances = Arc::new(Cache::new(if rate.is_some() { MAX_SUBJECTS } else { 0 }));
        Self { name, audience, algorithms, scopes_claim, keys, actor_prefix, rate, allowances }
    }

    /// Takes over what its subjects have left, if it is the same issuer with the same rate.
    pub(super) fn keep_allowances_of(&mut self, before: &Self) {
        if (&self.name, self.rate) == (&before.name, before.rate) {
            self.allowances = Arc::clone(&before.allowances);
        }
    }

    /// Who bears a token of this issuer.
    ///
    /// # Errors
    /// Why it is not taken.
    async fn verify(&self, token: &str, now: Timestamp) -> Result<Bearer, &'static str> {
        let header = decode_header(token).map_err(|_| NO_TOKEN)?;
        if header.crit.is_some() {
            // It asks for what nobody here understands (RFC 7515, 4.1.11).
            return Err("The token has critical extensions.");
        }
        if !self.algorithms.contains(&header.alg) {
            return Err("The token is signed by an algorithm that is not taken from this issuer.");
        }
        let key = self.keys.find(header.kid.as_deref(), header.alg).await;
        let key = key.ok_or("The token is signed with a key that its issuer does not have.")?;
        let claims = decode::<Claims>(token, &key.key, &self.validation(header.alg)).map_err(why)?.claims;
        let expires = claims.check_times(now)?;
        let subject = claims.subject()?;
        let scopes = claims.scopes(&self.scopes_claim);
        let caller = Caller {
            credential: format!("the token of {subject}").into(),
            name: format!("{}{subject}", self.actor_prefix).into(),
            // No name of a key has the end of a line in it.
            owner: format!("{}\n{subject}", self.name).into(),
            scopes,
            expires: Some(expires),
        };
        let signature = Some(Arc::new(Signature { keys: Arc::clone(&self.keys), key }));
        Ok(Bearer { caller: Arc::new(caller), allowance: self.allowance(subject), signature })
    }

    /// Times are held against the service's own clock.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.validate_exp = false;
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&self.name]);
        validation.set_audience(&[&self.audience]);
        validation
    }

    fn allowance(&self, subject: &str) -> Option<Arc<Allowance>> {
        let rate = self.rate?;
        let made = || Ok::<_, ()>(Arc::new(Allowance::new(AllowanceOf::Caller, rate)));
        self.allowances.get_or_insert_with(&SecretHash::of(subject), made).ok()
    }
}

const NO_TOKEN: &str = "This is neither a key nor a token.";

fn why(error: jsonwebtoken::errors::Error) -> &'static str {
    let kind = error.kind();
    if matches!(kind, ErrorKind::InvalidSignature) {
        "The token's signature is not its issuer's."
    } else if matches!(kind, ErrorKind::InvalidAudience) {
        "The token is meant for another service."
    } else if matches!(kind, ErrorKind::MissingRequiredClaim(_)) {
        LACKING
    } else if matches!(kind, ErrorKind::Json(_)) {
        "One of the token's claims is not what it must be."
    } else {
        "The token cannot be verified."
    }
}

/// Who bears a token of one of these issuers.
///
/// # Errors
/// Why it is not taken.
pub(super) async fn verify(issuers: &[Issuer], token: &str, now: Timestamp) -> Result<Bearer, &'static str> {
    // What it says of itself, only to choose whose keys it is held against.
    let IssuerClaim { iss } = insecure_decode_claims(token).map_err(|_| NO_TOKEN)?;
    let issuer = issuers.iter().find(|issuer| issuer.name == iss);
    issuer.ok_or("The token is of an issuer that is not trusted here.")?.verify(token, now).await
}
