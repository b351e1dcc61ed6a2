//! Standard output and standard error that nobody reads, or that are closed, or full: no reason not to serve.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use test_servers::free_port;

use crate::export::fill;
use crate::http::Client;
use crate::server::{Program, wait_until};

/// More than fits into a pipe and what the service keeps back, at a few hundred bytes a line.
const TOO_MANY: usize = 12_000;
/// To end takes no longer, whoever does not read: nothing is in flight.
const PROMPT: Duration = Duration::from_secs(10);

/// Each of these is a line at debug.
fn ask(client: &mut Client, times: usize) {
    for number in 0..times {
        let answer = client.get(if number % 100 == 0 { "/ready" } else { "/health" }).unwrap();
        assert_eq!(answer.status, 200);
    }
}

#[test]
fn a_standard_error_that_nobody_reads_stops_nothing_and_what_is_lost_is_counted() {
    let (unread, errors) = std::io::pipe().unwrap();
    let program = Program::serve().argument("--store", "memory:").argument("--log", "debug");
    let mut server = program.with_errors_to(errors).start();
    let mut client = server.connect();
    ask(&mut client, TOO_MANY);
    assert_eq!(client.post("/orders", r#"{"customer_id":"c","items":[]}"#).unwrap().status, 422);

    // Once somebody reads again, all is told that there was room for, and how much there was none for.
    let mut lines = BufReader::new(unread).lines().map(|line| line.unwrap());
    let mut told = 0;
    let lost = loop {
        let line: serde_json::Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
        told += usize::from(line["message"] == "answered");
        if let Some(lost) = line["lines"].as_u64() {
            break lost as usize;
        }
    };
    assert!(told > 1_000 && told < TOO_MANY && lost > 0, "{told} told, {lost} lost");
    // Whatever else was said at debug may be among them.
    assert!(told + lost > TOO_MANY, "{told} told, {lost} lost");
    ask(&mut client, 1);
    let is_answer = |line: &String| line.contains("answered");
    assert!(lines.any(|line| is_answer(&line)), "what comes after that is told again");

    // And nobody reads again while it stops.
    ask(&mut client, TOO_MANY);
    drop(client);
    let asked = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(asked.elapsed() < PROMPT, "{:?}", asked.elapsed());
}

#[test]
fn what_was_logged_before_the_end_is_written() {
    let (unread, errors) = std::io::pipe().unwrap();
    let server = Program::serve().argument("--store", "memory:").with_errors_to(errors).start();
    server.stop();
    let last = BufReader::new(unread).lines().last().unwrap().unwrap();
    assert!(last.contains(r#""message":"stopped""#), "{last}");
}

#[test]
fn it_serves_with_streams_that_are_closed_or_full() {
    for streams in [">&- 2>&-", "> /dev/full 2> /dev/full", "> >(true) 2> >(true)"] {
        // It cannot say which one it takes.
        let port = free_port().unwrap();
        let exec = format!("exec \"$0\" \"$@\" {streams}");
        let listen = format!("127.0.0.1:{port}");
        let arguments = ["serve", "--store", "memory:", "--log", "debug", "--listen", &listen];
        let mut server = Program::started_by(&["bash", "-c", &exec], arguments).spawn();
        let mut client = wait_until("it takes connections", || Client::connect(port).ok());
        wait_until("it is ready", || (client.get("/ready").unwrap().status == 200).then_some(()));
        ask(&mut client, 200);
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0), "{streams}");
    }
}

#[test]
fn commands_into_a_pipe_that_was_closed_end_well_and_a_full_disk_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).start();
    fill(&server, 0..400);
    server.stop();
    for command in ["export", "verify", "rebuild"] {
        let run = |script: &str| {
            let prefix = ["bash", "-c", script];
            Program::started_by(&prefix, [command]).argument("--data-dir", directory.path()).run()
        };
        let closed = run("exec \"$0\" \"$@\" > >(exec <&-)");
        assert_eq!((closed.status, &closed.stderr[..]), (Some(0), &[][..]), "{command}");
        let full = run("exec \"$0\" \"$@\" > /dev/full");
        assert_eq!(full.status, Some(1), "{command}: {full:?}");
        let why = "error: cannot write to standard output: No space left on device (os error 28)";
        assert_eq!(full.stderr, [why], "{command}");
    }
}
