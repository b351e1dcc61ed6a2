use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{ArgAction, Args};
use ipnet::IpNet;
use order_application::SystemClock;

use super::FileAccess;
use crate::cli::Failure;
use crate::listen::ListenAddress;

/// Who may do what.
#[derive(Debug, Args)]
pub(crate) struct AccessOptions {
    /// Who may do what, by this file of keys (`order-service keys create` makes them). It is looked at again when it changes.
    /// Without it everybody who reaches the service may do everything, and only this machine reaches it.
    #[arg(long, value_name = "FILE")]
    access: Option<PathBuf>,
    /// Listen for other machines without `access`: somebody else guards the door.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    open_access: bool,
    /// Believe what proxies of these addresses (`10.0.0.0/8`) say of whom they ask for. May be given several times; in the
    /// environment they are separated by spaces.
    #[arg(long, value_name = "CIDR", value_delimiter = ' ', value_parser = network)]
    trusted_proxy: Vec<IpNet>,
}

impl AccessOptions {
    /// The rules in force, for a service that listens at these addresses, each named by its option.
    ///
    /// # Errors
    /// The file is bad; or everybody would be let in.
    pub(crate) fn rules(
        &self,
        addresses: &[(&'static str, ListenAddress)],
    ) -> Result<Option<Arc<FileAccess>>, Failure> {
        match (&self.access, self.open_access) {
            (Some(_), true) => {
                Err(Failure::usage("access and open-access say opposite things: give one of them"))
            }
            (Some(path), false) => {
                let clock = Arc::new(SystemClock);
                FileAccess::open(path, self.trusted_proxy.clone(), clock).map(Some).map_err(Failure::Usage)
            }
            (None, true) => Ok(None),
            (None, false) => self_only(addresses).map(|()| None),
        }
    }
}

/// # Errors
/// Other machines reach one of the addresses.
fn self_only(addresses: &[(&'static str, ListenAddress)]) -> Result<(), Failure> {
    let reached = addresses.iter().filter(|(_, address)| !address.is_this_machine());
    let faults: Vec<_> = reached
        .map(|(option, _)| {
            format!(
                "{option}: other machines reach this address, and everybody there could do everything. Say who may do what: \
                 --access FILE (order-service keys create makes keys for it). Or, if somebody else guards the door: \
                 --open-access"
            )
        })
        .collect();
    if faults.is_empty() { Ok(()) } else { Err(Failure::Usage(faults)) }
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| format!("{text:?} is not like 10.0.0.0/8 or 10.0.0.1"))
}
