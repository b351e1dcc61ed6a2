//! What cannot be served is refused at the start: a clear line on standard error for each fault, and an exit status.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use crate::server::{Ended, Program};

/// It went wrong.
pub(crate) const FAILURE: i32 = 1;
/// What was asked for cannot be.
pub(crate) const USAGE: i32 = 2;

/// One line for each fault, naming what is wrong; nothing on standard output.
#[track_caller]
pub(crate) fn assert_refused(ended: &Ended, status: i32, faults: &[&str]) {
    assert_eq!(ended.status, Some(status), "{ended:?}");
    assert_eq!(ended.stdout, [""; 0]);
    assert_eq!(ended.stderr.len(), faults.len(), "{ended:#?}");
    for (line, fault) in ended.stderr.iter().zip(faults) {
        assert!(line.starts_with("error: ") && line.contains(fault), "{line:?} does not say {fault:?}");
    }
}

/// A data directory with an order in it.
fn stopped_store() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).start();
    let placed = server.post(
        "/orders",
        r#"{"order_id":"o","customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1}]}"#,
    );
    assert_eq!(placed.status, 201);
    server.stop();
    directory
}

fn sql(file: &Path, statement: &str) {
    rusqlite::Connection::open(file).unwrap().execute_batch(statement).unwrap();
}

#[test]
fn a_port_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Program::new(["--listen", &address]).argument("--data-dir", directory.path()).run();
    assert_refused(&ended, FAILURE, &[&format!("cannot listen on {address}: ")]);
    let port = format!(":{}", taken.local_addr().unwrap().port());
    let ended = Program::new(["--listen", &port]).argument("--data-dir", directory.path()).run();
    assert_refused(&ended, FAILURE, &[&format!("cannot listen on {address}: ")]);
}

#[test]
fn a_data_directory_that_is_a_file_or_below_one() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let path = file.to_string_lossy();
    assert_refused(&Program::serving(&file).run(), FAILURE, &[&path]);
    assert_refused(&Program::serving(&file.join("data")).run(), FAILURE, &[&path]);
}

#[test]
fn a_data_directory_that_may_not_be_written() {
    // No permission stops root.
    if rustix::process::geteuid().is_root() {
        return;
    }
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o500)).unwrap();
    let ended = Program::serving(directory.path()).run();
    assert_refused(&ended, FAILURE, &["Permission denied"]);
    let ended = Program::serving(&directory.path().join("data")).run();
    assert_refused(&ended, FAILURE, &["Permission denied"]);
}

#[test]
fn a_second_server_on_the_same_data() {
    let directory = tempfile::tempdir().unwrap();
    let first = Program::serving(directory.path()).start();
    let in_use = "is in use by another process";
    assert_refused(&Program::serving(directory.path()).run(), FAILURE, &[in_use]);
    let verify = Program::new(["verify"]).argument("--data-dir", directory.path()).run();
    assert_refused(&verify, FAILURE, &[in_use]);
    assert_eq!(first.get("/health").status, 200);
    first.stop();
}

#[test]
fn a_store_from_a_newer_version() {
    let directory = stopped_store();
    let newer = "UPDATE log SET oldest_compatible = 98; PRAGMA user_version = 99";
    sql(&directory.path().join("orders.db"), newer);
    let newer = "was written by a newer version (schema 99,";
    assert_refused(&Program::serving(directory.path()).run(), FAILURE, &[newer]);
}

#[test]
fn a_file_that_is_no_store() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("orders.db"), "a shopping list, and a long one. ".repeat(200)).unwrap();
    assert_refused(&Program::serving(directory.path()).run(), FAILURE, &["is not an order store"]);
    let directory = tempfile::tempdir().unwrap();
    sql(&directory.path().join("orders.db"), "CREATE TABLE recipes (id INTEGER)");
    assert_refused(&Program::serving(directory.path()).run(), FAILURE, &["is not an order store"]);
}

#[test]
fn a_store_whose_pages_are_broken() {
    let directory = stopped_store();
    let file = directory.path().join("orders.db");
    let mut bytes = fs::read(&file).unwrap();
    bytes[100..].fill(0xA5);
    fs::write(&file, bytes).unwrap();
    assert_refused(&Program::serving(directory.path()).run(), FAILURE, &["orders.db"]);
}

#[test]
fn two_places_for_orders() {
    let ended = Program::serve().argument("--store", "memory:").argument("--data-dir", "data").run();
    assert_refused(&ended, USAGE, &["data-dir and store both say where orders are kept"]);
}

#[test]
fn every_fault_of_the_settings_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("order-service.toml");
    let settings = ["store = 'oracle:'", "listen = 'here'", "currency = 'EURO'", "grace_seconds = 0"];
    fs::write(&file, settings.join("\n")).unwrap();
    let ended = Program::new(["serve"]).argument("--config", &file).run();
    let faults = [
        "order-service.toml: store: a store is memory:, sqlite:FILE or postgres://USER@HOST/DATABASE",
        "order-service.toml: listen: \"here\" is not an address",
        "order-service.toml: grace_seconds: must be a whole number from 1",
        "order-service.toml: currency: \"EURO\" is not an ISO 4217 code",
    ];
    assert_refused(&ended, USAGE, &faults);
}

