//! Two builds of the service at the same work, in turns: whether a change has made anything slower.
//!
//! Each build has stores of its own, made and loaded by itself.

use std::array;

use anyhow::Result;
use tempfile::TempDir;

use super::place;
use crate::bench::{Bench, Pair, Turn};
use crate::build::Build;
use crate::order_ids::OrderIds;
use crate::postgres::Postgres;
use crate::prepared::PREPARED_IDS;
use crate::report::{Figures, Outcome, Side, Verdict};
use crate::server::Server;
use crate::work::{GetRandom, Place, Work, Workflow};

/// What must be left of the older build's rate, and what a request may take of its CPU time.
const TARGET: f64 = 0.95;
const CPU_TARGET: f64 = 1.05;

/// Placing, ids in sequence, on a new store and on the same one when it is warm.
pub(crate) fn place_in_sequence(bench: &Bench, older: &Build) -> Result<Outcome> {
    let pair = bench.alternate(|turn| place::fresh_then_warm(bench, build(bench, older, turn)))?;
    let [fresh, warm] = split(pair);
    Ok(outcome("place-seq", place::about_sequence(), vec![("fresh", fresh), ("warm", warm)]))
}

/// Placing, random ids, on a store of millions of orders.
pub(crate) fn place_at_random(bench: &Bench, older: &Build) -> Result<Outcome> {
    let orders = bench.options.orders;
    let pair =
        on_stores(bench, older, |build| build.prepared_dir(orders), || Place::new(OrderIds::new_random()))?;
    let about = format!("place, durable, random UUIDv4 ids, on a store of {orders} orders at first");
    Ok(outcome("place-random-3m", about, vec![("place", pair)]))
}

/// Place, payment, reserve, ship.
pub(crate) fn workflow(bench: &Bench, older: &Build) -> Result<Outcome> {
    let pair = on_stores(bench, older, |_| bench.new_dir(), || Workflow::new(OrderIds::new_random()))?;
    let about = "place, payment, reserve, ship: requests of all four steps, durable, random ids".to_owned();
    Ok(outcome("workflow", about, vec![("all steps", pair)]))
}

/// The same on a store of millions of orders.
pub(crate) fn workflow_on_large_store(bench: &Bench, older: &Build) -> Result<Outcome> {
    let orders = bench.options.orders;
    let new_work = || Workflow::new(OrderIds::new_random());
    let pair = on_stores(bench, older, |build| build.prepared_dir(orders), new_work)?;
    let about = format!(
        "place, payment, reserve, ship: requests of all four steps, durable, random ids, on a store of {orders} orders at first"
    );
    Ok(outcome("workflow-3m", about, vec![("all steps", pair)]))
}

/// `GET /orders/{id}`, each order of a store as likely as any other.
pub(crate) fn get_at_random(bench: &Bench, older: &Build) -> Result<Outcome> {
    let orders = bench.options.read_orders;
    let pair =
        on_stores(bench, older, |build| build.prepared_dir(orders), || GetRandom::new(PREPARED_IDS, orders))?;
    let about = format!("GET /orders/{{id}} at random over {orders} orders");
    Ok(outcome("get-random", about, vec![("get", pair)]))
}

/// Placing on PostgreSQL, and the four steps; each build has a database on the same server.
pub(crate) fn place_on_postgres(bench: &Bench, older: &Build) -> Result<Outcome> {
    let postgres = Postgres::start()?;
    let start = |build: &Build| build.start_on(&postgres.create_database()?);
    let servers = Servers { older: start(older)?, service: start(&bench.service)? };
    let pair = bench.alternate(|turn| {
        let server = servers.of(turn);
        let sequence = bench.measure(server, &mut Place::new(OrderIds::new_sequence()))?;
        let random = bench.measure(server, &mut Place::new(OrderIds::new_random()))?;
        let workflow = bench.measure(server, &mut Workflow::new(OrderIds::new_random()))?;
        Ok([sequence, random, workflow])
    })?;
    servers.stop()?;
    let [sequence, random, workflow] = split(pair);
    let works =
        vec![("place, ids in sequence", sequence), ("place, random ids", random), ("all steps", workflow)];
    let outcome =
        outcome("pg-place", "place, and place, payment, reserve, ship; one instance".to_owned(), works);
    Ok(Outcome { notes: vec![postgres.description()?], ..outcome })
}

/// A server of each build.
struct Servers {
    older: Server,
    service: Server,
}

impl Servers {
    fn of(&self, turn: Turn) -> &Server {
        match turn {
            Turn::Limit => &self.older,
            Turn::Service => &self.service,
        }
    }

    fn stop(self) -> Result<()> {
        self.older.stop()?;
        self.service.stop()
    }
}

fn build<'b>(bench: &'b Bench, older: &'b Build, turn: Turn) -> &'b Build {
    match turn {
        Turn::Limit => older,
        Turn::Service => &bench.service,
    }
}

/// Both builds serve all the time, each on a store of its own, and one of them is given work.
fn on_stores<W: Work>(
    bench: &Bench,
    older: &Build,
    store: impl Fn(&Build) -> Result<TempDir>,
    new_work: impl Fn() -> W,
) -> Result<Pair<Figures>> {
    let (older_dir, dir) = (store(older)?, store(&bench.service)?);
    let servers =
        Servers { older: older.start(older_dir.path())?, service: bench.service.start(dir.path())? };
    let pair = bench.alternate(|turn| bench.measure(servers.of(turn), &mut new_work()))?;
    servers.stop()?;
    Ok(pair)
}

/// Turns of two kinds of work, by kind.
fn split<const WORKS: usize>(pair: Pair<[Figures; WORKS]>) -> [Pair<Figures>; WORKS] {
    array::from_fn(|work| Pair {
        limit: pair.limit.iter().map(|figures| figures[work]).collect(),
        service: pair.service.iter().map(|figures| figures[work]).collect(),
    })
}

fn outcome(scenario: &'static str, about: String, works: Vec<(&str, Pair<Figures>)>) -> Outcome {
    let verdicts = works.iter().flat_map(|(work, pair)| {
        [
            Verdict::cpu_ratio(&format!("{work}: CPU per request, of the older build's"), pair, CPU_TARGET),
            Verdict::ratio(&format!("{work}: requests a second, of the older build's"), pair, TARGET),
        ]
    });
    Outcome {
        scenario,
        about: format!("{about}; in turns with an older build"),
        verdicts: verdicts.collect(),
        sides: works.into_iter().flat_map(|(work, pair)| sides(work, pair)).collect(),
        notes: Vec::new(),
    }
}

fn sides(work: &str, pair: Pair<Figures>) -> [Side; 2] {
    [
        Side::new(format!("{work}, older build"), pair.limit),
        Side::new(format!("{work}, this build"), pair.service),
    ]
}
