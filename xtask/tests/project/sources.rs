//! What a crate's own code must not do, whatever its dependencies would let it.

use crate::{TextFile, assert_none, files};

/// What the domain may use of the standard library: nothing that waits, reads, writes, counts time or rolls dice.
/// (`sync` for `Arc`.)
const STD_OF_DOMAIN: &[&str] =
    &["borrow", "cmp", "collections", "error", "fmt", "iter", "mem", "num", "ops", "str", "sync"];

/// What only some of the code under `crates/` may say, where, and why. Tests are not looked at.
const ONLY_IN: &[(&str, &[&str], &str)] = &[
    ("env::var", READS_THE_ENVIRONMENT, "settings arrive as arguments"),
    ("env::args", READS_THE_ENVIRONMENT, "settings arrive as arguments"),
    (
        ".publish(",
        &["order-store/", "order-application/src/relay.rs"],
        "the log is the outbox: nothing is told that was not read from it or just committed",
    ),
    (
        "process::exit",
        &["order-bench/", "order-service/src/stop_signal.rs"],
        "nothing is cut short but what somebody stops, and a library does not end its host",
    ),
    ("%position", &[], "figures of JSON logs are numbers: `position = position.0`"),
];

/// Longest file of code, in lines: what can be read in one go.
const MAX_LINES: usize = 500;

/// A test of the domain that reads and writes a page of the documents.
const DRAWS_A_DIAGRAM: &str = "specification/diagram.rs";

const READS_THE_ENVIRONMENT: &[&str] = &[
    "order-service/",
    "order-bench/",
    "test-servers/",
    // Writes its golden file anew when it is told to.
    "order-application/src/projection/tests.rs",
    // So does this one, with its page of the documents.
    "order-domain/src/specification/diagram.rs",
    // Not in a release: see the feature `planted-faults`.
    "order-application/src/planted_faults.rs",
    "order-bus/src/planted_faults.rs",
    "order-store/src/planted_release.rs",
    "order-store/src/sqlite/planted_faults.rs",
];

#[test]
fn the_domain_is_pure() {
    let mut files = files("crates/order-domain/src", &["rs"]);
    files.retain(|file| !file.path.ends_with(DRAWS_A_DIAGRAM));
    assert_none(&domain_faults(&files));
}

#[test]
fn what_belongs_to_one_layer_stays_there() {
    assert_none(&misplaced(&files("crates", &["rs"])));
}

#[test]
fn nothing_is_left_for_later() {
    let project = ["crates", "xtask", "docs"].map(|directory| files(directory, &["rs", "toml", "md"]));
    assert_none(&leftovers(&project.into_iter().flatten().collect::<Vec<_>>()));
}

#[test]
fn no_file_is_too_long_to_be_read() {
    let project = ["crates", "xtask"].map(|directory| files(directory, &["rs"]));
    assert_none(&too_long(&project.into_iter().flatten().collect::<Vec<_>>()));
}

/// It takes a while when it has to be built first.
#[test]
fn whoever_waits_for_xtask_sees_that_it_is_being_built() {
    let settings = std::fs::read_to_string(crate::root().join(".cargo/config.toml")).unwrap();
    let alias = settings.lines().find(|line| line.starts_with("xtask = ")).expect("it is an alias");
    assert!(alias.contains("run ") && !alias.contains("--quiet"), "{alias}");
}

#[test]
fn each_impurity_is_found() {
    for line in [
        "use std::time::Instant;",
        "use std::{fmt, fs};",
        "    std::net::TcpStream::connect(\"a\");",
        "use serde::Serialize;",
        "#[derive(serde::Serialize)]",
        "pub async fn decide() {}",
        "tokio::spawn(x);",
    ] {
        assert_eq!(domain_faults(&[planted("crates/order-domain/src/order.rs", line)]).len(), 1, "{line}");
    }
    for line in
        ["use std::collections::BTreeMap;", "use crate::time::Timestamp;", "//! No serde, no std::fs."]
    {
        assert_none(&domain_faults(&[planted("crates/order-domain/src/order.rs", line)]));
    }
}

