//! Clients that only ever begin to agree how to encrypt. A ClientHello that was said before costs nothing to say again, and the
//! server a signature.

use std::io::Read;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use super::crowd::crowd;
use super::encrypted::{A_WHILE, besiege_encrypted};
use super::siege::{OverOnDrop, PROMPT};
use crate::server::wait_until;
use crate::tls::{Encrypted, EncryptingClient};

/// How many attack.
const ATTACKERS: usize = 2;
/// How many handshakes each of them has under way: altogether the work of seconds.
const AT_ONCE: usize = 1_000;
/// The same for the control: nearly as many as there is room for. Whoever has to wait for all of them waits for so long that no load
/// excuses it.
#[cfg(feature = "full-tests")]
pub(super) const MOST_AT_ONCE: usize = 2_500;

#[test]
fn whoever_begins_handshakes_again_and_again_keeps_nobody_else_waiting() {
    begin_handshakes(Encrypted::start(&[]), AT_ONCE);
}

/// Each attacker begins so many at once.
pub(super) fn begin_handshakes(encrypted: Encrypted, at_once: usize) {
    // So many signatures the server is had to make, at least, while good clients are served.
    let enough = 4 * ATTACKERS * at_once;
    let placed = besiege_encrypted(encrypted, |client, siege| {
        let hello = hello(client);
        let (over, signatures) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..ATTACKERS {
                scope.spawn(|| repeat(&hello, at_once, client.port, &signatures, &over));
            }
            let _over = OverOnDrop(&over);
            siege.hold(A_WHILE);
            wait_until("the server had much to do", || {
                (siege.is_over() || signatures.load(Ordering::Relaxed) >= enough).then_some(())
            });
        });
    });
    assert!(placed.slowest < PROMPT, "an order waited {:?} to be placed", placed.slowest);
}

/// What a client says first.
fn hello(client: &EncryptingClient) -> Vec<u8> {
    let mut hello = Vec::new();
    client.session().write_tls(&mut hello).unwrap();
    hello
}

/// Says hello on many connections at once, waits until each was answered, and begins anew.
fn repeat(hello: &[u8], at_once: usize, port: u16, signatures: &AtomicUsize, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        for stream in crowd(port, at_once, hello) {
            let is_answered = !over.load(Ordering::Relaxed) && is_answered(&stream);
            signatures.fetch_add(usize::from(is_answered), Ordering::Relaxed);
            // Whoever resets a connection can use its port again.
            set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
        }
    }
}

fn is_answered(mut stream: &TcpStream) -> bool {
    stream.read(&mut [0; 1]).is_ok_and(|bytes| bytes > 0)
}
