//! `--access`: who may do what, by a file that its operator owns.
//!
//! A request's way: [`FileAccess::admit`] finds the key or token that is shown among the [`Rules`] in force, and takes the request
//! off what its [`Bearer`] may send. One that shows nothing good is taken off what its address may send. [`reload`] puts other rules in
//! force when the file changes; nobody waits for that, nor does a request wait for another.

mod address;
mod allowance;
mod bearer;
mod file;
mod forwarded;
mod issuers;
mod key;
mod members;
mod name;
mod options;
mod reload;
mod remembered;
mod rules;
mod token;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use order_api::{Access, AccessRequest, Caller, NotAdmitted, Scope};
use order_application::Clock;
use order_domain::Timestamp;
use tokio::sync::watch;

use address::Addresses;
use bearer::Bearer;
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
    /// Whether the file is bad now, and `rules` are those before.
    is_bad: AtomicBool,
    addresses: Addresses,
    clock: Arc<dyn Clock>,
    /// Told when other rules are in force.
    changed: watch::Sender<()>,
}

impl FileAccess {
    /// Whether what the file has now cannot be put in force.
    pub(crate) fn is_bad(&self) -> bool {
        self.is_bad.load(Ordering::Relaxed)
    }

    /// Who shows this key or token, which is good at this moment.
    ///
    /// # Errors
    /// Why it opens nothing.
    async fn identify(&self, shown: &str) -> Result<Bearer, &'static str> {
        let known = self.rules.load().known(shown);
        let bearer = match known {
            Some(bearer) if bearer.holds().await => bearer,
            Some(_) | None => self.rules.load_full().verify(shown, self.clock.now()).await?,
        };
        match time_until(bearer.caller.expires, self.clock.now()) {
            Some(_) => Ok(bearer),
            None => Err("The key or token has expired."),
        }
    }
}

#[async_trait]
impl Access for FileAccess {
    async fn admit(&self, request: AccessRequest<'_>) -> Result<Arc<Caller>, NotAdmitted> {
        let identified = match request.token {
            Some(shown) => self.identify(shown).await.map_err(NotAdmitted::BadToken),
            None => Err(NotAdmitted::Nobody),
        };
        match identified {
            Ok(bearer) => bearer.spend().map(|()| bearer.caller),
            Err(refusal) => {
                self.addresses.spend(&request, self.rules.load().stranger_rate)?;
                Err(refusal)
            }
        }
    }

    async fn shut_out(&self, token: &str, scope: Scope) {
        let mut changed = self.changed.subscribe();
        loop {
            let Ok(Bearer { caller, .. }) = self.identify(token).await else { return };
            if !caller.scopes.contain(scope) {
                return;
            }
            let Some(left) = time_until(caller.expires, self.clock.now()) else { return };
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
