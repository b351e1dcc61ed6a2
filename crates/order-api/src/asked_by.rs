//! Who asks: the connection that a request comes by.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use order_application::{Waiting, Waits};

/// A connection, as far as the API has to know of it so that clients which hold much give way to those that hold little.
/// Whoever serves connections says which it is. While a request of it waits in a line, its client does, too: as to others, the service
/// is not at work for it.
pub trait Connection: Waits {
    /// No other connection has the same.
    fn number(&self) -> u64;

    /// Where it comes from.
    fn address(&self) -> IpAddr;

    /// How long its client has taken nothing of an answer that lies there for it. `None`: there is nothing for it to take.
    fn untaken_for(&self) -> Option<Duration>;

    /// Ends that answer: others want the room that it takes.
    fn end_answer(&self);

    /// Whether the client says no more. It may still listen, or have left: nobody can tell.
    fn may_have_left(&self) -> bool;

    /// Ends it, unless the service is at work for it: its client was told that something is over, and does not take even that.
    fn hang_up(&self);
}

/// Goes with each request. Requests without it, as there are in tests, are nobody's, and have what there is.
#[derive(Clone)]
pub struct AskedBy(pub Arc<dyn Connection>);

impl AskedBy {
    /// Is told while a command of it waits for others.
    pub(crate) fn waiting(&self) -> Waiting {
        Waiting(Arc::clone(&self.0) as _)
    }

    pub(crate) fn asker(&self) -> Asker {
        Asker { network: network(self.0.address()), connection: self.0.number() }
    }
}

impl fmt::Debug for AskedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.asker().fmt(f)
    }
}

/// A request that waits in a line, until this is dropped.
pub(crate) struct InLine<'a>(Option<&'a AskedBy>);

impl<'a> InLine<'a> {
    pub(crate) fn begin(asked_by: Option<&'a AskedBy>) -> Self {
        if let Some(asked_by) = asked_by {
            asked_by.0.begin_waiting();
        }
        Self(asked_by)
    }
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        if let Some(asked_by) = self.0 {
            asked_by.0.end_waiting();
        }
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

    use tokio::time::Instant;

    use super::*;

    /// A connection that notes whether it was hung up on, and whether its answer was ended.
    pub(crate) struct TestConnection {
        number: u64,
        address: IpAddr,
        /// Since when its answer lies there.
        untaken_since: Option<Instant>,
        is_in_line: AtomicBool,
        has_left: AtomicBool,
        is_hung_up_on: AtomicBool,
        is_ended: AtomicBool,
    }

    impl TestConnection {
        pub(crate) fn new(number: u64, address: [u8; 4]) -> Arc<Self> {
            Self::with(number, address, None)
        }

        /// One whose client takes nothing from now on.
        pub(crate) fn that_takes_nothing(number: u64, address: [u8; 4]) -> Arc<Self> {
            Self::with(number, address, Some(Instant::now()))
        }

        fn with(number: u64, address: [u8; 4], untaken_since: Option<Instant>) -> Arc<Self> {
            Arc::new(Self {
                number,
                address: address.into(),
                untaken_since,
                is_in_line: AtomicBool::default(),
                has_left: AtomicBool::default(),
                is_hung_up_on: AtomicBool::default(),
                is_ended: AtomicBool::default(),
            })
        }

        pub(crate) fn leave(&self) {
            self.has_left.store(true, Ordering::Relaxed);
        }

        pub(crate) fn is_in_line(&self) -> bool {
            self.is_in_line.load(Ordering::Relaxed)
        }

        pub(crate) fn is_hung_up_on(&self) -> bool {
            self.is_hung_up_on.load(Ordering::Relaxed)
        }

        pub(crate) fn is_ended(&self) -> bool {
            self.is_ended.load(Ordering::Relaxed)
        }

        pub(crate) fn asks(self: &Arc<Self>) -> AskedBy {
            AskedBy(Arc::clone(self) as _)
        }
    }

    impl Waits for TestConnection {
        fn begin_waiting(&self) {
            self.is_in_line.store(true, Ordering::Relaxed);
        }

        fn end_waiting(&self) {
            self.is_in_line.store(false, Ordering::Relaxed);
        }

        fn network(&self) -> IpAddr {
            network(self.address)
        }
    }

    impl Connection for TestConnection {
        fn number(&self) -> u64 {
            self.number
        }

        fn address(&self) -> IpAddr {
            self.address
        }

        fn untaken_for(&self) -> Option<Duration> {
            self.untaken_since.map(|since| since.elapsed())
        }

        fn end_answer(&self) {
            self.is_ended.store(true, Ordering::Relaxed);
        }

        fn may_have_left(&self) -> bool {
            self.has_left.load(Ordering::Relaxed)
        }

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
