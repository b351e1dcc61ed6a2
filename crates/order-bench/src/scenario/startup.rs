//! How soon a service that was stopped or killed answers again.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bench::Bench;
use crate::load::{Group, Load};
use crate::order_ids::OrderIds;
use crate::report::{Outcome, Verdict, median};
use crate::server::Server;
use crate::work::Place;
use crate::{http, interrupt};

const TARGET_S: f64 = 1.0;
/// After this long a start has failed.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// Between two attempts: what the measured time may be too long by.
const RETRY_PAUSE: Duration = Duration::from_millis(1);

/// How the server before came to its end.
#[derive(Clone, Copy)]
enum End {
    /// SIGTERM once every request was answered.
    Stopped,
    /// SIGKILL with requests on their way on every connection.
    KilledUnderLoad,
}

/// From spawning the process to the answer of the order that was acknowledged last, on a store of millions of orders.
pub(crate) fn first_answer(bench: &Bench) -> Result<Outcome> {
    let orders = bench.options.orders;
    let dir = bench.service.prepared_dir(orders)?;
    let mut place = Place::new(OrderIds::new_random());
    let [mut stopped, mut killed] = [const { Vec::new() }; 2];
    for _ in 0..bench.options.rounds {
        stopped.push(restart(bench, dir.path(), &mut place, End::Stopped)?);
        killed.push(restart(bench, dir.path(), &mut place, End::KilledUnderLoad)?);
    }
    let worst = |starts: &[Start]| starts.iter().map(|start| start.answered_s).fold(0.0, f64::max);
    Ok(Outcome {
        scenario: "startup",
        about: format!(
            "from spawn to the first answer, on a store of {orders} orders, its files in the page cache"
        ),
        sides: Vec::new(),
        verdicts: vec![
            Verdict::at_most("slowest first answer after SIGTERM", worst(&stopped), "s", TARGET_S),
            Verdict::at_most("slowest first answer after kill -9 under load", worst(&killed), "s", TARGET_S),
        ],
        notes: vec![told("SIGTERM", &stopped), told("kill -9", &killed)],
    })
}

/// Seconds since the process was spawned.
struct Start {
    /// `GET` of the last acknowledged order was answered.
    answered_s: f64,
    /// `GET /ready` was answered with 200.
    ready_s: f64,
}

/// Places orders on a server, ends it, and times the start of the next one.
fn restart(bench: &Bench, dir: &Path, place: &mut Place, end: End) -> Result<Start> {
    let service = bench.service.start(dir)?;
    let group = Group { connections: bench.options.connections, work: &mut *place };
    let mut load = Load::connect(service.address(), vec![group])?;
    load.run(bench.span(), Some(service.process()))?;
    match end {
        End::Stopped => {
            load.drain()?;
            service.stop()?;
        }
        End::KilledUnderLoad => {
            service.kill()?;
            drop(load);
        }
    }
    let order = place.last_acknowledged().context("orders were placed")?;

    let spawned_at = Instant::now();
    let service = bench.service.start(dir)?;
    let answered_s = seconds_until_found(&service, &format!("/orders/{order}"), spawned_at)?;
    let ready_s = seconds_until_found(&service, "/ready", spawned_at)?;
    service.stop()?;
    Ok(Start { answered_s, ready_s })
}

/// Asks until the answer is 200. Not yet (503) is awaited; an acknowledged order that is not there is an error.
fn seconds_until_found(service: &Server, path: &str, spawned_at: Instant) -> Result<f64> {
    loop {
        match http::get(service.address(), path)? {
            (200, _) => return Ok(spawned_at.elapsed().as_secs_f64()),
            (503, _) if spawned_at.elapsed() < ANSWER_LIMIT => interrupt::pause(RETRY_PAUSE)?,
            (status, body) => bail!("GET {path} after the start was answered with {status}: {body}"),
        }
    }
}

fn told(end: &str, starts: &[Start]) -> String {
    let answered_s = median(starts.iter().map(|start| start.answered_s));
    let ready_s = median(starts.iter().map(|start| start.ready_s));
    format!("median after {end}: first answer {answered_s:.3} s, ready {ready_s:.3} s")
}
