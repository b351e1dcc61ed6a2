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
#[command(next_help_heading = "Access")]
pub(crate) struct AccessOptions {
    /// Who may do what, by this file of keys (`order-service keys create` makes them). It is looked at again when it changes.
    /// Without it everybody who reaches the service may do everything, and only this machine reaches it.
    #[arg(long, value_name = "FILE")]
    access: Option<PathBuf>,
    /// Listen for other machines without `access`: somebody else guards the door.
    #[arg(long, value_name = "true|false", hide_possible_values = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", default_value = "false")]
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
                Err(Failure::usage("--access and --open-access say opposite things: give one of them"))
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
                "--{option}: other machines reach this address, and everybody there could do everything. Say who may do what: \
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
    let network = text.parse().or_else(|_| address());
    network.map(canonical).map_err(|_| format!("{text:?} is not like 10.0.0.0/8 or 10.0.0.1"))
}

/// Addresses of IPv4 may be written as some of IPv6 (`::ffff:10.0.0.0/104`). Those of requests are looked at as what they are.
fn canonical(network: IpNet) -> IpNet {
    const BITS_BEFORE: u8 = 96;
    let address = network.addr().to_canonical();
    match network.prefix_len().checked_sub(BITS_BEFORE) {
        Some(bits) if network.addr().is_ipv6() && address.is_ipv4() => {
            IpNet::new(address, bits).unwrap_or(network)
        }
        Some(_) | None => network,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_ipv4_are_known_however_they_are_written() {
        for (text, read) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.1", "10.0.0.1/32"),
            ("::ffff:127.0.0.0/104", "127.0.0.0/8"),
            ("::ffff:10.0.0.1", "10.0.0.1/32"),
            ("::ffff:0.0.0.0/96", "0.0.0.0/0"),
            ("fd00::/8", "fd00::/8"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(network(text).map(|network| network.to_string()).as_deref(), Ok(read), "{text}");
        }
    }
}
