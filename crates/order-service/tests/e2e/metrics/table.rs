//! The document has a table of every metric. It is what servers say: written anew with `UPDATE=1`, and held against them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::exposition::{Families, Family};
#[cfg(feature = "full-tests")]
use super::value;
use super::{busy_server, scrape};
#[cfg(feature = "full-tests")]
use crate::hostile::operators::{operators_port, with_operators};
#[cfg(feature = "full-tests")]
use crate::server::{Program, Server, wait_until};
#[cfg(feature = "full-tests")]
use crate::workflow;

const BEGIN: &str = "| metric | type | labels | meaning |\n|---|---|---|---|\n";

/// What the document says of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: String,
    /// Those that were seen, or of a metric without values, that the document names.
    pub(super) labels: BTreeSet<String>,
    help: String,
}

pub(super) type Table = BTreeMap<String, Entry>;

fn document() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/METRICS.md"))
}

pub(super) fn read() -> Table {
    let text = std::fs::read_to_string(document()).unwrap();
    let (_, table) = text.split_once(BEGIN).expect("the document has the table");
    let rows = table.lines().take_while(|line| line.starts_with('|')).map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, kind, labels, help] = cells[..] else { panic!("not a row: {line}") };
        let labels = labels
            .split(", ")
            .filter(|label| !label.is_empty())
            .map(|label| label.trim_matches('`').to_owned());
        let entry = Entry { kind: kind.to_owned(), labels: labels.collect(), help: help.to_owned() };
        (name.trim_matches('`').to_owned(), entry)
    });
    rows.collect()
}

fn of(families: &Families) -> Table {
    let entry = |family: &Family| {
        let labels = family.samples.iter().flat_map(|sample| sample.labels.keys());
        let labels = labels.filter(|label| *label != "le").cloned().collect();
        Entry { kind: family.kind.clone(), labels, help: family.help.trim_end_matches('.').to_owned() }
    };
    families.iter().map(|(name, family)| (name.clone(), entry(family))).collect()
}

#[test]
fn what_a_server_says_stands_in_the_document() {
    let (server, _directory) = busy_server();
    let table = read();
    for (name, entry) in of(&scrape(server.port())) {
        let documented = table.get(&name).unwrap_or_else(|| panic!("the document does not have {name}"));
        assert_eq!((&documented.kind, &documented.help), (&entry.kind, &entry.help), "{name}");
        assert!(entry.labels.is_subset(&documented.labels), "{name}: {:?}", entry.labels);
    }
    server.stop();
}

/// A primary on PostgreSQL that relays and sends traces, its replica, a server on SQLite, and one that encrypts: together they say
/// all that there is to say.
#[cfg(feature = "full-tests")]
#[test]
fn the_document_has_every_metric_and_no_other() {
    let (on_sqlite, _directory) = busy_server();
    let database = test_servers::PostgresServer::shared().unwrap().create_database().unwrap();
    let nats = test_servers::NatsServer::shared().unwrap();
    let broker = format!("nats://127.0.0.1:{}?stream=METRICS&subject=metrics", nats.port());
    let primary = Program::serve()
        .argument("--store", database)
        .argument("--allow-unsafe-durability", "true")
        .argument("--bus", &broker)
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        .start();
    workflow::run_through(&primary);
    let replica = Program::new(["replica", "--listen", "127.0.0.1:0", "--store", "memory:"])
        .argument("--from", &broker)
        .start();
    wait_until("the replica has caught up", || {
        let families = scrape(replica.port());
        (value(&families, "order_replica_lag_events", &[]) == Some(0.0)).then_some(())
    });
    let relayed = scrape(primary.port());
    for (name, expected) in [
        ("order_relay_published_events_total", 4.0),
        ("order_relay_lag_events", 0.0),
        ("order_relay_lag_seconds", 0.0),
        ("order_relay_position", 4.0),
    ] {
        assert_eq!(value(&relayed, name, &[("relay", "nats/METRICS")]), Some(expected), "{name}");
    }
    let authority = test_servers::Authority::new("metrics").unwrap();
    let files = authority.certificate("localhost").unwrap();
    let encrypted = Program::serve().argument("--store", "memory:").argument("--log-format", "json");
    let encrypted = with_operators(encrypted.argument("--tls-cert", &files.certificate))
        .argument("--tls-key", &files.key)
        .start();
    let mut said = Table::new();
    for port in [on_sqlite.port(), primary.port(), replica.port(), operators_port(&encrypted)] {
        for (name, entry) in of(&scrape(port)) {
            let known = said.entry(name.clone()).or_insert_with(|| entry.clone());
            assert_eq!((&known.kind, &known.help), (&entry.kind, &entry.help), "{name}");
            known.labels.extend(entry.labels);
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        write(&said);
    }
    assert_eq!(read(), said, "write the table anew: UPDATE=1 cargo test … the_document_has_every_metric");
    [replica, primary, on_sqlite, encrypted].into_iter().for_each(Server::stop);
}

/// Writes the table anew; what stands around it stays.
#[cfg(feature = "full-tests")]
fn write(table: &Table) {
    let text = std::fs::read_to_string(document()).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the document has the table");
    let after = rest.lines().skip_while(|line| line.starts_with('|'));
    let rows = table.iter().map(|(name, Entry { kind, labels, help })| {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", "))
    });
    let after = after.map(|line| format!("{line}\n"));
    std::fs::write(
        document(),
        [before, BEGIN].map(str::to_owned).into_iter().chain(rows).chain(after).collect::<String>(),
    )
    .unwrap();
}