#[test]
fn a_settings_file_that_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("order-service.toml");
    let run = || Program::new(["serve"]).argument("--config", &file).run();
    assert_refused(&run(), USAGE, &["order-service.toml: "]);
    fs::write(&file, "listen = ':0'\nthis is no TOML\n").unwrap();
    assert_refused(&run(), USAGE, &["order-service.toml: line 2: "]);
    fs::write(&file, "lisen = ':0'\nmax_connections = 'many'\ngrace_seconds = -1\nstore = 7").unwrap();
    let faults = [
        "order-service.toml: lisen: there is no such option",
        "order-service.toml: store: ",
        "order-service.toml: max_connections: ",
        "order-service.toml: grace_seconds: ",
    ];
    assert_refused(&run(), USAGE, &faults);
}

#[test]
fn a_fault_is_told_under_the_name_that_its_option_has_where_it_is_given_and_without_its_value() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("order-service.toml");
    fs::write(&file, "currency = 'EURO'\nbus = 'mqtt://h'").unwrap();
    let ended = Program::new(["serve", "--store", "postgres://u:SECRET@h:port/d"])
        .argument("--config", &file)
        .variable("ORDER_SERVICE_GRACE_SECONDS", "0")
        .variable("ORDER_SERVICE_LOG_FORMAT", "xml")
        .run();
    let faults = [
        "error: store: ",
        "error: ORDER_SERVICE_GRACE_SECONDS: must be a whole number from 1",
        "error: ORDER_SERVICE_LOG_FORMAT: must be one of auto, text, json",
        "order-service.toml: currency: ",
        "order-service.toml: bus: a broker is nats://HOST or kafka://HOST",
    ];
    assert_refused(&ended, USAGE, &faults);
    assert!(!ended.stderr.concat().contains("SECRET"), "{ended:?}");
}

#[test]
fn arguments_that_mean_nothing() {
    for arguments in
        [["serve", "--colour", "red"], ["server", "--listen", ":0"], ["verify", "--listen", ":0"]]
    {
        let ended = Program::new(arguments).run();
        assert_eq!((ended.status, ended.stdout.len()), (Some(USAGE), 0), "{ended:?}");
        assert!(ended.stderr[0].starts_with("error: "), "{ended:?}");
    }
    for address in ["here", "8080", ":99999", "example.com:80"] {
        let ended = Program::new(["serve", "--listen", address]).run();
        assert_refused(&ended, USAGE, &["is not an address: use :8080"]);
    }
}

/// Wherever somebody puts it by mistake.
#[test]
fn a_password_is_never_repeated() {
    const URLS: [&str; 5] = [
        "postgres://u:SECRET@h/d",
        "postgres://u:SECRET@h:port/d?no=such",
        "postgres://h/d?user=u&password=SECRET&no=such",
        "nats://SECRET@h:port",
        "kafka://u:SECRET",
    ];
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("settings.toml");
    for url in URLS {
        let glued = [format!("--store{url}"), format!("--stor={url}"), format!("--currency={url}")];
        let arguments = [
            vec![url],
            vec!["serve", url],
            vec!["verify", "--store", "memory:", url],
            vec!["copy", "--from", url],
            vec!["--currency", url],
            vec!["--listen", url],
            vec!["--config", url],
            vec!["--log-format", url],
            vec!["--bus", url, "--listen", "nowhere"],
            vec!["replica", "--store", url, "--from", url],
        ];
        let glued = glued.iter().map(|argument| vec![argument.as_str()]);
        let mut programs: Vec<_> = arguments.into_iter().chain(glued).map(Program::new).collect();
        for variable in ["STORE", "BUS", "LISTEN", "CONFIG", "LOG", "CURRENCY", "MAX_CONNECTIONS", "NO_SUCH"]
        {
            let program = Program::new(["serve", "--idle-timeout-seconds", "none"]);
            programs.push(program.variable(&format!("ORDER_SERVICE_{variable}"), url));
        }
        for settings in [format!("store = {url}"), format!("currency = '{url}'"), format!("'{url}' = 1")] {
            fs::write(&file, settings).unwrap();
            let ended = Program::new(["serve"]).argument("--config", &file).run();
            assert_refused_without_secret(&ended);
        }
        for program in programs {
            assert_refused_without_secret(&program.run());
        }
    }
}

#[track_caller]
fn assert_refused_without_secret(ended: &Ended) {
    assert_ne!(ended.status, Some(0), "{ended:?}");
    assert!(!format!("{ended:?}").contains("SECRET"), "{ended:?}");
}
