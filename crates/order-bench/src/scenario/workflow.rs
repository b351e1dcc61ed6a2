//! The life of an order, from placement to shipment.

use anyhow::Result;
use tempfile::TempDir;

use crate::bench::{Bench, Turn};
use crate::order_ids::OrderIds;
use crate::report::{Outcome, Side, Verdict};
use crate::work::Workflow;

/// What both do: each connection leads orders of its own through the four.
const ABOUT: &str = "place, payment, reserve, ship: requests of all four steps, durable, random ids";

/// On a store that is empty at first.
pub(crate) fn on_new_store(bench: &Bench) -> Result<Outcome> {
    four_steps(bench, "workflow", ABOUT.to_owned(), &bench.new_dir()?)
}

/// On a store of millions of orders.
pub(crate) fn on_large_store(bench: &Bench) -> Result<Outcome> {
    let orders = bench.options.orders;
    let about = format!("{ABOUT}, on a store of {orders} orders at first");
    four_steps(bench, "workflow-3m", about, &bench.service.prepared_dir(orders)?)
}

fn four_steps(bench: &Bench, scenario: &'static str, about: String, dir: &TempDir) -> Result<Outcome> {
    let service = bench.service.start(dir.path())?;
    let pair = bench.alternate(|turn| {
        // A new workflow for each turn: the orders that the last turn left half-way stay there.
        let mut work = Workflow::new(OrderIds::new_random());
        match turn {
            Turn::Limit => bench.measure(&bench.echo, &mut work),
            Turn::Service => bench.measure(&service, &mut work),
        }
    })?;
    service.stop()?;
    Ok(Outcome {
        scenario,
        about,
        verdicts: vec![Verdict::ratio("of the bare echo", &pair, 0.50)],
        sides: Side::of_pair(pair),
        notes: Vec::new(),
    })
}
