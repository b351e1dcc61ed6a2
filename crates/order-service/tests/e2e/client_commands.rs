//! `status` and `tail`: what the binary says of a service that runs.

use std::path::Path;

use serde_json::Value;
use test_servers::free_port;

use crate::export::fill;
use crate::server::{Ended, Program, Server, wait_until};
use crate::start_up::{FAILURE, USAGE};

const NOT_READY: i32 = 3;

fn ask(command: &str, url: &str, arguments: &[&str]) -> Program {
    Program::new([&[command, "--url", url], arguments].concat())
}

fn url(server: &Server) -> String {
    format!("http://127.0.0.1:{}", server.port())
}

fn status(url: &str, arguments: &[&str]) -> Ended {
    ask("status", url, arguments).run()
}

/// The next line of a command that goes on.
#[track_caller]
fn next_line(tail: &Server) -> String {
    wait_until("there is a line", || tail.said())
}

#[test]
fn the_status_is_a_line_for_each_check_or_the_document_itself() {
    let server = Program::serve().argument("--store", "memory:").start();
    let ended = status(&url(&server), &[]);
    assert_eq!((ended.status, &ended.stderr[..]), (Some(0), &[][..]));
    assert_eq!(ended.stdout[0], format!("{} is ready", url(&server)));
    assert!(ended.stdout.iter().any(|line| line == "  store      ok"), "{:#?}", ended.stdout);
    assert!(server.get("/metrics").text().contains("\norder_service_ready 1\n"));
    let ended = status(&url(&server), &["--json"]);
    let document: Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    assert_eq!((ended.status, &document["checks"]["store"]), (Some(0), &"ok".into()));
}

#[test]
fn a_service_that_is_not_ready_has_a_status_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).start();
    std::fs::remove_file(directory.path().join("orders.db")).unwrap();
    wait_until("it has noticed", || (server.get("/ready").status == 503).then_some(()));
    let ended = status(&url(&server), &[]);
    assert_eq!(ended.status, Some(NOT_READY), "{ended:?}");
    assert!(ended.stdout[0].ends_with(" is not ready"), "{ended:?}");
    assert!(server.get("/metrics").text().contains("\norder_service_ready 0\n"));
    assert!(ended.stdout.iter().any(|line| line.trim().starts_with("store") && line.ends_with("corrupt")));
}

#[test]
fn what_is_no_service_is_told() {
    let nobody = format!("127.0.0.1:{}", free_port().unwrap());
    for command in ["status", "tail"] {
        let ended = ask(command, &format!("http://{nobody}"), &[]).run();
        assert_eq!((ended.status, &ended.stdout[..]), (Some(FAILURE), &[][..]));
        assert!(ended.stderr[0].starts_with(&format!("error: cannot ask http://{nobody}: ")), "{ended:?}");
        let ended = ask(command, "localhost:8080", &[]).run();
        assert_eq!(ended.status, Some(USAGE), "{ended:?}");
    }
}

#[test]
fn a_tail_shows_what_comes_and_goes_on_when_the_service_is_killed_and_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).start();
    fill(&server, 0..3);
    let address = format!("127.0.0.1:{}", server.port());
    let again = |directory: &Path| {
        Program::new(["serve", "--listen", &address]).argument("--data-dir", directory).start()
    };
    let all = ask("tail", &url(&server), &["--after", "0", "--json"]).spawn();
    let from_now_on = ask("tail", &url(&server), &[]).spawn();
    let position = |line: &str| -> u64 {
        let event: Value = serde_json::from_str(line).unwrap();
        event["position"].as_str().unwrap().parse().unwrap()
    };
    for wanted in 1..=5 {
        assert_eq!(position(&next_line(&all)), wanted);
    }
    // It may have come before the next order, or not yet: then it would begin behind that.
    let mut orders = 3..;
    let mut place = |server: &Server| {
        let order = orders.next().unwrap();
        fill(server, order..order + 1);
    };
    wait_until("it follows", || {
        place(&server);
        from_now_on.said()
    });
    server.kill();
    let server = again(directory.path());
    place(&server);
    let end = server.get("/events?limit=1000").json().as_array().unwrap().len() as u64;
    for wanted in 6..=end {
        assert_eq!(position(&next_line(&all)), wanted, "nothing is left out, and nothing comes twice");
    }
    let last = wait_until("the last event comes", || {
        from_now_on.said().filter(|line| line.contains(&format!("  {end}  ")))
    });
    assert!(last.contains("  order.") && last.contains("  {"), "{last}");
    assert!(all.log().contains("; going on behind position "), "{}", all.log());
}

#[test]
fn a_tail_shows_only_what_it_was_asked_for() {
    let server = Program::serve().argument("--store", "memory:").start();
    fill(&server, 0..5);
    let of_an_order = ask("tail", &url(&server), &["--after", "0", "--order-id", "o2"]).spawn();
    assert!(next_line(&of_an_order).contains("  order.placed.v1  o2 v1  {"));
    assert!(next_line(&of_an_order).contains("  order.payment_authorized.v1  o2 v2  {"));
    let of_a_type = ask("tail", &url(&server), &["--after", "0", "--type", "order.payment_authorized.v1"]);
    let of_types = ask("tail", &url(&server), &["--after", "0"])
        .variable("ORDER_SERVICE_TYPE", "order.shipped.v1 order.payment_authorized.v1");
    for tail in [of_a_type.spawn(), of_types.spawn()] {
        for order in ["o0", "o2", "o4"] {
            assert!(next_line(&tail).contains(&format!("  {order} v2  ")));
        }
    }
}

#[test]
fn a_tail_that_is_refused_says_every_fault_with_its_place() {
    let server = Program::serve().argument("--store", "memory:").start();
    let ended = ask("tail", &url(&server), &["--after", "0", "--type", "order placed"]).run();
    assert_eq!(ended.status, Some(FAILURE), "{ended:?}");
    assert!(ended.stderr[0].contains(" (type: "), "{ended:?}");
}

#[test]
fn a_service_without_tls_that_is_asked_with_it_is_told_as_one() {
    let server = Program::serve().argument("--store", "memory:").start();
    let ended = status(&url(&server).replace("http:", "https:"), &[]);
    assert_eq!(ended.status, Some(FAILURE), "{ended:?}");
    let told = format!("one without is asked with --url {}", url(&server));
    assert!(ended.stderr[0].contains(&told), "{ended:?}");
}

#[test]
fn a_tail_of_what_will_never_be_ends() {
    let server = Program::serve().argument("--store", "memory:").start();
    let ended = ask("tail", &url(&server), &["--after", "7"]).run();
    assert_eq!(ended.status, Some(FAILURE), "{ended:?}");
    assert_eq!(ended.stderr, ["error: 409 position-ahead: The log ends at position 0."]);
}
