//! Reading.

use anyhow::Result;

use crate::bench::{Bench, Turn};
use crate::postgres::Postgres;
use crate::prepared::{PREPARED_IDS, place_all};
use crate::report::{Outcome, Side, Verdict};
use crate::work::GetRandom;

/// `GET /orders/{id}`, each order as likely as any other, beside the same on the SQLite store.
pub(crate) fn single_orders(bench: &Bench) -> Result<Outcome> {
    let orders = bench.options.read_orders;
    let dir = bench.service.prepared_dir(orders)?;
    let on_sqlite = bench.service.start(dir.path())?;
    let postgres = Postgres::start()?;
    let database = postgres.create_database()?;
    let on_postgres = bench.service.start_on(&database)?;
    place_all(&on_postgres, orders, bench.options.connections)?;
    // What PostgreSQL would do by itself some time after such a load.
    postgres.query(&database, "VACUUM ANALYZE")?;
    postgres.query(&database, "CHECKPOINT")?;

    let mut work = GetRandom::new(PREPARED_IDS, orders);
    let pair = bench.alternate(|turn| match turn {
        Turn::Limit => bench.measure(&on_sqlite, &mut work),
        Turn::Service => bench.measure(&on_postgres, &mut work),
    })?;
    on_sqlite.stop()?;
    on_postgres.stop()?;
    Ok(Outcome {
        scenario: "pg-get",
        about: format!("GET /orders/{{id}} at random over {orders} orders"),
        verdicts: vec![Verdict::ratio("of the SQLite store", &pair, 0.6)],
        sides: vec![Side::new("SQLite", pair.limit), Side::new("PostgreSQL", pair.service)],
        notes: vec![postgres.description()?],
    })
}
