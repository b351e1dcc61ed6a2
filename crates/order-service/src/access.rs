//! `--access`: who may do what, by a file that its operator owns.
//!
//! A request's way: [`FileAccess::admit`] finds the key that is shown among the [`Rules`] in force, and takes the request off
//! the key's [`Allowance`]. One that shows nothing good is taken off what its address may send. [`reload`] puts other rules in
//! force when the file changes; nobody waits for that, nor does a request wait for another.

mod address;
mod allowance;
mod file;
mod key;
mod members;
mod options;
mod reload;
mod rules;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use order_api::{Access, AccessRequest, Caller, NotAdmitted, Scope};
use order_application::Clock;
use order_domain::Timestamp;
use tokio::sync::watch;

use address::Addresses;
use rules::Rules;

pub(crate) use file::{name as key_name, scope};
pub(crate) use key::KeyEntry;
pub(crate) use options::AccessOptions;
pub(crate) use reload::check;

/// Longest time that an open feed goes unchecked: its reader's time may come while the machine sleeps, which no timer sees.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// The rules of a file.
pub(crate) struct FileAccess {
    path: PathBuf,
    /// What the file had at first.
    opened: String,
    rules: ArcSwap<Rules>,
    addresses: Addresses,
    clock: Arc<dyn Clock>,
    /// Told when other rules are in force.
    changed: watch::Sender<()>,
}

impl FileAccess {
    /// Who shows this token.
    fn identify(&self, token: Option<&str>) -> Result<Arc<Caller>, NotAdmitted> {
        let token = token.ok_or(NotAdmitted::Nobody)?;
        let rules = self.rules.load();
        let key = rules.key(token).ok_or(NotAdmitted::BadToken("No key of this service is like this."))?;
        if time_until(key.caller.expires, self.clock.now()).is_none() {
            return Err(NotAdmitted::BadToken("The key has expired."));
        }
        key.spend()?;
        Ok(Arc::clone(&key.caller))
    }
}

#[async_trait]
impl Access for FileAccess {
    async fn admit(&self, request: AccessRequest<'_>) -> Result<Arc<Caller>, NotAdmitted> {
        let identified = self.identify(request.token);
        match &identified {
            Err(NotAdmitted::Nobody | NotAdmitted::BadToken(_)) => {
                self.addresses.spend(&request, self.rules.load().stranger_rate)?;
            }
            Ok(_) | Err(NotAdmitted::TooMany(_)) => {}
        }
        identified
    }

    async fn shut_out(&self, token: &str, scope: Scope) {
        let mut changed = self.changed.subscribe();
        loop {
            let expires = match self.rules.load().key(token) {
                Some(key) if key.caller.scopes.contain(scope) => key.caller.expires,
                Some(_) | None => return,
            };
            let Some(left) = time_until(expires, self.clock.now()) else { return };
            // Both mean: look again.
            let _ = tokio::time::timeout(left.min(LOOK_AGAIN), changed.changed()).await;
        }
    }
}

/// How long something is good that expires then; `None` if it is over.
fn time_until(expires: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let Some(expires) = expires else { return Some(Duration::MAX) };
    let micros = u64::try_from(expires.as_micros().saturating_sub(now.as_micros())).ok()?;
    Some(Duration::from_micros(micros)).filter(|left| !left.is_zero())
}