#[test]
fn each_misplaced_line_is_found() {
    let found = |path: &str, line: &str| misplaced(&[planted(path, line)]).len();
    assert_eq!(
        found("crates/order-store/src/sqlite/connection.rs", "let size = std::env::var(\"SIZE\");"),
        1
    );
    assert_eq!(found("crates/order-service/src/config.rs", "let size = std::env::var(\"SIZE\");"), 0);
    assert_eq!(found("crates/order-application/src/service/command.rs", "self.bus.publish(events);"), 1);
    assert_eq!(found("crates/order-store/src/memory/mod.rs", "self.bus.publish(events);"), 0);
    assert_eq!(found("crates/order-store/src/memory/mod.rs", "tracing::warn!(%position, \"x\");"), 1);
    assert_eq!(found("crates/order-api/tests/api/docs.rs", "if std::env::var(\"UPDATE\").is_ok() {"), 0);
}

#[test]
fn each_leftover_is_found() {
    // Put together here, so that this file is not its own first find.
    for line in [
        concat!("// TO", "DO: later"),
        concat!("// FIX", "ME"),
        concat!("to", "do!()"),
        concat!("#[ig", "nore]"),
    ] {
        assert_eq!(leftovers(&[planted("crates/order-api/src/lib.rs", line)]).len(), 1, "{line}");
    }
}

#[test]
fn each_long_file_is_found() {
    let lines = |count: usize| [planted("crates/order-api/src/lib.rs", &"//\n".repeat(count))];
    assert_eq!((too_long(&lines(MAX_LINES)).len(), too_long(&lines(MAX_LINES + 1)).len()), (0, 1));
}

fn planted(path: &str, text: &str) -> TextFile {
    TextFile { path: path.to_owned(), text: text.to_owned() }
}

fn domain_faults(files: &[TextFile]) -> Vec<String> {
    let words = ["serde", "tokio", "async", "unsafe"];
    code_faults(files, |line| {
        let word = words.into_iter().find(|word| has_word(line, word));
        let module = std_modules(line).into_iter().find(|module| !STD_OF_DOMAIN.contains(module));
        word.map(str::to_owned).or_else(|| module.map(|module| format!("std::{module}")))
    })
    .into_iter()
    .map(|fault| format!("{fault}: the domain is pure"))
    .collect()
}

fn misplaced(files: &[TextFile]) -> Vec<String> {
    let in_sources = files.iter().filter(|file| file.path.contains("/src/"));
    in_sources.flat_map(|file| ONLY_IN.iter().flat_map(move |rule| misplaced_in(file, rule))).collect()
}

fn misplaced_in(file: &TextFile, (what, owners, why): &(&str, &[&str], &str)) -> Vec<String> {
    let owned = owners.iter().any(|owner| file.path.starts_with(&format!("crates/{owner}")));
    let found = |line: &str| (!owned && line.contains(what)).then(|| (*what).to_owned());
    let faults = code_faults(std::slice::from_ref(file), found);
    faults.into_iter().map(|fault| format!("{fault}: {why}")).collect()
}

fn leftovers(files: &[TextFile]) -> Vec<String> {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!"), concat!("#[ig", "nore")];
    let mut faults = Vec::new();
    for TextFile { path, text } in files {
        for (number, line) in (1..).zip(text.lines()) {
            if let Some(word) = words.into_iter().find(|word| line.contains(word)) {
                faults.push(format!("{path}:{number}: {word}: finish it, or file an issue"));
            }
        }
    }
    faults
}

fn too_long(files: &[TextFile]) -> Vec<String> {
    let lines = files.iter().map(|TextFile { path, text }| (path, text.lines().count()));
    let too_long = lines.filter(|(_, lines)| *lines > MAX_LINES);
    too_long.map(|(path, lines)| format!("{path}: {lines} lines: cut it by topic")).collect()
}

/// Faults of single lines of code; comments may say what they like.
fn code_faults(files: &[TextFile], fault: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for TextFile { path, text } in files {
        for (number, line) in (1..).zip(text.lines()) {
            let code = line.split("//").next().unwrap_or_default();
            faults.extend(fault(code).map(|what| format!("{path}:{number}: {what}")));
        }
    }
    faults
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

/// The modules that a line names after `std::`, alone or in braces.
fn std_modules(line: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut modules = Vec::new();
    for (_, rest) in line.match_indices("std::").map(|(at, std)| (at, &line[at + std.len()..])) {
        let group = rest.strip_prefix('{').unwrap_or(rest);
        let names = if group.len() < rest.len() { group.split(',').collect() } else { vec![rest] };
        modules.extend(names.into_iter().filter_map(|name| name.trim().split(|c| !is_name(c)).next()));
    }
    modules.retain(|module| !module.is_empty());
    modules
}
