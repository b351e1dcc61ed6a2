//! How long one client waits for durability.

use anyhow::Result;

use crate::bench::Bench;
use crate::disk::{Pattern, write_and_sync};
use crate::order_ids::OrderIds;
use crate::report::{Outcome, Side, Verdict, median};
use crate::work::Place;

/// One connection places one order after the other, beside what the disk takes to make 4 KiB durable.
pub(crate) fn one_connection(bench: &Bench) -> Result<Outcome> {
    let dir = bench.new_dir()?;
    let service = bench.service.start(dir.path())?;
    let (mut to_echo, mut to_service) =
        (Place::new(OrderIds::new_random()), Place::new(OrderIds::new_random()));
    let [mut appends, mut overwrites, mut echo, mut served] = [const { Vec::new() }; 4];
    for _ in 0..bench.options.rounds {
        let raw_time = bench.span().measured / 2;
        appends.push(write_and_sync(dir.path(), Pattern::Append, raw_time)?);
        overwrites.push(write_and_sync(dir.path(), Pattern::Overwrite, raw_time)?);
        echo.push(bench.measure_on(1, &bench.echo, &mut to_echo)?);
        served.push(bench.measure_on(1, &service, &mut to_service)?);
    }
    service.stop()?;
    // The lower of the two raw figures of each round is the limit.
    let raw = appends.iter().zip(&overwrites).map(|(append, overwrite)| append.p50_ms.min(overwrite.p50_ms));
    let above_raw_ms = median(served.iter().zip(raw).map(|(service, raw_ms)| service.p50_ms - raw_ms));
    Ok(Outcome {
        scenario: "one-connection",
        about: "place on one connection, durable, random ids; raw 4 KiB write+fdatasync on the same disk"
            .into(),
        verdicts: vec![Verdict::at_most("p50 above that of raw write+fdatasync", above_raw_ms, "ms", 0.4)],
        sides: vec![
            Side::new("append", appends),
            Side::new("overwrite", overwrites),
            Side::new("echo", echo),
            Side::new("service", served),
        ],
        notes: Vec::new(),
    })
}
