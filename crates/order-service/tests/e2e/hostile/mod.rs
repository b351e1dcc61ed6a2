//! Hostile HTTP through real sockets: a 4xx or a closed connection, never a 5xx, a panic or a stall.

mod addresses;
mod bodies;
#[cfg(feature = "full-tests")]
mod controls;
mod crowd;
mod descriptors;
mod encrypted;
mod floods;
mod frames;
mod framing;
mod handshakes;
mod holders;
mod http2;
mod lines;
mod machine;
pub(crate) mod operators;
mod places;
mod shares;
mod siege;
mod slow;
mod targets;
mod unread;
mod untaken;

use crate::http::Answer;
use crate::server::{Program, Server};

#[cfg(feature = "full-tests")]
pub(crate) use siege::one_at_a_time;

use siege::besiege;

/// A short attack, which is over when all that it tries was answered.
#[track_caller]
fn attack(program: Program, hostile: impl FnOnce(&Server)) {
    besiege(program, |server, _| hostile(server));
}

/// On the memory store, since nothing here is about the disk.
fn server() -> Program {
    Program::serve().argument("--store", "memory:")
}

#[track_caller]
fn assert_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}
