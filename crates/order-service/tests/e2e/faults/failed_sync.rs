//! A write or sync that fails is never an acknowledgement, nor is it tried again: the store stops for good, the process
//! says why and ends.

use super::with_fault;
use crate::checker::{check, verify};
use crate::load::under_load;
use crate::server::Program;

#[track_caller]
fn assert_stops_for_good(fault: &str) {
    stop_for_good(fault, |program| program).unwrap();
}

/// Has a server stop by a fault under load. An error is a breach of what was acknowledged.
#[track_caller]
fn stop_for_good(fault: &str, prepare: impl Fn(Program) -> Program) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    Program::serving(directory.path()).start().stop();
    let mut server = prepare(with_fault(fault, directory.path())).start();
    let (claims, _) = under_load(server.port(), "load", |progress| {
        let status = server.wait();
        assert_eq!(status.code(), Some(1), "{fault}: {}", server.log());
        assert!(progress.acknowledged() > 0, "{fault}: it failed before there was anything to lose");
        assert!(progress.refused() > 0, "{fault}: whoever waited was not answered");
    });
    let log = server.log();
    let why = format!("writing {}: ", directory.path().join("orders.db").display());
    let stopped =
        log.lines().find(|line| line.contains("the store has stopped for good")).unwrap_or_default();
    assert!(stopped.contains(&why), "{fault}: {log}");
    assert!(log.contains("stopping: the store cannot go on"), "{fault}: {log}");
    server.assert_no_panic();

    // What was answered 5xx is there as a whole or not at all; the checker knows.
    let server = Program::serving(directory.path()).start();
    check(&server, 0, &claims)?;
    server.stop();
    verify(directory.path())
}

#[test]
fn a_sync_that_fails_stops_the_store() {
    assert_stops_for_good("fdatasync:error=EIO:when=20+");
}

/// The next sync would succeed, and mean nothing: the system has forgotten what it could not write.
#[test]
fn a_sync_that_fails_once_stops_the_store() {
    assert_stops_for_good("fdatasync:error=EIO:when=20");
}

#[test]
fn a_write_that_fails_stops_the_store() {
    assert_stops_for_good("pwrite64:error=EIO:when=50+");
}

/// The negative control: the same checker, on a server that takes a failed commit for done.
#[test]
fn an_acknowledgement_of_a_write_that_failed_is_found_out() {
    let plant = |program: Program| program.variable("ORDER_SERVICE_PLANTED_FAULT", "ack-failed-commit");
    let breach = stop_for_good("pwrite64:error=EIO:when=50+", plant);
    assert!(breach.is_err(), "the checker did not notice");
}
