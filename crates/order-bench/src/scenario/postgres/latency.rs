//! How long one client waits for durability.

use anyhow::Result;

use crate::bench::{Bench, Turn};
use crate::order_ids::OrderIds;
use crate::postgres::{Inserts, Postgres};
use crate::report::{Outcome, Side, Verdict, median};
use crate::work::Place;

/// One connection places one order after the other, beside one client of `pgbench`.
pub(crate) fn one_connection(bench: &Bench) -> Result<Outcome> {
    let postgres = Postgres::start()?;
    let inserts = Inserts::new(&postgres)?;
    let service = bench.service.start_on(&postgres.create_database()?)?;
    let mut place = Place::new(OrderIds::new_random());
    let pair = bench.alternate(|turn| match turn {
        Turn::Limit => inserts.measure(1, bench.span()),
        Turn::Service => bench.measure_on(1, &service, &mut place),
    })?;
    service.stop()?;
    let rounds = pair.service.iter().zip(&pair.limit);
    let above_ms = median(rounds.map(|(service, pgbench)| service.p50_ms - pgbench.p50_ms));
    Ok(Outcome {
        scenario: "pg-one-connection",
        about: "place on one connection, random ids; pgbench: one client".into(),
        verdicts: vec![Verdict::at_most("p50 above that of pgbench", above_ms, "ms", 0.5)],
        sides: vec![Side::new("pgbench", pair.limit), Side::new("service", pair.service)],
        notes: vec![postgres.description()?],
    })
}
