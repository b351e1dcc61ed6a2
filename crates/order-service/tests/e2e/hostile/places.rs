//! Connections that are of no use to anybody: as many as the server has places, and more.

use super::crowd::{ALL_PLACES, crowd, hung_up_on};
use super::server;
use super::siege::besiege;

/// Probes and orders that are waited for while an attack stands.
const A_WHILE: usize = 40;

#[test]
fn as_long_as_there_are_places_idle_connections_keep_theirs() {
    besiege(server(), |server, siege| {
        let mut crowd = crowd(server.port(), ALL_PLACES / 2, b"");
        siege.hold(A_WHILE);
        assert_eq!(hung_up_on(&mut crowd), 0);
    });
}
