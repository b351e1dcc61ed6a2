//! `rebuild` rebuilds the views of a store, and says how much that was.

use std::path::Path;

use crate::damage::{edit, stopped_store, verify, view_reads};
use crate::server::{Ended, Program};
use crate::start_up::{FAILURE, USAGE, assert_refused};

fn rebuild(directory: &Path) -> Ended {
    Program::new(["rebuild"]).argument("--data-dir", directory).run()
}

#[test]
fn views_that_are_rebuilt_say_what_they_said_before() {
    let directory = stopped_store("customer");
    let serving = || Program::serving(directory.path()).start();
    let server = serving();
    let before = view_reads(&server);
    let in_use = "is in use by another process";
    assert_refused(&rebuild(directory.path()), FAILURE, &[in_use]);
    server.stop();

    let ended = rebuild(directory.path());
    assert_eq!((ended.status, &ended.stderr[..]), (Some(0), &[][..]), "{ended:?}");
    assert_eq!(ended.stdout, ["views of 3 orders rebuilt from 6 events"]);
    // They take the place of the others, under the next number.
    let there = |number: u32| directory.path().join(format!("orders.views.{number}.db")).exists();
    assert_eq!((there(1), there(2)), (false, true));
    assert_eq!(verify(&directory).status, Some(0));
    let server = serving();
    assert_eq!(view_reads(&server), before);
    server.stop();
}

#[test]
fn a_log_that_cannot_be_read_leaves_the_views_that_are_there() {
    let directory = stopped_store("customer");
    edit(&directory, "UPDATE events SET data = replace(data, '5', '6') WHERE position = 3");
    let ended = rebuild(directory.path());
    assert_refused(&ended, FAILURE, &["event at position 3: the checksum does not match"]);
    assert!(directory.path().join("orders.views.1.db").exists());
}

#[test]
fn what_has_no_views_has_none_to_rebuild() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    assert_refused(&rebuild(&missing), FAILURE, &["cannot use "]);
    assert!(!missing.exists());
    let ended = Program::new(["rebuild"]).argument("--store", "memory:").run();
    assert_refused(&ended, USAGE, &["memory: is gone at exit"]);
}
