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
fn an_option_before_its_command() {
    let ended = Program::new(["--data-dir", "somewhere", "verify"]).run();
    assert_refused(&ended, USAGE, &["put options behind it, as in `order-service verify --data-dir DIR`"]);
    for (command, example) in [
        ("status", "order-service status --url URL`"),
        ("tail", "order-service tail --url URL`"),
        ("copy", "order-service copy --from URL`"),
        ("replica", "order-service replica --from URL`"),
        ("print", "order-service print`"),
    ] {
        let ended = Program::new(["--data-dir", "somewhere", command]).run();
        assert_refused(&ended, USAGE, &[example]);
    }
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
    let operators = Program::new(["--listen", ":0", "--operate-listen", &address]);
    let ended = operators.argument("--data-dir", directory.path()).run();
    assert_refused(&ended, FAILURE, &[&format!("cannot listen on {address}: ")]);
}

#[test]
fn a_data_directory_that_is_a_file_or_below_one() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let told = format!("error: cannot use {}: it is a file, and a directory is wanted", file.display());
    let at = |command, data: &Path| Program::new([command]).argument("--data-dir", data).run();
    for command in ["serve", "verify", "rebuild", "export"] {
        for data in [file.clone(), file.join("data"), file.join("more/data")] {
            assert_eq!(at(command, &data).stderr, [told.as_str()], "{command} {}", data.display());
        }
    }
    // And the other way round.
    let store = format!("sqlite:{}", directory.path().display());
    let told =
        format!("error: cannot use {}: it is a directory, and a file is wanted", directory.path().display());
    for command in ["serve", "verify", "rebuild", "export"] {
        let ended = Program::new([command, "--store", &store]).run();
        assert_eq!(ended.stderr, [told.as_str()], "{command}");
    }
}

/// The system's words come once, whatever they are wrapped in.
#[test]
fn a_cause_is_told_once() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let store = format!("sqlite:{}", directory.path().join("replica.db").display());
    let runs = [
        Program::new(["verify"]).argument("--data-dir", &missing),
        Program::new(["export"]).argument("--data-dir", &missing),
        Program::new(["serve"]).argument("--config", &missing),
        Program::new(["replica", "--from", "nats://127.0.0.1:1", "--listen", ":0", "--store", &store])
            .argument("--from-file", &missing),
    ];
    for program in runs {
        let ended = program.run();
        let log = ended.stderr.join("\n");
        assert_eq!(log.matches("No such file").count(), 1, "{log}");
        assert!(log.contains(&*missing.to_string_lossy()), "{log}");
    }
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
    let newer = "was written by a newer release (schema 99,";
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
fn a_log_that_is_mounted_without_its_directory() {
    const MOUNT: &str = r#"mount -t tmpfs small "$ELSEWHERE" && touch "$ELSEWHERE/f" "$LOG" \
        && mount --bind "$ELSEWHERE/f" "$LOG" && exec "$0" "$@""#;
    let (elsewhere, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mounting = ["unshare", "--map-root-user", "--mount", "sh", "-c", MOUNT];
    let serve = Program::started_by(&mounting, ["serve", "--listen", "127.0.0.1:0"]);
    let serve = serve.argument("--data-dir", data.path()).variable("ELSEWHERE", elsewhere.path());
    let ended = serve.variable("LOG", data.path().join("orders.db")).run();
    if ended.stderr.iter().any(|line| line.starts_with("unshare:") || line.starts_with("mount:")) {
        eprintln!("this system lets nobody mount");
        return;
    }
    assert_refused(&ended, FAILURE, &["orders.db: it is mounted alone"]);
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
    assert_refused(&ended, USAGE, &["--data-dir and --store both say where orders are kept"]);
    let serve = || Program::new(["serve"]);
    let ended = serve().variable("ORDER_SERVICE_STORE", "memory:").argument("--data-dir", "data").run();
    assert_refused(&ended, USAGE, &["--data-dir and ORDER_SERVICE_STORE both say where orders are kept"]);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f.toml");
    fs::write(&file, "data_dir = 'data'\nstore = 'memory:'").unwrap();
    let ended = serve().argument("--config", &file).run();
    assert_refused(
        &ended,
        USAGE,
        &["f.toml: line 2: store: data_dir and store both say where orders are kept"],
    );
}

#[test]
fn a_store_in_the_file_that_a_directory_takes_the_place_of_is_told_and_checked_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f.toml");
    let serve = || {
        Program::serve()
            .argument("--config", &file)
            .variable("ORDER_SERVICE_DATA_DIR", directory.path().join("data"))
    };
    fs::write(&file, "store = 'memory:'").unwrap();
    let server = serve().start();
    let told =
        "f.toml: line 1: store: it is not used, since ORDER_SERVICE_DATA_DIR says where orders are kept";
    assert!(server.log().contains(told), "{}", server.log());
    server.stop();
    fs::write(&file, "store = 'oracle:'").unwrap();
    assert_refused(&serve().run(), USAGE, &["f.toml: line 1: store: a store is memory:"]);
}

