//! `kill -9` at a chosen write or sync, where a random moment seldom hits.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use super::with_fault;
use crate::checker::{check, check_list, verify};
use crate::load::under_load;
use crate::server::Program;

/// Kills the server at its `nth` call, under load or while it starts, for each of `when`; restarts and checks.
fn kill_at(
    call: &str,
    when: impl IntoIterator<Item = u32>,
    directory: &Path,
    prepare: impl Fn(Program) -> Program,
) -> Result<(), String> {
    let mut position = 0;
    for nth in when {
        let fault = format!("{call}:signal=KILL:when={nth}");
        let mut claims = Vec::new();
        // It may be so early that nothing is served.
        if let Ok(mut server) = prepare(with_fault(&fault, directory)).try_start() {
            (claims, _) = under_load(server.port(), &format!("at-{nth}"), |_| {
                assert_eq!(server.wait().signal(), Some(9), "{fault}: {}", server.log());
            });
            server.assert_no_panic();
        }
        let server = Program::serving(directory).start();
        position = check(&server, position, &claims).map_err(|breach| format!("{fault}: {breach}"))?;
        server.kill();
    }
    let server = Program::serving(directory).start();
    check_list(&server)?;
    server.kill();
    verify(directory)
}

#[test]
fn what_was_acknowledged_survives_kill_9_at_a_write() {
    let directory = tempfile::tempdir().unwrap();
    let when = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 25, 42, 77, 130, 211, 400];
    kill_at("pwrite64", when, directory.path(), |program| program).unwrap();
}

#[test]
fn what_was_acknowledged_survives_kill_9_at_a_sync() {
    let directory = tempfile::tempdir().unwrap();
    let when = [1, 2, 3, 4, 5, 8, 13, 34, 89];
    kill_at("fdatasync", when, directory.path(), |program| program).unwrap();
}

/// The negative control: about every third of these kills finds it out.
#[test]
fn an_acknowledgement_before_the_commit_is_found_out() {
    let directory = tempfile::tempdir().unwrap();
    let plant = |program: Program| program.variable("ORDER_SERVICE_PLANTED_FAULT", "ack-before-commit");
    let breach = kill_at("pwrite64", (20..400).step_by(5), directory.path(), plant);
    assert!(breach.is_err(), "the checker did not notice");
}
