//! Free ports.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use anyhow::{Context, Result};

/// Below what systems hand out for outgoing connections: a server that is down for a moment, to be started again on
/// its port, must not find somebody else's connection there.
const PORTS: Range<u16> = 20_000..32_000;

/// How many ports a server is given, one after the other: each was free a moment before.
pub(crate) const MOST_PORTS: usize = 10;

const MOST_TRIES: usize = 200;

/// A port of 127.0.0.1 that nobody listens on. Somebody may take it before the server does: then try another.
pub(crate) fn free_port() -> Result<u16> {
    (0..MOST_TRIES)
        .map(|_| any_port())
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok())
        .with_context(|| format!("{MOST_TRIES} ports tried, none is free"))
}

/// By chance, so that test processes that start together do not all try the same ports in the same order.
fn any_port() -> u16 {
    let chance = RandomState::new().hash_one(0) % u64::from(PORTS.end - PORTS.start);
    PORTS.start + u16::try_from(chance).unwrap_or_default()
}
