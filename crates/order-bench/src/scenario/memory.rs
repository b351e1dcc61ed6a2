//! How much memory the service takes.

use anyhow::Result;

use crate::bench::Bench;
use crate::load::Group;
use crate::order_ids::OrderIds;
use crate::prepared::PREPARED_IDS;
use crate::process::{Memory, mib};
use crate::report::{Outcome, Side, Verdict};
use crate::work::{GetRandom, List, Place};

const TARGET_MIB: f64 = 256.0;
const LINES_OF_A_LONG_ORDER: usize = 1_000;
/// Each long order is an event of 100 KB or so: longer would only fill the disk.
const ROUNDS_OF_LONG_ORDERS: u32 = 2;

/// The peak of resident memory on a store of millions of orders, while orders are placed, read and listed, and then while
/// orders of a thousand lines are placed.
pub(crate) fn resident(bench: &Bench) -> Result<Outcome> {
    let orders = bench.options.orders;
    let peak_while_loading = mib(bench.service.peak_bytes_while_loading(orders)?);
    let dir = bench.service.prepared_dir(orders)?;

    let service = bench.service.start(dir.path())?;
    let [mut placed, mut read, mut listed] = [const { Vec::new() }; 3];
    let (mut place, mut get, mut list) =
        (Place::new(OrderIds::new_random()), GetRandom::new(PREPARED_IDS, orders), List);
    for _ in 0..bench.options.rounds {
        let half = (bench.options.connections / 2).max(1);
        let groups = [
            Group { connections: half, work: &mut place },
            Group { connections: half, work: &mut get },
            Group { connections: 1, work: &mut list },
        ];
        let [placing, reading, listing] = bench.measure_groups(&service, groups)?;
        placed.push(placing);
        read.push(reading);
        listed.push(listing);
    }
    let mixed = service.process().memory()?;
    service.stop()?;

    let service = bench.service.start(dir.path())?;
    let mut place_long = Place::with_lines(OrderIds::new_random(), LINES_OF_A_LONG_ORDER);
    let placed_long = (0..ROUNDS_OF_LONG_ORDERS.min(bench.options.rounds))
        .map(|_| bench.measure(&service, &mut place_long))
        .collect::<Result<Vec<_>>>()?;
    let long = service.process().memory()?;
    service.stop()?;

    Ok(Outcome {
        scenario: "memory",
        about: format!("resident memory on a store of {orders} orders at first"),
        sides: vec![
            Side::new("place", placed),
            Side::new("get", read),
            Side::new("list", listed),
            Side::new("place long", placed_long),
        ],
        verdicts: vec![
            Verdict::at_most("peak while the store was loaded", peak_while_loading, "MiB", TARGET_MIB),
            Verdict::at_most(
                "peak while placing, reading, listing",
                mib(mixed.peak_bytes),
                "MiB",
                TARGET_MIB,
            ),
            Verdict::at_most(
                "peak while placing orders of 1,000 lines",
                mib(long.peak_bytes),
                "MiB",
                TARGET_MIB,
            ),
        ],
        notes: vec![
            afterwards("placing, reading, listing", mixed),
            afterwards("orders of 1,000 lines", long),
        ],
    })
}

fn afterwards(what: &str, memory: Memory) -> String {
    format!("still resident after {what}: {:.1} MiB", mib(memory.resident_bytes))
}
