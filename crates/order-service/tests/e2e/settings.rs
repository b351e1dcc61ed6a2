//! Flag over environment over file, and a help that names everything.

use std::fs;

use rustix::process::Signal;

use crate::server::Program;

/// The currency that an order gets which names none.
fn currency(program: Program) -> String {
    let server = program.start();
    let placement =
        r#"{"order_id":"o","customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1}]}"#;
    assert_eq!(server.post("/orders", placement).status, 201);
    let order = server.get("/orders/o?view=full").json();
    server.stop();
    order["Currency"].as_str().unwrap().to_owned()
}

#[test]
fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("order-service.toml");
    fs::write(&file, "currency = 'EUR'\nstore = 'memory:'").unwrap();
    let serve = || Program::serve().variable("ORDER_SERVICE_CONFIG", &file);

    assert_eq!(currency(Program::serve().argument("--store", "memory:")), "USD");
    assert_eq!(currency(serve()), "EUR");
    assert_eq!(currency(serve().variable("ORDER_SERVICE_CURRENCY", "GBP")), "GBP");
    let all = serve().variable("ORDER_SERVICE_CURRENCY", "GBP").argument("--currency", "JPY");
    assert_eq!(currency(all), "JPY");
    // The file can be named by a flag as well, which goes before the environment.
    let other = directory.path().join("other.toml");
    fs::write(&other, "currency = 'CHF'\nstore = 'memory:'").unwrap();
    assert_eq!(currency(serve().argument("--config", &other)), "CHF");
}

#[test]
fn an_empty_variable_is_as_good_as_none() {
    let serve = || Program::serve().argument("--store", "memory:").variable("ORDER_SERVICE_BUS", "");
    assert_eq!(currency(serve().variable("ORDER_SERVICE_CURRENCY", "")), "USD");
}

#[test]
fn a_variable_that_no_option_has_is_warned_of() {
    let mut server = Program::serve()
        .argument("--store", "memory:")
        .variable("ORDER_SERVICE_LISTENN", "SECRET")
        .variable("ORDER_SERVICE_SERVICE_HOST", "10.0.0.1")
        .variable("ORDER_SERVICE_PORT_8080_TCP", "tcp://10.0.0.1:8080")
        .start();
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let log = server.log();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let warnings: Vec<_> =
        lines.filter(|line| line["level"] == "WARN").map(|line| line["message"].clone()).collect();
    let told =
        "ORDER_SERVICE_LISTENN is set, and no option has this name; did you mean ORDER_SERVICE_LISTEN?";
    assert_eq!(warnings, [told]);

    // A command without a log says it to whoever called it.
    let directory = tempfile::tempdir().unwrap();
    Program::serving(directory.path()).start().stop();
    let verify = Program::new(["verify"]).argument("--data-dir", directory.path());
    let ended = verify.variable("ORDER_SERVICE_LISTENN", "SECRET").run();
    assert_eq!((ended.status, ended.stderr), (Some(0), vec![format!("warning: {told}")]));
}

#[test]
fn what_is_given_without_a_name_is_given_on_the_command_line_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (file, data, backup) =
        (directory.path().join("f.toml"), directory.path().join("data"), directory.path().join("backup"));
    Program::serving(&data).start().stop();
    fs::write(&file, format!("data_dir = {data:?}\ndirectory = {backup:?}")).unwrap();
    let ended = Program::new(["backup"])
        .argument("--config", &file)
        .variable("ORDER_SERVICE_DIRECTORY", &backup)
        .run();
    assert_eq!((ended.status, ended.stdout.len()), (Some(2), 0), "{ended:?}");
    let told = ended.stderr.join("\n");
    for fault in [
        "ORDER_SERVICE_DIRECTORY is set, and no option has this name",
        "f.toml: line 2: directory: there is no such option",
    ] {
        assert!(told.contains(fault), "{fault}: {told}");
    }
    assert!(!backup.exists());
}

