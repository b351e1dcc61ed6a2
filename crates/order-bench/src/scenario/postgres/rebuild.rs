//! Making the views anew.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::bench::Bench;
use crate::load::{Group, Measurement};
use crate::order_ids::OrderIds;
use crate::postgres::Postgres;
use crate::report::{Bound, Figures, Outcome, Side, Verdict};
use crate::scenario::rebuild::{EVENTS_PER_ORDER, drive_beside};
use crate::server::Server;
use crate::work::Place;

/// More would only take longer.
const ROUNDS: u32 = 3;
const TARGET_PER_S: f64 = 20_000.0;

/// `order-service rebuild` while two instances serve: first nobody asks them anything, then they place orders at full
/// rate. The log has four events of each order, far apart.
pub(crate) fn beside_two_instances(bench: &Bench) -> Result<Outcome> {
    let orders = bench.options.read_orders;
    let events = orders * EVENTS_PER_ORDER;
    let postgres = Postgres::start()?;
    let database = postgres.create_database()?;
    load(bench, orders, &database)?;
    // What PostgreSQL would do by itself some time after such a load.
    postgres.query(&database, "VACUUM ANALYZE")?;
    postgres.query(&database, "CHECKPOINT")?;
    let instances = [bench.service.start_on(&database)?, bench.service.start_on(&database)?];

    let rebuild = || bench.service.run(&["rebuild", "--store", &database]).map(|ran| ran.elapsed);
    let log_end = || -> Result<f64> {
        Ok(postgres.query(&database, "SELECT max(position) FROM order_service.events")?.parse()?)
    };
    let per_s = |events: f64, elapsed: Duration| events / elapsed.as_secs_f64();
    let (mut beside_idle, mut beside_load, mut placing) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.options.rounds.min(ROUNDS) {
        let events = log_end()?;
        beside_idle.push(per_s(events, rebuild()?));
        let (figures, elapsed) = place_beside(bench, &instances, rebuild)?;
        beside_load.push(per_s(events, elapsed));
        placing.push(figures);
    }
    instances.into_iter().try_for_each(Server::stop)?;
    let of_rounds = |what, rounds| Verdict::of_rounds(what, rounds, "/s", Bound::AtLeast, TARGET_PER_S);
    Ok(Outcome {
        scenario: "pg-rebuild",
        about: format!(
            "views rebuilt from {events} events of {orders} orders, interleaved, and of what was placed meanwhile"
        ),
        verdicts: vec![
            of_rounds("beside two idle instances: events a second", beside_idle),
            of_rounds("beside two instances under load: events a second", beside_load),
        ],
        sides: vec![Side::new("place, beside a rebuild", placing)],
        notes: vec![postgres.description()?],
    })
}

/// Copies what was loaded on SQLite, which is quicker than loading it once more.
fn load(bench: &Bench, orders: u64, database: &str) -> Result<()> {
    let dir = bench.service.shipped_dir(orders)?;
    let file = dir.path().join("orders.db");
    let from = format!("sqlite:{}", file.to_str().context("the scratch directory's name is UTF-8")?);
    bench.service.run(&["copy", "--from", &from, "--to", database])?;
    Ok(())
}

/// Places orders on both instances, with half of the connections each, for as long as a job takes.
fn place_beside(
    bench: &Bench,
    instances: &[Server; 2],
    job: impl FnOnce() -> Result<Duration> + Send,
) -> Result<(Figures, Duration)> {
    let connections = (bench.options.connections / 2).max(1);
    let mut works = [(); 2].map(|()| Place::new(OrderIds::new_random()));
    let shares = instances.iter().zip(&mut works);
    let shares = shares.map(|(instance, work)| (instance.address(), Group { connections, work }));
    let (measurements, elapsed) = drive_beside(shares.collect(), job)?;
    for instance in instances {
        instance.process().settle()?;
    }
    let together = Measurement::together(measurements).context("somebody drives a server")?;
    Ok((Figures::new(&together, None), elapsed))
}
