//! Clocks that are far off: dates are labels, and whatever a clock says, orders are taken and shown.

use std::path::Path;
use std::process::Command;

use crate::checker::verify;
use crate::server::Program;

/// Builds what has a program's clock be wrong.
pub(crate) fn wrong_clock(directory: &Path) -> std::path::PathBuf {
    let library = directory.join("clock.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/faults/clock.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
    assert!(built.unwrap().success());
    library
}

const YEAR_SECONDS: i64 = 31_556_952;

/// Serves with a clock that is so many years off, and answers with a date that it gave.
#[track_caller]
fn date_of_a_clock_that_is_off_by(years: i64) -> String {
    let directory = tempfile::tempdir().unwrap();
    let clock = wrong_clock(directory.path());
    let data = directory.path().join("data");
    let program = Program::serving(&data).argument("--log", "debug");
    let mut server = program
        .variable("LD_PRELOAD", clock)
        .variable("CLOCK_OFFSET_SECONDS", (years * YEAR_SECONDS).to_string())
        .start();
    let order = r#"{"order_id":"o","customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1}],"pay_within_seconds":31536000}"#;
    assert_eq!(server.post("/orders", order).status, 201);
    assert_eq!(server.post("/orders/o/payment", r#"{"payment_id":"p"}"#).status, 202);
    for path in
        ["/health", "/ready", "/orders", "/orders/o", "/orders/o?view=full", "/events", "/orders/o/events"]
    {
        let answer = server.get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    let date = server.get("/health").header("date").unwrap().to_owned();
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    server.assert_no_panic();
    verify(&data).unwrap();
    // What was written then is read now.
    let server = Program::serving(&data).start();
    assert_eq!(server.get("/orders/o?view=full").status, 200);
    server.stop();
    date
}

#[test]
fn a_clock_before_1970_is_no_panic() {
    assert_eq!(date_of_a_clock_that_is_off_by(-200), "Thu, 01 Jan 1970 00:00:00 GMT");
}

#[test]
fn a_clock_after_9999_is_no_panic() {
    assert_eq!(date_of_a_clock_that_is_off_by(9_000), "Fri, 31 Dec 9999 23:59:59 GMT");
}

#[test]
fn a_clock_of_today_is_shown() {
    let date = date_of_a_clock_that_is_off_by(0);
    assert!(date.contains(" 20") && date.ends_with(" GMT"), "{date}");
}
