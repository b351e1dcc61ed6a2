//! `export`: the log as lines, beside a running server.

use std::fs;

use serde_json::Value;

use crate::damage::edit;
use crate::server::{Program, Server};

/// Orders with a step or two each.
pub(crate) fn fill(server: &Server, orders: std::ops::Range<usize>) {
    let mut client = server.connect();
    for order in orders {
        let placement = format!(
            r#"{{"order_id":"o{order}","customer_id":"cüst","items":[{{"SKU":"s","Quantity":{},"UnitPriceCents":7}}]}}"#,
            1 + order % 5
        );
        assert_eq!(client.post("/orders", &placement).unwrap().status, 201);
        if order % 2 == 0 {
            let paid = client.post(&format!("/orders/o{order}/payment"), r#"{"payment_id":"p"}"#).unwrap();
            assert_eq!(paid.status, 202, "{}", paid.text());
        }
    }
}

#[test]
fn each_line_is_an_event_as_the_api_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).argument("--event-source", "/a_\"shop\"").start();
    fill(&server, 0..40);
    let export = || {
        Program::new(["export"])
            .argument("--data-dir", directory.path())
            .argument("--event-source", "/a_\"shop\"")
    };
    let all = export().run();
    assert_eq!((all.status, &all.stderr[..]), (Some(0), &[][..]));
    let page = server.get("/events?limit=1000");
    let mut before = None;
    let without = all.stdout.iter().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        let names_the_one_before = before
            .replace(event["id"].clone())
            .map_or_else(String::new, |id| format!(",\"previousid\":{id}"));
        assert_eq!(event["previousid"].is_null(), names_the_one_before.is_empty(), "{line}");
        line.replacen(&names_the_one_before, "", 1)
    });
    let without: Vec<_> = without.collect();
    assert_eq!(format!("[{}]", without.join(",")), page.text());
    let some = export().argument("--from-position", "51").run();
    assert_eq!((some.status, &some.stdout[..]), (Some(0), &all.stdout[50..]));
    let none = export().argument("--from-position", "61").run();
    assert_eq!((none.status, none.stdout.len()), (Some(0), 0));
    let beyond = export().argument("--from-position", "62").run();
    assert_eq!((beyond.status, beyond.stdout.len()), (Some(1), 0));
    assert_eq!(beyond.stderr, ["error: there is no position 62: the log ends at 60"]);
    server.stop();
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).start();
    fill(&server, 0..400);
    let first = "set -o pipefail; \"$0\" \"$@\" | head -n 1";
    let ended = Program::started_by(&["bash", "-c", first], ["export"])
        .argument("--data-dir", directory.path())
        .run();
    assert_eq!((ended.status, ended.stdout.len(), &ended.stderr[..]), (Some(0), 1, &[][..]));
}

/// Whoever looks for what is behind a damaged event gets it.
#[test]
fn what_comes_after_a_damaged_event_is_exported_and_does_not_name_that() {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).start();
    fill(&server, 0..10);
    server.stop();
    edit(&directory, "UPDATE events SET data = replace(data, '7', '8') WHERE position = 3");
    let export = |from: &str| {
        Program::new(["export", "--from-position", from]).argument("--data-dir", directory.path()).run()
    };
    let told = export("3");
    assert_eq!((told.status, told.stdout.len()), (Some(1), 0), "{told:?}");
    let behind = export("4");
    assert_eq!((behind.status, behind.stdout.len()), (Some(0), 12), "{behind:?}");
    let names: Vec<_> = behind.stdout.iter().map(|line| line.contains("\"previousid\":")).collect();
    assert_eq!((names[0], names[1..].iter().all(|names| *names)), (false, true), "{behind:?}");
    let warned = "warning: the first line does not name the event before it, which is damaged: ";
    assert!(behind.stderr[0].starts_with(warned), "{behind:?}");
}

#[test]
fn what_cannot_be_exported_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let nothing = Program::new(["export"]).argument("--data-dir", directory.path().join("none")).run();
    assert_eq!((nothing.status, nothing.stdout.len()), (Some(1), 0));
    assert!(nothing.stderr[0].starts_with("error: "), "{:?}", nothing.stderr);
    let memory = Program::new(["export", "--store", "memory:"]).run();
    assert_eq!(memory.stderr, ["error: memory: is gone at exit, so there is nothing to write"]);
    assert_eq!(memory.status, Some(2));
    let zero = Program::new(["export", "--from-position", "0"]).run();
    assert_eq!(zero.stderr, ["error: --from-position: must be a whole number from 1"]);
    assert_eq!(zero.status, Some(2));
}

#[test]
fn a_replica_that_cannot_be_is_told_all_at_once() {
    let ended = Program::new(["replica", "--store", "postgres://u@h/d", "--listen", "nowhere"]).run();
    assert_eq!(ended.status, Some(2));
    assert_eq!(
        ended.stderr,
        [
            "error: --store: a replica keeps its orders in sqlite:FILE or memory:",
            "error: --listen: \"nowhere\" is not an address: use :8080, 0.0.0.0:8080 or [::1]:8080",
            "error: --from: is required",
        ]
    );
    let postgres = ["replica", "--store", "postgres://u@h/d", "--from", "nats://127.0.0.1:1"];
    let ended = Program::new(postgres).run();
    assert_eq!(ended.stderr, ["error: --store: a replica keeps its orders in sqlite:FILE or memory:"]);
}

#[test]
fn a_file_that_is_no_export_is_told_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(&directory.path().join("primary")).start();
    fill(&server, 0..3);
    let lines =
        Program::new(["export"]).argument("--data-dir", directory.path().join("primary")).run().stdout;
    let import = |lines: &[&str]| {
        let file = directory.path().join("events");
        fs::write(&file, lines.join("\n")).unwrap();
        // Nobody is at port 1.
        let ended = Program::new([
            "replica",
            "--from",
            "nats://127.0.0.1:1",
            "--listen",
            "127.0.0.1:0",
            "--store",
            "memory:",
        ])
        .argument("--from-file", &file)
        .run();
        assert_eq!((ended.status, ended.stdout.len()), (Some(1), 0));
        ended.stderr.last().unwrap().replace(&*file.to_string_lossy(), "FILE")
    };
    let fault = import(&[&lines[0], &lines[1], "{}"]);
    assert_eq!(fault, "error: FILE, line 3: the attribute data is missing");
    let fault = import(&[&lines[0], &lines[2]]);
    assert_eq!(fault, "error: FILE, line 2: position 3 comes where 2 should");
    let fault = import(&[&lines[0], "", &lines[1]]);
    assert!(fault.starts_with("error: FILE, line 2: "), "{fault}");
}
