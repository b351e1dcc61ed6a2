//! Reading.

use anyhow::Result;

use crate::bench::{Bench, Turn};
use crate::load::Group;
use crate::order_ids::OrderIds;
use crate::prepared::PREPARED_IDS;
use crate::report::{Figures, Outcome, Side, Verdict};
use crate::work::{GetRandom, List, Place};

/// `GET /orders/{id}`, each order of a store as likely as any other.
pub(crate) fn single_orders(bench: &Bench) -> Result<Outcome> {
    let orders = bench.options.read_orders;
    let dir = bench.service.prepared_dir(orders)?;
    let service = bench.service.start(dir.path())?;
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

/// `GET /orders?limit=100` on one connection, while orders are placed at full rate on all the others.
pub(crate) fn lists_while_placing(bench: &Bench) -> Result<Outcome> {
    let orders = bench.options.read_orders;
    let dir = bench.service.prepared_dir(orders)?;
    let service = bench.service.start(dir.path())?;
    let (mut place, mut list) = (Place::new(OrderIds::new_random()), List);
    let [mut placed, mut listed] = [const { Vec::new() }; 2];
    for _ in 0..bench.options.rounds {
        let groups = [
            Group { connections: bench.options.connections, work: &mut place },
            Group { connections: 1, work: &mut list },
        ];
        let [placing, listing] = bench.measure_groups(&service, groups)?;
        placed.push(placing);
        listed.push(listing);
    }
    service.stop()?;
    let p99_ms = Figures::median(&listed).p99_ms;
    Ok(Outcome {
        scenario: "list-while-placing",
        about: format!(
            "GET /orders?limit=100 beside placing at full rate, on a store of {orders} orders at first"
        ),
        verdicts: vec![Verdict::at_most("p99 of the lists", p99_ms, "ms", 30.0)],
        sides: vec![Side::new("place", placed), Side::new("list", listed)],
        notes: Vec::new(),
    })
}
