//! Whose address a request comes from, and what those may send that show nothing good.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use ipnet::IpNet;
use order_api::{AccessRequest, AllowanceOf, NotAdmitted, network};
use quick_cache::sync::Cache;

use super::allowance::{Allowance, Rate};
use super::forwarded::{forwarded, x_forwarded_for};

/// Most addresses that are told apart. Beyond that those are forgotten that have not come for longest.
const MAX_ADDRESSES: usize = 65_536;

/// What is known of addresses.
pub(super) struct Addresses {
    trusted_proxies: Vec<IpNet>,
    allowances: Cache<IpAddr, Arc<Allowance>>,
}

impl Addresses {
    pub(super) fn new(trusted_proxies: Vec<IpNet>) -> Self {
        Self { trusted_proxies, allowances: Cache::new(MAX_ADDRESSES) }
    }

    /// Takes a request off what its address may send. A rate that has changed counts for addresses that come anew.
    ///
    /// # Errors
    /// It may send no more.
    pub(super) fn spend(&self, request: &AccessRequest<'_>, rate: Rate) -> Result<(), NotAdmitted> {
        // Whoever serves connections adds it to every request.
        let Some(peer) = request.peer else { return Ok(()) };
        let network = network(self.client(peer, request.headers));
        let made = || Ok::<_, ()>(Arc::new(Allowance::new(AllowanceOf::Address, rate)));
        match self.allowances.get_or_insert_with(&network, made) {
            Ok(allowance) => allowance.spend().map_err(NotAdmitted::TooMany),
            Err(()) => unreachable!("invariant: an allowance is always made"),
        }
    }

    /// The rightmost hop that is no trusted proxy. Hops to its left are what it says of itself.
    ///
    /// Proxies write one of two header fields and hand on the other as it came. Where both are there and do not agree, one of
    /// them is the client's invention, and the proxy stands for its clients.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let told = [x_forwarded_for(headers), forwarded(headers)];
        let mut clients =
            told.iter().filter(|hops| !hops.is_empty()).map(|hops| self.first_untrusted(peer, hops));
        match (clients.next(), clients.next()) {
            (Some(client), None) => client,
            (Some(client), Some(other)) if client == other => client,
            (None, _) | (Some(_), Some(_)) => peer,
        }
    }

    /// `hops` come from the right. What cannot be read was written by the proxy before it, which stands for it.
    fn first_untrusted(&self, peer: IpAddr, hops: &[Option<IpAddr>]) -> IpAddr {
        let mut last = peer;
        for hop in hops {
            match hop {
                Some(address) if self.trusts(*address) => last = *address,
                Some(address) => return *address,
                None => return last,
            }
        }
        last
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use axum::http::{HeaderName, header};

    use super::*;
    use crate::access::forwarded::{MAX_HOPS, X_FORWARDED_FOR};

    fn client(peer: &str, fields: &[(&HeaderName, &str)]) -> String {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        let headers = fields.iter().map(|(name, value)| ((*name).clone(), value.parse().unwrap())).collect();
        Addresses::new(trusted.into()).client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_client_is_the_rightmost_hop_that_is_no_trusted_proxy() {
        let told = |peer, hops| client(peer, &[(&X_FORWARDED_FOR, hops)]);
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1", "nobody is told of");
        assert_eq!(
            told("203.0.113.9", "198.51.100.7"),
            "203.0.113.9",
            "whoever is not trusted tells nothing"
        );
        assert_eq!(told("10.0.0.1", "198.51.100.7"), "198.51.100.7");
        assert_eq!(told("::ffff:10.0.0.1", "198.51.100.7"), "198.51.100.7");
        assert_eq!(
            told("10.0.0.1", "1.1.1.1, 198.51.100.7, 10.0.0.2"),
            "198.51.100.7",
            "left of it is hearsay"
        );
        assert_eq!(told("10.0.0.1", "10.0.0.3, 10.0.0.2"), "10.0.0.3", "all of them are ours");
        assert_eq!(told("10.0.0.1", "198.51.100.7, nonsense, 10.0.0.2"), "10.0.0.2");
        assert_eq!(told("10.0.0.1", "198.51.100.7:4711"), "198.51.100.7");
        assert_eq!(told("10.0.0.1", "2001:db8::1"), "2001:db8::1");
        assert_eq!(told("fd00::1", "[2001:db8::1]:443"), "2001:db8::1");
        let two = [(&X_FORWARDED_FOR, "1.1.1.1"), (&X_FORWARDED_FOR, "198.51.100.7")];
        assert_eq!(client("10.0.0.1", &two), "198.51.100.7", "two fields are one list");
        let long = vec!["10.0.0.2"; MAX_HOPS + 1].join(",");
        assert_eq!(told("10.0.0.1", &format!("1.1.1.1,{long}")), "10.0.0.2", "bounded");
    }

    #[test]
    fn forwarded_is_read_as_well_and_where_both_disagree_the_proxy_stands_for_its_clients() {
        let forwarded = |hops| client("10.0.0.1", &[(&header::FORWARDED, hops)]);
        assert_eq!(forwarded("for=198.51.100.7;proto=https"), "198.51.100.7");
        assert_eq!(forwarded("proto=https;For=\"[2001:db8::1]:4711\""), "2001:db8::1");
        assert_eq!(forwarded("for=1.1.1.1, for=198.51.100.7, for=10.0.0.2"), "198.51.100.7");
        assert_eq!(forwarded("for=198.51.100.7, for=_hidden"), "10.0.0.1");
        assert_eq!(forwarded(r#"for=198.51.100.7;host="x,for=77.7.7.1""#), "198.51.100.7");
        assert_eq!(
            forwarded(r#"for=77.7.7.1;host=", for=198.51.100.7"#),
            "10.0.0.1",
            "the proxy stands for what cannot be read"
        );
        let both =
            |hops| client("10.0.0.1", &[(&header::FORWARDED, "for=198.51.100.7"), (&X_FORWARDED_FOR, hops)]);
        assert_eq!(both("198.51.100.7"), "198.51.100.7");
        assert_eq!(both("1.1.1.1"), "10.0.0.1");
    }

    #[test]
    fn an_address_has_its_own_allowance_and_a_network_of_ipv6_has_one() {
        let one = NonZeroU32::MIN;
        let (addresses, rate) = (Addresses::new(Vec::new()), Rate { per_second: one, burst: one });
        let headers = HeaderMap::new();
        let spend = |peer: &str| {
            let peer = Some(peer.parse().unwrap());
            addresses.spend(&AccessRequest { token: None, peer, headers: &headers }, rate).is_ok()
        };
        assert!(spend("198.51.100.7") && !spend("198.51.100.7"));
        assert!(spend("198.51.100.8"));
        assert!(spend("2001:db8:0:1::1") && !spend("2001:db8:0:1:ffff::2"));
        assert!(spend("2001:db8:0:2::1"));
    }

    #[test]
    fn no_more_addresses_are_remembered_than_are_bounded() {
        let rate = Rate { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN };
        let addresses = Addresses::new(Vec::new());
        let headers = HeaderMap::new();
        for number in 0..3 * MAX_ADDRESSES as u32 {
            let peer = Some(IpAddr::from(number.to_be_bytes()));
            assert_eq!(
                addresses.spend(&AccessRequest { token: None, peer, headers: &headers }, rate),
                Ok(())
            );
        }
        assert!(addresses.allowances.len() <= MAX_ADDRESSES);
    }
}
