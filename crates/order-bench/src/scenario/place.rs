//! Placing orders at full rate.

use anyhow::Result;

use crate::bench::{Bench, Turn};
use crate::order_ids::OrderIds;
use crate::report::{Figures, Outcome, Side, Verdict};
use crate::work::Place;

/// Ids in sequence, on a durable store that is empty at first.
pub(crate) fn in_sequence(bench: &Bench) -> Result<Outcome> {
    let dir = bench.new_dir()?;
    let service = bench.start_service(dir.path())?;
    let (mut to_echo, mut to_service) =
        (Place::new(OrderIds::new_sequence()), Place::new(OrderIds::new_sequence()));
    let pair = bench.alternate(|turn| match turn {
        Turn::Limit => bench.measure(&bench.echo, &mut to_echo),
        Turn::Service => bench.measure(&service, &mut to_service),
    })?;
    service.stop()?;
    Ok(Outcome {
        scenario: "place-seq",
        about: "place, durable, ids in sequence".into(),
        verdicts: vec![Verdict::ratio("of the bare echo", &pair, 0.55)],
        sides: Side::of_pair(pair),
        notes: Vec::new(),
    })
}

/// Random ids, on a durable store of millions of orders.
pub(crate) fn random_on_a_large_store(bench: &Bench) -> Result<Outcome> {
    let orders = bench.options.orders;
    let dir = bench.prepared_dir(orders)?;
    let service = bench.start_service(dir.path())?;
    let (mut to_echo, mut to_service) =
        (Place::new(OrderIds::new_random()), Place::new(OrderIds::new_random()));
    let pair = bench.alternate(|turn| match turn {
        Turn::Limit => bench.measure(&bench.echo, &mut to_echo),
        Turn::Service => bench.measure(&service, &mut to_service),
    })?;
    service.stop()?;
    let p999_ms = Figures::median(&pair.service).p999_ms;
    Ok(Outcome {
        scenario: "place-random-3m",
        about: format!("place, durable, random UUIDv4 ids, on a store of {orders} orders at first"),
        verdicts: vec![
            Verdict::ratio("of the bare echo", &pair, 0.42),
            Verdict::at_most("p99.9 while views are written behind the log", p999_ms, "ms", 25.0),
        ],
        sides: Side::of_pair(pair),
        notes: Vec::new(),
    })
}

/// Ids in sequence, on the memory store; a new server for each turn, since all that it is given stays in memory.
pub(crate) fn in_memory(bench: &Bench) -> Result<Outcome> {
    let pair = bench.alternate(|turn| {
        let mut work = Place::new(OrderIds::new_sequence());
        match turn {
            Turn::Limit => bench.measure(&bench.echo, &mut work),
            Turn::Service => {
                let service = bench.start_service_in_memory()?;
                let figures = bench.measure(&service, &mut work)?;
                service.stop()?;
                Ok(figures)
            }
        }
    })?;
    Ok(Outcome {
        scenario: "place-memory",
        about: "place, on the memory store, ids in sequence".into(),
        verdicts: vec![Verdict::ratio("of the bare echo", &pair, 0.75)],
        sides: Side::of_pair(pair),
        notes: Vec::new(),
    })
}
