//! Puts other rules in force when the file changes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use order_application::Clock;
use order_domain::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::address::Addresses;
use super::rules::Rules;
use super::{FileAccess, file, time_until, token};
use crate::settings_file::{self, Looks, SettingsFile};
use crate::{counted, secrets};

/// Between two looks at the file.
const PERIOD: Duration = Duration::from_millis(400);
/// Longest file: some thousand keys.
const MAX_FILE_BYTES: usize = 1024 * 1024;

/// What the file has, or why it cannot be read.
type Look = Result<String, String>;

impl FileAccess {
    /// Takes the rules of a file.
    ///
    /// # Errors
    /// Every fault of the file, each with its line.
    pub(super) fn open(
        path: &Path,
        trusted_proxies: Vec<IpNet>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, Vec<String>> {
        token::install();
        let (text, rules) = read(path)?;
        Ok(Arc::new(Self {
            path: path.to_owned(),
            opened: text,
            rules: ArcSwap::from_pointee(rules),
            is_bad: AtomicBool::new(false),
            addresses: Addresses::new(trusted_proxies),
            clock,
            changed: watch::Sender::default(),
        }))
    }

    /// Looks at the file again and again, until it is to stop.
    pub(crate) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut looks = Looks::after(Ok(self.opened.clone()));
        let file = SettingsFile::new(self.path.clone(), MAX_FILE_BYTES);
        while stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
            let Some(found) = stop.run_until_cancelled(file.read()).await else { return };
            let found = found.and_then(text);
            if let Some(other) = looks.other(found) {
                self.take(other);
            }
        }
    }

    /// Puts what was found in force, if it is good.
    fn take(&self, found: &Look) {
        let read = found
            .as_ref()
            .map_err(|fault| vec![fault.clone()])
            .and_then(|text| file::read(text, directory(&self.path)));
        let file = self.path.display();
        self.is_bad.store(read.is_err(), Ordering::Relaxed);
        match read {
            Ok(mut rules) => {
                rules.keep_what_is_known_by(&self.rules.load());
                let (keys, issuers) = (rules.keys.len(), rules.issuers.len());
                tracing::info!(%file, keys, issuers, "the access file has changed, and is in force");
                self.rules.store(Arc::new(rules));
                self.changed.send_replace(());
            }
            Err(faults) => {
                let faults = secrets::without_passwords(&faults.join("; "));
                tracing::error!(%file, faults, "the access file is bad: the rules before it stay in force");
            }
        }
    }
}

/// What is in a file, in a word for people. Keys that have expired are named, by their ids.
///
/// # Errors
/// Every fault of the file, each with its line.
pub(crate) fn check(path: &Path, now: Timestamp) -> Result<String, Vec<String>> {
    read(path).map(|(_, Rules { keys, issuers, .. })| {
        let counted = [(keys.len(), "key"), (issuers.len(), "issuer")];
        let counted = counted.map(|(count, what)| counted::counted(count as u64, what)).join(", ");
        let expired = keys.iter().filter(|(_, key)| time_until(key.bearer.caller.expires, now).is_none());
        let mut expired: Vec<_> = expired.map(|(id, _)| id.as_str()).collect();
        expired.sort_unstable();
        if expired.is_empty() { counted } else { format!("{counted}; expired: {}", expired.join(", ")) }
    })
}

fn read(path: &Path) -> Result<(String, Rules), Vec<String>> {
    let named = |fault: String| format!("{}: {fault}", path.display());
    let text =
        settings_file::read(path, MAX_FILE_BYTES).and_then(text).map_err(|fault| vec![named(fault)])?;
    match file::read(&text, directory(path)) {
        Ok(rules) => Ok((text, rules)),
        Err(faults) => Err(faults.into_iter().map(named).collect()),
    }
}

/// Where the paths in a file begin.
fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn text(bytes: Vec<u8>) -> Look {
    String::from_utf8(bytes).map_err(|_| "it is no valid UTF-8".to_owned())
}
