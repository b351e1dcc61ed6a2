//! Several instances on one database.

use anyhow::Result;

use crate::bench::{Bench, Turn};
use crate::load::Group;
use crate::order_ids::OrderIds;
use crate::postgres::Postgres;
use crate::report::{Outcome, Side, Verdict};
use crate::work::Place;

/// Two instances that share the connections, beside one that has them all.
pub(crate) fn two(bench: &Bench) -> Result<Outcome> {
    let postgres = Postgres::start()?;
    let database = postgres.create_database()?;
    let [one, other] = [bench.service.start_on(&database)?, bench.service.start_on(&database)?];
    let half = (bench.options.connections / 2).max(1);
    let [mut to_one, mut to_first, mut to_second] = [(); 3].map(|()| Place::new(OrderIds::new_random()));
    let pair = bench.alternate(|turn| match turn {
        Turn::Limit => {
            bench.measure_together(vec![(&one, Group { connections: 2 * half, work: &mut to_one })])
        }
        Turn::Service => bench.measure_together(vec![
            (&one, Group { connections: half, work: &mut to_first }),
            (&other, Group { connections: half, work: &mut to_second }),
        ]),
    })?;
    one.stop()?;
    other.stop()?;
    Ok(Outcome {
        scenario: "pg-two-instances",
        about: format!("place, random ids; two instances with {half} connections each"),
        verdicts: vec![Verdict::ratio("together, of one instance", &pair, 0.85)],
        sides: vec![Side::new("one instance", pair.limit), Side::new("two instances", pair.service)],
        notes: vec![postgres.description()?],
    })
}
