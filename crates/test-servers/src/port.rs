//! Free ports.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use rustix::io::Result as SystemResult;
use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

/// Below what systems hand out for outgoing connections: a server that is down for a moment, to be started again on
/// its port, must not find somebody else's connection there.
const PORTS: Range<u16> = 20_000..32_000;

const MOST_TRIES: usize = 200;

/// The sockets that keep this process's ports.
static KEPT: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// A port of 127.0.0.1 that nobody listens on, for a server of this process: no other call, in this process or another,
/// gives it to anybody as long as this process lives, whether the server runs or is down.
///
/// # Errors
///
/// When none is found.
pub fn free_port() -> Result<u16> {
    (0..MOST_TRIES)
        .find_map(|_| {
            let port = any_port();
            let kept = keep(port).ok()?;
            KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
            Some(port)
        })
        .with_context(|| format!("{MOST_TRIES} ports tried, none is free"))
}

/// A socket that is bound and never listens. Bound without `SO_REUSEADDR`, it has the port for itself; with it from then
/// on, it lets those in who come with it and are the first to listen, as servers do (Linux, `inet_csk_bind_conflict`).
fn keep(port: u16) -> SystemResult<OwnedFd> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    set_socket_reuseaddr(&socket, true)?;
    Ok(socket)
}

/// By chance, so that test processes that start together do not all try the same ports in the same order.
fn any_port() -> u16 {
    let chance = RandomState::new().hash_one(0) % u64::from(PORTS.end - PORTS.start);
    PORTS.start + u16::try_from(chance).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_is_its_servers_whether_that_runs_or_not() {
        let port = free_port().unwrap();
        for _ in 0..2 {
            let server = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
            assert!(keep(port).is_err(), "somebody else is given the port of a server that runs");
            drop(server);
            assert!(keep(port).is_err(), "somebody else is given the port of a server that is down");
        }
    }
}
