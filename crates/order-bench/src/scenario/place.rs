//! Placing orders at full rate.

use std::time::Duration;

use anyhow::Result;

use crate::bench::{Bench, Turn};
use crate::build::Build;
use crate::load::{Group, Load, Span};
use crate::order_ids::OrderIds;
use crate::report::{Figures, Outcome, Side, Verdict};
use crate::work::Place;

const TARGET_FRESH: f64 = 0.45;
const TARGET_WARM: f64 = 0.55;
const TARGET_KEYED: f64 = 0.85;
/// The same in CPU time.
const CPU_TARGET_KEYED: f64 = 1.18;
/// The first seconds of a store, in which its write-ahead log grows to its full length.
const FRESH: Duration = Duration::from_secs(2);
/// After so many orders the write-ahead log is written over from its beginning and has been for some time.
const ORDERS_UNTIL_WARM: u64 = 300_000;

/// Ids in sequence, on a durable store in its first seconds, and on the same one when it has been written to for a
/// while; each round has a new store.
pub(crate) fn in_sequence(bench: &Bench) -> Result<Outcome> {
    let mut to_echo = Place::new(OrderIds::new_sequence());
    let [mut echo, mut fresh, mut warm] = [const { Vec::new() }; 3];
    for round in 0..bench.options.rounds {
        // Who begins changes from round to round, so that a drift of the machine favours neither.
        for turn in [round % 2, (round + 1) % 2] {
            if turn == 0 {
                echo.push(bench.measure(&bench.echo, &mut to_echo)?);
            } else {
                let [first, later] = fresh_then_warm(bench, &bench.service)?;
                fresh.push(first);
                warm.push(later);
            }
        }
    }
    Ok(Outcome {
        scenario: "place-seq",
        about: about_sequence(),
        verdicts: vec![
            Verdict::ratio_of("fresh, of the bare echo", &fresh, &echo, TARGET_FRESH),
            Verdict::ratio_of("warm, of the bare echo", &warm, &echo, TARGET_WARM),
        ],
        sides: vec![
            Side::new("echo", echo),
            Side::new("service, fresh", fresh),
            Side::new("service, warm", warm),
        ],
        notes: Vec::new(),
    })
}

/// What [`fresh_then_warm`] measures.
pub(super) fn about_sequence() -> String {
    format!(
        "place, durable, ids in sequence; fresh: the first {} s of a new store; warm: the same process, after \
         {ORDERS_UNTIL_WARM} orders",
        FRESH.as_secs()
    )
}

/// Starts a build on a new store, and measures it at once and again once it is warm.
pub(super) fn fresh_then_warm(bench: &Bench, build: &Build) -> Result<[Figures; 2]> {
    let dir = bench.new_dir()?;
    let service = build.start(dir.path())?;
    let mut place = Place::new(OrderIds::new_sequence());
    let span = Span { warm_up: Duration::ZERO, measured: FRESH.min(bench.span().measured) };
    let fresh = bench.measure_for(span, &service, &mut place)?;

    place.set_end(ORDERS_UNTIL_WARM.max(place.asked_for()));
    let group = Group { connections: bench.options.connections, work: &mut place };
    Load::connect(service.address(), vec![group])?.run_to_end()?;
    place.set_end(u64::MAX);
    let warm = bench.measure(&service, &mut place)?;
    service.stop()?;
    Ok([fresh, warm])
}

/// Random ids, on a durable store of millions of orders.
pub(crate) fn random_on_a_large_store(bench: &Bench) -> Result<Outcome> {
    let orders = bench.options.orders;
    let dir = bench.service.prepared_dir(orders)?;
    let service = bench.service.start(dir.path())?;
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

/// Each with an `Idempotency-Key` of its own, beside the same without, on one durable store that has many receipts.
pub(crate) fn with_keys(bench: &Bench) -> Result<Outcome> {
    let receipts = bench.options.receipts;
    let dir = bench.service.keyed_dir(receipts)?;
    let service = bench.service.start(dir.path())?;
    let mut unkeyed = Place::new(OrderIds::new_random());
    let mut keyed = Place::with_keys(OrderIds::new_random(), OrderIds::new_random());
    let pair = bench.alternate(|turn| match turn {
        Turn::Limit => bench.measure(&service, &mut unkeyed),
        Turn::Service => bench.measure(&service, &mut keyed),
    })?;
    service.stop()?;
    Ok(Outcome {
        scenario: "place-keyed",
        about: format!(
            "place, durable, random UUIDv4 ids and keys, on a store of {receipts} receipts at first"
        ),
        verdicts: vec![
            Verdict::ratio("with a key, of that without", &pair, TARGET_KEYED),
            Verdict::cpu_ratio("CPU per request, of that without a key", &pair, CPU_TARGET_KEYED),
        ],
        sides: vec![Side::new("without a key", pair.limit), Side::new("with a key", pair.service)],
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
                let service = bench.service.start_in_memory()?;
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
