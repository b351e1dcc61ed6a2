//! Controls: servers with a planted fault, which the tests beside this one have to catch.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::crowd::crowd;
use super::handshakes::{MOST_AT_ONCE, begin_handshakes};
use super::siege::besiege;
use super::{framing, server, untaken};
use crate::server::Program;
use crate::tls::Encrypted;

/// How often a test may run until it has noticed a fault. On a machine that others have, it excuses waits which it would notice elsewhere.
const ATTEMPTS: usize = 3;

/// Asserts that a test fails with a server that has the fault.
#[track_caller]
fn assert_caught(fault: &str, test: impl Fn(Program)) {
    let is_caught = |attempt| {
        let program = server().variable("ORDER_SERVICE_PLANTED_FAULT", fault);
        let is_caught = catch_unwind(AssertUnwindSafe(|| test(program))).is_err();
        if !is_caught {
            eprintln!("{fault} was not noticed in attempt {attempt} of {ATTEMPTS}");
        }
        is_caught
    };
    assert!((1..=ATTEMPTS).any(is_caught), "{fault} is not noticed");
}

#[test]
fn a_server_that_believes_heads_is_caught() {
    assert_caught("heads-are-believed", framing::hide_requests);
}

#[test]
fn a_server_on_which_nobody_gives_way_is_caught() {
    let give_way = |program: Program| {
        // After that time idle connections go anyhow, and the probe has been kept waiting for too long.
        let program = program.argument("--max-connections", "50").argument("--idle-timeout-seconds", "5");
        besiege(program, |server, siege| {
            let _crowd = crowd(server.port(), 70, b"");
            siege.hold(5);
        });
    };
    give_way(server());
    assert_caught("nobody-gives-way", give_way);
}

#[test]
fn a_server_on_which_handshakes_take_no_turns_is_caught() {
    assert_caught("handshakes-take-no-turns", |program| {
        begin_handshakes(Encrypted::of(program), MOST_AT_ONCE)
    });
}

#[test]
fn a_server_that_does_not_count_answers_is_caught() {
    assert_caught("answers-are-not-counted", untaken::leave_answers_lying);
}
