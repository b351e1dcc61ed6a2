//! Moving to PostgreSQL.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::bench::Bench;
use crate::postgres::Postgres;
use crate::report::{Outcome, Verdict, median};

/// More would only take longer.
const ROUNDS: u32 = 3;

/// `order-service copy` of a whole SQLite store into an empty database.
pub(crate) fn from_sqlite(bench: &Bench) -> Result<Outcome> {
    let orders = bench.options.read_orders;
    let dir = bench.service.prepared_dir(orders)?;
    let file = dir.path().join("orders.db");
    let from = format!("sqlite:{}", file.to_str().context("the scratch directory's name is UTF-8")?);
    let postgres = Postgres::start()?;
    let mut per_s = Vec::new();
    for _ in 0..bench.options.rounds.min(ROUNDS) {
        let to = postgres.create_database()?;
        let begin = Instant::now();
        bench.service.run(&["copy", "--from", &from, "--to", &to])?;
        per_s.push(orders as f64 / begin.elapsed().as_secs_f64());
        let copied = postgres.query(&to, "SELECT count(*) FROM order_service.events")?;
        ensure!(copied == orders.to_string(), "{copied} events were copied, not {orders}");
    }
    Ok(Outcome {
        scenario: "pg-copy",
        about: format!("order-service copy from SQLite, {orders} events, from start to end"),
        verdicts: vec![Verdict::at_least("events a second", median(per_s), "/s", 50_000.0)],
        sides: Vec::new(),
        notes: vec![postgres.description()?],
    })
}
