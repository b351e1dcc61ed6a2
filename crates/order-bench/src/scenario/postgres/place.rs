//! Placing orders at full rate.

use anyhow::Result;

use crate::bench::Bench;
use crate::order_ids::OrderIds;
use crate::postgres::{Inserts, Postgres};
use crate::report::{Figures, Outcome, Side, Verdict};
use crate::work::Place;

/// The share of the best of `pgbench` that is aimed at.
const TARGET: f64 = 0.8;

/// One instance, ids in sequence and at random, beside single-row inserts from 16 and from 64 clients.
pub(crate) fn at_full_rate(bench: &Bench) -> Result<Outcome> {
    let postgres = Postgres::start()?;
    let inserts = Inserts::new(&postgres)?;
    let service = bench.service.start_on(&postgres.create_database()?)?;
    let (mut in_sequence, mut at_random) =
        (Place::new(OrderIds::new_sequence()), Place::new(OrderIds::new_random()));
    let [mut of_16, mut of_64, mut sequence, mut random] = [const { Vec::new() }; 4];
    for round in 0..bench.options.rounds {
        // Who begins changes from round to round, so that a drift of the machine favours neither.
        for turn in [round % 2, (round + 1) % 2] {
            if turn == 0 {
                of_16.push(inserts.measure(16, bench.span())?);
                of_64.push(inserts.measure(64, bench.span())?);
            } else {
                sequence.push(bench.measure(&service, &mut in_sequence)?);
                random.push(bench.measure(&service, &mut at_random)?);
            }
        }
    }
    service.stop()?;
    let best: Vec<Figures> = of_16.iter().zip(&of_64).map(|(&one, &other)| faster(one, other)).collect();
    Ok(Outcome {
        scenario: "pg-place",
        about: "place, one instance; pgbench: one single-row INSERT for each transaction, prepared".into(),
        verdicts: vec![
            Verdict::ratio_of("ids in sequence, of the best of pgbench", &sequence, &best, TARGET),
            Verdict::ratio_of("random ids, of the best of pgbench", &random, &best, TARGET),
        ],
        sides: vec![
            Side::new("pgbench, 16 clients", of_16),
            Side::new("pgbench, 64 clients", of_64),
            Side::new("service, ids in sequence", sequence),
            Side::new("service, random ids", random),
        ],
        notes: vec![postgres.description()?],
    })
}

fn faster(one: Figures, other: Figures) -> Figures {
    if one.requests_per_s > other.requests_per_s { one } else { other }
}
