//! Servers end with the process that started them.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use test_servers::{PostgresOptions, PostgresServer};

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn servers_end_when_their_process_is_killed() {
    assert_servers_end(&[], Signal::KILL);
}

#[test]
fn servers_end_when_their_process_aborts() {
    assert_servers_end(&[], Signal::ABORT);
}

/// At a terminal the signal goes to the whole process group.
#[test]
fn servers_end_when_their_process_is_interrupted() {
    assert_servers_end(&[], Signal::INT);
}

#[test]
fn servers_end_even_frozen() {
    assert_servers_end(&["frozen"], Signal::KILL);
}

#[test]
fn buses_end_even_frozen() {
    assert_servers_end(&["buses", "frozen"], Signal::KILL);
}

#[test]
fn a_server_that_was_being_prepared_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    // The server's user passes through.
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let mut holder =
        Command::new(env!("CARGO_BIN_EXE_hold")).env("TMPDIR", directory.path()).spawn().unwrap();
    let servers = || fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    wait_until("initdb is under way", || servers().any(|server| server.join("data/base").exists()));
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_until("nothing is left", || servers().next().is_none());
}

#[test]
fn servers_end_in_a_panic() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let test = std::thread::spawn(move || {
        let server = PostgresServer::start(PostgresOptions::quick()).unwrap();
        sender.send((server.process().unwrap(), server.directory().to_owned())).unwrap();
        panic!("for this test");
    });
    assert!(test.join().is_err());
    let (process, directory) = receiver.recv().unwrap();
    assert!(!is_there(process) && !directory.exists());
}

#[track_caller]
fn assert_servers_end(arguments: &[&str], signal: Signal) {
    let mut holder =
        Command::new(env!("CARGO_BIN_EXE_hold")).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let servers = two_servers(&mut holder);
    for (process, directory) in &servers {
        assert!(is_there(*process) && directory.join("log").exists());
    }
    kill_process(Pid::from_child(&holder), signal).unwrap();
    let start = Instant::now();
    while holder.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            holder.kill().unwrap();
            panic!(
                "the process has not ended: is {signal:?} ignored here, as a shell does for what it runs with `&`?"
            );
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    for (process, directory) in &servers {
        wait_until("the server has ended", || !is_there(*process));
        wait_until("its directory is gone", || !directory.exists());
    }
}

fn two_servers(holder: &mut Child) -> Vec<(u32, PathBuf)> {
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let server = |line: String| {
        let (process, directory) = line.split_once(' ').unwrap();
        (process.parse().unwrap(), directory.into())
    };
    let servers: Vec<_> = lines.take(2).map(|line| server(line.unwrap())).collect();
    assert_eq!(servers.len(), 2);
    servers
}

#[track_caller]
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "gave up waiting until {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn is_there(process: u32) -> bool {
    let process = Pid::from_raw(process.try_into().unwrap()).unwrap();
    test_kill_process(process) != Err(rustix::io::Errno::SRCH)
}
