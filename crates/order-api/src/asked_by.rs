//! Who asks: the connection that a request comes by.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// A connection, as far as the API has to know of it so that clients which hold much give way to those that hold little.
/// Whoever serves connections says which it is.
pub trait Connection: Send + Sync {
    /// No other connection has the same.
    fn number(&self) -> u64;

    /// Where it comes from.
    fn address(&self) -> IpAddr;

    /// There is no room for what it asks for: others that leave their answers lying have to let go of them.
    fn want_room(&self);

    /// Ends it, unless the service is at work for it: its client was told that something is over, and does not take even that.
    fn hang_up(&self);
}

/// Goes with each request. Requests without it, as there are in tests, are nobody's, and have what there is.
#[derive(Clone)]
pub struct AskedBy(pub Arc<dyn Connection>);

impl AskedBy {
    pub(crate) fn asker(&self) -> Asker {
        Asker { network: network(self.0.address()), connection: self.0.number() }
    }
}

impl fmt::Debug for AskedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.asker().fmt(f)
    }
}

/// The same as names, by which it is reckoned who holds how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) network: IpAddr,
    pub(crate) connection: u64,
}

/// What one machine is likely to have for itself: an address of IPv4, or the first half of one of IPv6 (RFC 6177).
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// A connection that notes whether it was hung up on.
    pub(crate) struct TestConnection {
        number: u64,
        address: IpAddr,
        is_hung_up_on: AtomicBool,
    }

    impl TestConnection {
        pub(crate) fn new(number: u64, address: [u8; 4]) -> Arc<Self> {
            Arc::new(Self { number, address: address.into(), is_hung_up_on: AtomicBool::new(false) })
        }

        pub(crate) fn is_hung_up_on(&self) -> bool {
            self.is_hung_up_on.load(Ordering::Relaxed)
        }

        pub(crate) fn asks(self: &Arc<Self>) -> AskedBy {
            AskedBy(Arc::clone(self) as _)
        }
    }

    impl Connection for TestConnection {
        fn number(&self) -> u64 {
            self.number
        }

        fn address(&self) -> IpAddr {
            self.address
        }

        fn want_room(&self) {}

        fn hang_up(&self) {
            self.is_hung_up_on.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn addresses_that_one_machine_may_choose_from_are_one_network() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }
}
