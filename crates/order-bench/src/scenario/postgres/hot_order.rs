//! An order that everybody wants to change.

use anyhow::Result;

use crate::bench::{Bench, Turn};
use crate::hot_order::HotOrders;
use crate::load::Group;
use crate::postgres::{Inserts, Postgres};
use crate::report::{Outcome, Side, Verdict};

/// Clients of each of the two instances.
const CLIENTS: usize = 50;

/// A hundred clients over two instances pay for the same order, beside the commits of one client of `pgbench`: changes of
/// one order can only come one after the other.
pub(crate) fn many_clients(bench: &Bench) -> Result<Outcome> {
    let postgres = Postgres::start()?;
    let inserts = Inserts::new(&postgres)?;
    let database = postgres.create_database()?;
    let instances = [bench.service.start_on(&database)?, bench.service.start_on(&database)?];
    let [one, other] = &instances;
    let mut shares = Vec::new();
    let [mut accepted, mut recorded, mut refused] = [0; 3];
    let pair = bench.alternate(|turn| match turn {
        Turn::Limit => inserts.measure(1, bench.span()),
        Turn::Service => {
            let hot = HotOrders::place(one)?;
            let [mut to_one, mut to_other] = [(); 2].map(|()| hot.payments(CLIENTS));
            let figures = bench.measure_together(vec![
                (one, Group { connections: CLIENTS, work: &mut to_one }),
                (other, Group { connections: CLIENTS, work: &mut to_other }),
            ])?;
            recorded += hot.check(one, &[&to_one, &to_other])?;
            refused += to_one.refused_count() + to_other.refused_count();
            let mut of_clients: Vec<usize> = to_one.accepted().chain(to_other.accepted()).collect();
            of_clients.sort_unstable();
            accepted += of_clients.iter().sum::<usize>() as u64;
            shares.push(of_clients);
            Ok(figures)
        }
    })?;
    instances.into_iter().try_for_each(|instance| instance.stop())?;
    let fewest = shares.iter().filter_map(|clients| clients.first()).min().copied().unwrap_or_default();
    let told = |clients: &Vec<usize>| {
        let at = |index: usize| clients.get(index).copied().unwrap_or_default();
        format!("{} / {} / {}", at(0), at(clients.len() / 2), at(clients.len() - 1))
    };
    let shares: Vec<String> = shares.iter().map(told).collect();
    Ok(Outcome {
        scenario: "pg-hot-order",
        about: format!(
            "payments for one order, {} clients over two instances; pgbench: one client",
            2 * CLIENTS
        ),
        verdicts: vec![
            Verdict::ratio("accepted, of the commits of one client of pgbench", &pair, 0.3),
            Verdict::at_least("fewest accepted from one client in a turn", fewest as f64, "payments", 1.0),
        ],
        sides: vec![Side::new("pgbench", pair.limit), Side::new("service", pair.service)],
        notes: vec![
            format!("every one of {accepted} accepted payments is there exactly once"),
            format!("{} more are there that were refused, of {refused} refused", recorded - accepted),
            format!("accepted from a client, fewest / median / most, by round: {}", shares.join(", ")),
            postgres.description()?,
        ],
    })
}