/// An option that may be given several times is given once.
#[test]
fn a_text_in_the_file_does_for_a_list_of_one() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("order-service.toml");
    for bus in ["'nats://127.0.0.1:1'", "['nats://127.0.0.1:1']"] {
        fs::write(&file, format!("bus = {bus}\nstore = 'memory:'")).unwrap();
        let server = Program::serve().argument("--config", &file).start();
        let relays = server.get("/ready").json()["checks"]["relays"].clone();
        assert!(relays["nats/ORDERS"].is_object(), "{bus}: {relays}");
        server.stop();
    }
}

#[test]
fn a_directory_on_the_command_line_takes_the_place_of_a_store_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("order-service.toml");
    fs::write(&file, "store = 'memory:'").unwrap();
    let data = directory.path().join("data");
    Program::serving(&data).argument("--config", &file).start().stop();
    assert!(data.join("orders.db").exists());
}

#[test]
fn help_names_every_option_with_its_variable() {
    let options = [
        "config",
        "data-dir",
        "store",
        "postgres-connections",
        "allow-unsafe-durability",
        "accept-loss",
        "existing-store",
        "queue-wait-milliseconds",
        "listen",
        "operate-listen",
        "access",
        "open-access",
        "trusted-proxy",
        "currency",
        "clock-pause-seconds",
        "keep-keys-hours",
        "scrub-rate",
        "bus",
        "event-source",
        "tls-cert",
        "tls-key",
        "max-connections",
        "max-answer-bytes",
        "idle-timeout-seconds",
        "body-timeout-seconds",
        "max-open-body-bytes",
        "max-open-page-bytes",
        "max-feeds",
        "drain-delay-seconds",
        "grace-seconds",
        "log",
        "log-format",
    ];
    for (arguments, options) in [
        (vec!["--help"], &options[..]),
        (vec!["serve", "--help"], &options[..]),
        (vec!["verify", "--help"], &options[..5]),
        (vec!["rebuild", "--help"], &options[..5]),
    ] {
        let help = Program::new(&arguments).run();
        assert_eq!((help.status, &help.stderr[..]), (Some(0), &[][..]));
        let text = help.stdout.join("\n");
        for option in options {
            let variable = format!("ORDER_SERVICE_{}", option.to_uppercase().replace('-', "_"));
            assert!(
                text.contains(&format!("--{option} ")),
                "{arguments:?} does not name --{option}:\n{text}"
            );
            assert!(
                text.contains(&format!("[env: {variable}")),
                "{arguments:?} does not name {variable}:\n{text}"
            );
        }
    }
    let help = Program::new(["--help"]).run().stdout.join("\n");
    assert!(
        ["serve", "verify", "rebuild", "copy", "migrate", "republish", "replica", "export", "keys"]
            .iter()
            .all(|command| help.contains(&format!("\n  {command} "))),
        "{help}"
    );
    assert!(help.contains("- json: One JSON object a line"), "what may be given is told: {help}");
    for (arguments, usage) in [
        (["replica", "--help"], "Usage: order-service replica [OPTIONS] --from <URL>"),
        (["backup", "--help"], "Usage: order-service backup [OPTIONS] <DIR>"),
    ] {
        let help = Program::new(arguments).run().stdout;
        assert!(help.iter().any(|line| line == usage), "what is required is told: {help:#?}");
    }
    // Nothing is said of options that this list does not know.
    let named = help.matches("[env: ").count();
    assert_eq!(named, options.len(), "{help}");
}

#[test]
fn the_version_is_told_with_what_it_was_built_with() {
    let ended = Program::new(["--version"]).run();
    assert_eq!(ended.status, Some(0));
    let features = if cfg!(feature = "kafka-tls") { "kafka, kafka-tls" } else { "kafka" };
    assert_eq!(ended.stdout, [format!("order-service {} ({features})", env!("CARGO_PKG_VERSION"))]);
}
