//! Reading.

use anyhow::Result;

use crate::bench::{Bench, Turn};
use crate::prepared::PREPARED_IDS;
use crate::report::{Outcome, Side, Verdict};
use crate::work::GetRandom;

/// `GET /orders/{id}`, each order of a store as likely as any other.
pub(crate) fn single_orders(bench: &Bench) -> Result<Outcome> {
    let orders = bench.options.read_orders;
    let service = bench.start_service(&bench.prepared_dir(orders)?)?;
    let mut work = GetRandom::new(PREPARED_IDS, orders);
    let pair = bench.alternate(|turn| match turn {
        Turn::Limit => bench.measure(&bench.echo, &mut work),
        Turn::Service => bench.measure(&service, &mut work),
    })?;
    service.stop()?;
    Ok(Outcome {
        scenario: "get-random",
        about: format!("GET /orders/{{id}} at random over {orders} orders"),
        verdicts: vec![Verdict::ratio("of a bare GET", &pair, 0.75)],
        sides: Side::of_pair(pair),
        notes: Vec::new(),
    })
}
