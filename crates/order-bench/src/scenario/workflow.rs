//! The life of an order, from placement to shipment.

use anyhow::Result;

use crate::bench::{Bench, Turn};
use crate::order_ids::OrderIds;
use crate::report::{Outcome, Side, Verdict};
use crate::work::Workflow;

/// Place, payment, reserve, ship; each connection leads orders of its own through the four.
pub(crate) fn four_steps(bench: &Bench) -> Result<Outcome> {
    let dir = bench.new_dir()?;
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
        scenario: "workflow",
        about: "place, payment, reserve, ship: requests of all four steps, durable, random ids".into(),
        verdicts: vec![Verdict::ratio("of the bare echo", &pair, 0.50)],
        sides: Side::of_pair(pair),
        notes: Vec::new(),
    })
}
