//! Thousands of sockets at once.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};

use super::siege::Siege;

/// As many connections as the service takes by default.
pub(crate) const ALL_PLACES: usize = 10_000;
/// How long a socket of a crowd may wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens connections that each say the same, and keeps them. Some may have been hung up on meanwhile.
#[track_caller]
pub(crate) fn crowd(port: u16, count: usize, first: &[u8]) -> Vec<TcpStream> {
    allow_descriptors();
    let opened = (0..count).map(|_| {
        let mut stream = open(port);
        let _ = stream.write_all(first);
        stream
    });
    opened.collect()
}

/// The same, but a few at a time, so that the server keeps up: all at once would only show how long the system's queue of
/// connections is, and how fast the server reads.
#[track_caller]
pub(crate) fn crowd_in_pace(siege: &Siege, port: u16, count: usize, first: &[u8]) -> Vec<TcpStream> {
    const AT_ONCE: usize = 250;
    crowd_in_bursts(siege, port, (count / AT_ONCE, AT_ONCE), first)
}

/// The same, in so many bursts of so many.
#[track_caller]
pub(super) fn crowd_in_bursts(
    siege: &Siege,
    port: u16,
    (bursts, at_once): (usize, usize),
    first: &[u8],
) -> Vec<TcpStream> {
    let come = |_| {
        siege.hold(1);
        crowd(port, at_once, first)
    };
    (0..bursts).flat_map(come).collect()
}

/// One of them, which says nothing yet.
#[track_caller]
pub(crate) fn open(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server takes connections");
    stream.set_nodelay(true).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// How many of them the server has hung up on. What it has said before is taken, but for answers longer than that.
pub(crate) fn hung_up_on(crowd: &mut [TcpStream]) -> usize {
    crowd.iter_mut().filter_map(|stream| is_over(stream).then_some(())).count()
}

/// Whether the server has hung up.
fn is_over(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let mut sink = [0; 16 * 1024];
    let over = loop {
        match stream.read(&mut sink) {
            Ok(0) => break true,
            Ok(_) => {}
            Err(error) => break error.kind() != ErrorKind::WouldBlock,
        }
    };
    stream.set_nonblocking(false).unwrap();
    over
}

/// A test that opens thousands of sockets may open as many as its system lets it.
fn allow_descriptors() {
    let limits = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limits.maximum, maximum: limits.maximum };
    setrlimit(Resource::Nofile, raised).expect("the soft limit may be raised to the hard one");
}
