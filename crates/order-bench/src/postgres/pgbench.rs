//! The limit on PostgreSQL: `pgbench`, which does nothing but insert one row in each transaction.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Postgres;
use crate::interrupt;
use crate::load::{Histogram, Span};
use crate::report::Figures;

/// The log of events as the service has it (`crates/order-store`, migration 1), with numbers that the server gives out.
const TABLE: &str = "\
    CREATE SEQUENCE order_keys;
    CREATE TABLE events (
        position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        order_key bigint NOT NULL,
        version bigint NOT NULL,
        id uuid NOT NULL,
        type text NOT NULL,
        time timestamptz NOT NULL,
        order_id text COLLATE \"C\" NOT NULL,
        data text NOT NULL,
        context text NOT NULL,
        source text,
        checksum bytea NOT NULL,
        UNIQUE (order_key, version)
    )";

/// One event of a new order. What differs from event to event is made by the server, the rest are parameters.
const SCRIPT: &str = "\
    INSERT INTO events (order_key, version, id, type, time, order_id, data, context, checksum) \
    VALUES (nextval('order_keys'), 1, gen_random_uuid(), :type, now(), :order_id, :data, :context, '\\x010000000000000000');\n";

/// What the service writes for an order of the load generator's: the same texts, or texts of the same length.
const TEXTS: [(&str, &str); 4] = [
    ("type", "order.placed.v1"),
    ("order_id", "11111111-2222-4333-8444-555555555555"),
    (
        "data",
        r#"{"customer_id":"cust-123","currency":"USD","total_cents":3000,"lines":[{"line":1,"sku":"sku-1","quantity":2,"unit_price_cents":1500}]}"#,
    ),
    ("context", r#"{"correlationid":"01900000-0000-7000-8000-000000000000"}"#),
];

/// Which share of the latencies is logged when there are many: enough for a quantile of three nines, without a log that
/// keeps `pgbench` busy.
const LOGGED_SHARE_OF_MANY: f64 = 0.1;

/// A table to insert into.
pub(crate) struct Inserts<'p> {
    postgres: &'p Postgres,
    database: String,
}

impl<'p> Inserts<'p> {
    /// Creates the table in a database of its own.
    pub(crate) fn new(postgres: &'p Postgres) -> Result<Self> {
        let database = postgres.create_database()?;
        postgres.query(&database, TABLE)?;
        Ok(Self { postgres, database })
    }

    /// Inserts from so many clients at once, each waiting for its commit before the next.
    pub(crate) fn measure(&self, clients: usize, span: Span) -> Result<Figures> {
        // Its own run, since pgbench cannot leave out a beginning.
        self.run(clients, span.warm_up, 1.0)?;
        let logged_share = if clients == 1 { 1.0 } else { LOGGED_SHARE_OF_MANY };
        self.run(clients, span.measured, logged_share)
    }

    fn run(&self, clients: usize, time: Duration, logged_share: f64) -> Result<Figures> {
        let dir = tempfile::tempdir().context("make a directory for pgbench")?;
        let script = dir.path().join("insert.sql");
        fs::write(&script, SCRIPT)?;
        // Whole seconds are all that it knows.
        let seconds = time.as_secs_f64().ceil().max(1.0);
        let mut pgbench = crate::server::child_command(&self.postgres.program("pgbench")?)?;
        pgbench.current_dir(dir.path()).args(["--no-vacuum", "--protocol=prepared"]);
        // A thread for each core, as its documentation advises.
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(clients);
        pgbench.args([
            format!("--client={clients}"),
            format!("--jobs={threads}"),
            format!("--time={seconds}"),
        ]);
        pgbench.args(["--log".to_owned(), format!("--sampling-rate={logged_share}")]);
        pgbench.args(TEXTS.map(|(name, text)| format!("--define={name}={text}")));
        pgbench.arg("--file").arg(&script).arg(&self.database);
        let output = pgbench.output().context("run pgbench")?;
        interrupt::check()?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            bail!("pgbench: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let per_s = transactions_per_s(&said).with_context(|| format!("pgbench printed {said:?}"))?;
        let latency = logged_latencies(dir.path())?;
        Ok(Figures { requests_per_s: per_s, ..Figures::of_latencies(&latency, time) })
    }
}

/// From the line `tps = 12345.678901 (without initial connection time)`.
fn transactions_per_s(said: &str) -> Option<f64> {
    let line = said.lines().find_map(|line| line.strip_prefix("tps = "))?;
    line.split(' ').next()?.parse().ok()
}

/// From all the files `pgbench_log.PROCESS`: in the third column are microseconds.
fn logged_latencies(dir: &Path) -> Result<Histogram> {
    let mut latency = Histogram::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b"pgbench_log.") {
            continue;
        }
        for line in fs::read_to_string(entry.path())?.lines() {
            let micros = line.split(' ').nth(2).and_then(|micros| micros.parse().ok());
            latency
                .record(Duration::from_micros(micros.with_context(|| format!("pgbench logged {line:?}"))?));
        }
    }
    Ok(latency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_from_what_pgbench_prints() {
        let said = "number of clients: 16\ntps = 12345.500000 (without initial connection time)\n";
        assert_eq!(transactions_per_s(said), Some(12345.5));
        assert_eq!(transactions_per_s("tps: none\n"), None);
    }

    #[test]
    fn latencies_are_read_from_the_logs() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("pgbench_log.17"), "0 1 250 0 1700000000 5\n1 1 750 0 1700000000 9\n")
            .unwrap();
        fs::write(dir.path().join("insert.sql"), SCRIPT).unwrap();
        let latency = logged_latencies(dir.path()).unwrap();
        assert_eq!((latency.count(), latency.max()), (2, Duration::from_micros(750)));
    }
}
