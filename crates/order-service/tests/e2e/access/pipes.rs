//! A pipe in the place of the file: whoever opened it as a file would wait for ever.

use std::fs;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::access::{AccessFile, get_with, wait_for_log};
use crate::server::{Program, wait_until};

const TOLD: &str = "it is a pipe or device, and no file";

fn replace_by_pipe(path: &Path) {
    fs::remove_file(path).unwrap();
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

#[test]
fn a_pipe_leaves_the_rules_as_they_were_and_the_next_file_counts() {
    let file = AccessFile::new();
    let first = file.add("first", "read", "");
    let server = file.start();
    replace_by_pipe(&file.path());
    wait_for_log(&server, TOLD);
    assert_eq!(get_with(&server, "/orders", &first).status, 200);

    fs::remove_file(file.path()).unwrap();
    let second = file.add("second", "read", "");
    wait_until("the second key opens", || {
        (get_with(&server, "/orders", &second).status == 200).then_some(())
    });
    // Whoever has asked too often meanwhile, with a key that was not known yet, is told so before.
    wait_until("the first key is refused", || {
        (get_with(&server, "/orders", &first).status == 401).then_some(())
    });
    replace_by_pipe(&file.path());
    server.stop();
}

#[test]
fn a_pipe_is_no_access_file_at_the_start_either() {
    let file = AccessFile::new();
    file.add("first", "read", "");
    replace_by_pipe(&file.path());
    let checked = Program::new(["keys", "check"]).operand(file.path()).run();
    assert!(checked.stderr.join("\n").contains(TOLD), "{checked:?}");
    let refused = file.program().try_start().err().expect("it starts with a pipe");
    assert!(refused.contains(TOLD), "{refused}");
}
