//! Placing orders while somebody keeps an old snapshot, because of which PostgreSQL may clean up nothing.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::bench::Bench;
use crate::order_ids::OrderIds;
use crate::postgres::{OldSnapshot, Postgres};
use crate::report::{Figures, Outcome, Side, Verdict, median};
use crate::work::Place;

/// The rate at the end of a few minutes of an old snapshot, beside the rate before; and the rate after, which tells how
/// much of a difference is only because the store has grown. Ids in sequence, so that this is little.
pub(crate) fn beside_an_old_one(bench: &Bench) -> Result<Outcome> {
    let kept_for = Duration::from_secs_f64(bench.options.snapshot_seconds);
    let postgres = Postgres::start()?;
    let database = postgres.create_database()?;
    let service = bench.service.start_on(&database)?;
    let mut place = Place::new(OrderIds::new_sequence());
    let rounds = bench.options.rounds as usize;
    let mut measure = || bench.measure(&service, &mut place);
    let before = (0..rounds).map(|_| measure()).collect::<Result<Vec<_>>>()?;

    let snapshot = OldSnapshot::take(&postgres, &database)?;
    let taken_at = Instant::now();
    let mut beside = Vec::new();
    while taken_at.elapsed() < kept_for || beside.len() < rounds {
        beside.push(measure()?);
    }
    snapshot.is_kept()?;
    drop(snapshot);
    let after = (0..rounds).map(|_| measure()).collect::<Result<Vec<_>>>()?;
    service.stop()?;

    // The last turns: if it wears off on the server, it is worst then.
    let at_the_end = beside.split_off(beside.len() - rounds);
    let per_s = |turns: &[Figures]| median(turns.iter().map(|turn| turn.requests_per_s));
    Ok(Outcome {
        scenario: "pg-old-snapshot",
        about: format!(
            "place, ids in sequence, while a session keeps a snapshot for {} s",
            kept_for.as_secs()
        ),
        verdicts: vec![Verdict::at_least(
            "at the end, of the rate before",
            per_s(&at_the_end) / per_s(&before),
            "×",
            0.8,
        )],
        sides: vec![
            Side::new("before", before),
            Side::new("at the end", at_the_end),
            Side::new("after", after),
        ],
        notes: vec![postgres.description()?],
    })
}