#[test]
fn a_number_below_zero_is_refused_under_the_name_of_its_option() {
    let ended = Program::new(["serve", "--grace-seconds", "-1"]).run();
    assert_refused(&ended, USAGE, &["--grace-seconds: must be a whole number from 1"]);
}

#[test]
fn every_fault_of_the_settings_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("order-service.toml");
    let settings = ["store = 'oracle:'", "listen = 'here'", "currency = 'EURO'", "grace_seconds = 0"];
    fs::write(&file, settings.join("\n")).unwrap();
    let ended = Program::new(["serve"]).argument("--config", &file).run();
    let faults = [
        "order-service.toml: line 2: listen: \"here\" is not an address",
        "order-service.toml: line 1: store: a store is memory:, sqlite:FILE or postgres://USER@HOST/DATABASE",
        "order-service.toml: line 3: currency: \"EURO\" is not an ISO 4217 code",
        "order-service.toml: line 4: grace_seconds: must be a whole number from 1",
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
        "order-service.toml: line 1: lisen: there is no such option; did you mean listen?",
        "order-service.toml: line 4: store: ",
        "order-service.toml: line 2: max_connections: ",
        "order-service.toml: line 3: grace_seconds: ",
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
        "error: --store: ",
        "error: ORDER_SERVICE_GRACE_SECONDS: must be a whole number from 1",
        "error: ORDER_SERVICE_LOG_FORMAT: must be one of auto, text, json",
        "order-service.toml: line 2: bus: a broker is nats://HOST or kafka://HOST",
        "order-service.toml: line 1: currency: ",
    ];
    assert_refused(&ended, USAGE, &faults);
    assert!(!ended.stderr.concat().contains("SECRET"), "{ended:?}");
}

/// The file, the environment, the command line, and what only two of them together do wrong.
#[test]
fn a_file_that_is_no_toml_hides_no_other_fault() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("order-service.toml");
    fs::write(&file, "this is no TOML\nlisen = ':0'\ncurrency = 'EURO'\nlog = = 'info'\n").unwrap();
    let ended = Program::new(["serve", "--log", "trcae"])
        .argument("--config", &file)
        .variable("ORDER_SERVICE_GRACE_SECONDS", "0")
        .variable("ORDER_SERVICE_BUS", "nats://h1 nats://h2")
        .run();
    let faults = [
        "order-service.toml: line 1: ",
        "order-service.toml: line 4: ",
        "order-service.toml: line 2: lisen: there is no such option; did you mean listen?",
        "error: --log: \"trcae\" is neither a level",
        "error: ORDER_SERVICE_GRACE_SECONDS: must be a whole number from 1",
        "order-service.toml: line 3: currency: ",
        "error: ORDER_SERVICE_BUS: two brokers go by the name nats/ORDERS",
    ];
    assert_refused(&ended, USAGE, &faults);
    assert!(ended.stderr[3].ends_with("did you mean trace?"), "{ended:?}");
}

#[test]
fn a_variable_that_may_be_why_an_option_is_missing_is_told_with_it() {
    let ended = Program::new(["replica"]).variable("ORDER_SERVICE_FORM", "nats://u:SECRET@h").run();
    let warning =
        "warning: ORDER_SERVICE_FORM is set, and no option has this name; did you mean ORDER_SERVICE_FROM?";
    assert_eq!(ended.stderr, [warning, "error: --from: is required"]);
}

/// Wherever it is asked for.
#[test]
fn faults_are_json_lines_where_json_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("order-service.toml");
    fs::write(&file, "log_format = 'json'\nlisten = 'here'").unwrap();
    let serve = || Program::new(["serve"]);
    let with_flag = || Program::new(["serve", "--log-format", "json"]);
    let cases = [
        (with_flag().argument("--listen", "here"), "--listen: \"here\" is not an address"),
        (with_flag().argument("--lisen", ":0"), "unexpected argument '--lisen'"),
        (serve().variable("ORDER_SERVICE_LOG_FORMAT", "json").argument("--currency", "x"), "--currency: "),
        (serve().argument("--config", &file), "order-service.toml: line 2: listen: "),
        // It went wrong, whatever is logged.
        (with_flag().argument("--log", "off").argument("--data-dir", &file), "it is a file"),
    ];
    for (program, fault) in cases {
        let ended = program.run();
        assert_eq!(ended.stderr.len(), 1, "{ended:#?}");
        let line: serde_json::Value = serde_json::from_str(&ended.stderr[0]).unwrap();
        assert_eq!(line["level"], "ERROR");
        assert!(line["timestamp"].is_string(), "{line}");
        assert!(line["message"].as_str().unwrap().contains(fault), "{line} does not say {fault:?}");
    }
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
