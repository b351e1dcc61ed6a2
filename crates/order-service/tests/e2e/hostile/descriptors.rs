//! Fewer file descriptors than connections would need.

use super::crowd::{crowd_in_bursts, crowd_in_pace, hung_up_on};
use super::siege::besiege;
use crate::server::Program;

/// Probes and orders that are waited for while an attack stands.
const A_WHILE: usize = 40;

/// A server whose shell has told the system so before.
fn server_with(limit: &str) -> Program {
    let limited = format!("ulimit {limit}; exec \"$0\" \"$@\"");
    Program::started_by(&["sh", "-c", &limited], ["serve", "--listen", "127.0.0.1:0"])
}

#[test]
fn with_1024_descriptors_the_store_keeps_some_and_fewer_connections_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    besiege(server_with("-n 1024").argument("--data-dir", directory.path()), |server, siege| {
        // So many that two bursts have room in the line.
        let mut crowd = crowd_in_bursts(siege, server.port(), (50, 40), b"");
        siege.hold(A_WHILE);
        assert!(server.log().contains("\"allowed\":672"), "{}", server.log());
        assert!(hung_up_on(&mut crowd) >= 2000 - 672);
    });
}

#[test]
fn a_limit_that_may_be_raised_is_raised() {
    besiege(server_with("-S -n 256").argument("--store", "memory:"), |server, siege| {
        let mut crowd = crowd_in_pace(siege, server.port(), 2000, b"");
        siege.hold(A_WHILE);
        assert_eq!(hung_up_on(&mut crowd), 0);
    });
}
