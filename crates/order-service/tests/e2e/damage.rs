//! Stores that were damaged: `verify` says so, views are rebuilt, and what cannot be trusted is not served.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::export::fill;
use crate::http::Answer;
use crate::server::{Ended, Program, Server, wait_until};
use crate::start_up::{FAILURE, assert_refused};

/// A store with three paid orders whose server has stopped.
pub(crate) fn stopped_store(customer: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).start();
    for order in ["a", "b", "c"] {
        let placement = format!(
            r#"{{"order_id":"{order}","customer_id":"{customer}-{order}","items":[{{"SKU":"s","Quantity":2,"UnitPriceCents":5}}]}}"#
        );
        assert_eq!(server.post("/orders", &placement).status, 201);
        let paid = server.post(&format!("/orders/{order}/payment"), r#"{"payment_id":"p"}"#);
        assert_eq!(paid.status, 202);
    }
    server.stop();
    directory
}

pub(crate) fn verify(directory: &TempDir) -> Ended {
    Program::new(["verify"]).argument("--data-dir", directory.path()).run()
}

pub(crate) fn edit(directory: &TempDir, statement: &str) {
    let log = rusqlite::Connection::open(directory.path().join("orders.db")).unwrap();
    log.execute_batch(statement).unwrap();
}

pub(crate) fn edit_views(directory: &TempDir, statement: &str) {
    let files = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.to_string_lossy().ends_with(".db")).collect();
    files.retain(|path| path.to_string_lossy().contains(".views."));
    for file in files {
        rusqlite::Connection::open(file).unwrap().execute_batch(statement).unwrap();
    }
}

/// Everything that comes from the views.
pub(crate) fn view_reads(server: &Server) -> Vec<Answer> {
    ["/orders", "/orders?limit=2", "/orders/a", "/orders/b", "/orders/c/events"]
        .map(|path| server.get_undated(path))
        .into()
}

#[test]
fn verify_is_content_with_a_sound_store() {
    let directory = stopped_store("customer");
    let ended = verify(&directory);
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert_eq!(ended.stdout, ["all is well: 6 events of 3 orders checked"]);
    assert_eq!(ended.stderr, [""; 0]);
}

#[test]
fn verify_finds_an_edited_row() {
    let directory = stopped_store("customer");
    edit(&directory, "UPDATE events SET data = replace(data, '5', '6') WHERE position = 3");
    let ended = verify(&directory);
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stdout[0].contains("event at position 3: the checksum does not match"), "{ended:?}");
}

#[test]
fn verify_finds_a_flipped_bit_and_the_server_does_not_serve_it() {
    let directory = stopped_store("customer");
    let file = directory.path().join("orders.db");
    let mut bytes = fs::read(&file).unwrap();
    let text = b"customer-b";
    let at = bytes.windows(text.len()).position(|window| window == text).unwrap();
    bytes[at] ^= 1;
    fs::write(&file, bytes).unwrap();
    let ended = verify(&directory);
    assert_eq!(ended.status, Some(3), "{ended:?}");
    assert!(ended.stdout[0].contains("event at position 3: the checksum does not match"), "{ended:?}");

    let server = Program::serving(directory.path()).start();
    for path in ["/orders/b/events", "/orders/b?view=full", "/events?after=2"] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.code().as_str()), (503, "corrupt"), "{path}");
        assert!(!answer.text().contains("checksum"), "the cause is shown: {answer:?}");
    }
    let failed = r#""method":"GET","route":"/orders/{id}/events","path":"/orders/b/events""#;
    for told in ["event at position 3: the checksum does not match", failed] {
        wait_until("a failure is told, and names its request", || server.log().contains(told).then_some(()));
    }
    assert_eq!(server.get("/orders/a/events").status, 200);
    server.stop();
}

/// Nobody knows what else is malformed, and the next event may be written there.
#[test]
fn a_page_of_the_log_that_turns_out_malformed_stops_commands_and_is_told_once() {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).start();
    fill(&server, 0..60);
    server.stop();
    let file = directory.path().join("orders.db");
    let mut bytes = fs::read(&file).unwrap();
    let text = b"o30";
    let page = bytes.windows(text.len()).position(|window| window == text).unwrap() / 4096 * 4096;
    bytes[page..page + 4096].fill(0);
    fs::write(&file, bytes).unwrap();

    // The scrubber would find it before a reader does.
    let server = Program::serving(directory.path()).argument("--scrub-rate", "0").start();
    assert_eq!(server.get("/ready").status, 200);
    fill(&server, 60..61);
    let read = server.get("/orders/o30/events");
    assert_eq!((read.status, read.code().as_str()), (503, "corrupt"));
    let ready = server.get("/ready");
    assert_eq!((ready.status, &ready.json()["checks"]["store"]), (503, &"corrupt".into()), "{ready:?}");
    for _ in 0..3 {
        let refused = server.post("/orders/o60/reserve", r#"{"reservation_id":"r"}"#);
        assert_eq!((refused.status, refused.code().as_str()), (503, "corrupt"));
    }
    assert_eq!(server.get("/orders/o60").status, 200);
    let stops = "no command is taken any more";
    wait_until("it is told", || server.log().contains(stops).then_some(()));
    assert_eq!(server.log().matches(stops).count(), 1, "{}", server.log());
    assert!(server.log().contains("stop the service, and run `order-service verify`"), "{}", server.log());
    assert_eq!(server.get("/health").status, 200);
    server.stop();
}

#[test]
fn verify_of_what_is_not_there_fails_and_makes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let ended = Program::new(["verify"]).argument("--data-dir", &missing).run();
    assert_eq!((ended.status, &ended.stdout[..]), (Some(1), &[][..]), "{ended:?}");
    assert!(ended.stderr[0].starts_with("error: cannot use "), "{ended:?}");
    assert!(!missing.exists());
    let ended = Program::new(["verify"]).argument("--store", "memory:").run();
    assert_eq!(ended.status, Some(2), "{ended:?}");
}

fn remove_views(directory: &Path) {
    for file in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if file.file_name().unwrap().to_string_lossy().contains(".views.") {
            fs::remove_file(file).unwrap();
        }
    }
}

#[test]
fn views_that_were_deleted_are_rebuilt_at_the_start_and_those_of_another_log_if_that_is_accepted() {
    let directory = stopped_store("customer");
    let server = Program::serving(directory.path()).start();
    let before = view_reads(&server);
    server.stop();

    remove_views(directory.path());
    let server = Program::serving(directory.path()).start();
    assert_eq!(view_reads(&server), before);
    // Killed, so that the views are not even finished.
    server.kill();

    remove_views(directory.path());
    let other = stopped_store("somebody-else");
    fs::copy(other.path().join("orders.views.1.db"), directory.path().join("orders.views.1.db")).unwrap();
    let refused = Program::serving(directory.path()).run();
    assert_refused(&refused, FAILURE, &["orders.views.1.db are of another log, which had positions up to 6"]);
    let server = Program::serving(directory.path()).argument("--accept-loss", "true").start();
    assert_eq!(view_reads(&server), before);
    assert!(server.log().contains("they are of another log"), "{}", server.log());
    server.stop();
    assert_eq!(verify(&directory).status, Some(0));
}
