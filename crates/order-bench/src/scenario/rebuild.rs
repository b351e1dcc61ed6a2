//! Making the views of a SQLite store anew, alone and beside a server under load.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bench::Bench;
use crate::load::{Group, Load, Measurement};
use crate::order_ids::OrderIds;
use crate::process::mib;
use crate::report::{Bound, Figures, Outcome, Side, Verdict};
use crate::views_file::ViewsFile;
use crate::work::Place;
use crate::{http, interrupt};

pub(super) const EVENTS_PER_ORDER: u64 = 4;
/// More would only take longer.
const ROUNDS: u32 = 3;
const TARGET_ALONE_PER_S: f64 = 150_000.0;
const TARGET_BESIDE_PER_S: f64 = 50_000.0;
const TARGET_KEPT: f64 = 0.7;
const TARGET_MIB: f64 = 256.0;
/// After this long a rebuild has failed.
const LIMIT: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// `order-service rebuild`, and the rebuild that a server begins by itself when it finds a row damaged, while orders are
/// placed at full rate; the log has four events of each order, far apart.
pub(crate) fn of_interleaved_events(bench: &Bench) -> Result<Outcome> {
    let orders = bench.options.read_orders;
    let events = orders * EVENTS_PER_ORDER;
    let (mut alone_per_s, mut beside_per_s, mut peaks_mib) = (Vec::new(), Vec::new(), Vec::new());
    let [mut without, mut with] = [const { Vec::new() }; 2];
    for _ in 0..bench.options.rounds.min(ROUNDS) {
        let dir = bench.service.shipped_dir(orders)?;
        let data_dir = dir.path().to_str().context("the scratch directory's name is UTF-8")?;
        let ran = bench.service.run(&["rebuild", "--data-dir", data_dir])?;
        alone_per_s.push(events as f64 / ran.elapsed.as_secs_f64());

        let beside = beside_a_server(bench, dir.path(), events)?;
        beside_per_s.push(beside.events_per_s);
        peaks_mib.push(beside.peak_mib);
        without.push(beside.without);
        with.push(beside.with);
    }
    Ok(Outcome {
        scenario: "rebuild",
        about: format!("views rebuilt from {events} events of {orders} orders, interleaved"),
        verdicts: vec![
            per_s("alone: events a second", alone_per_s, TARGET_ALONE_PER_S),
            per_s("beside a server under load: events a second", beside_per_s, TARGET_BESIDE_PER_S),
            Verdict::ratio_of("placing beside it, of that without", &with, &without, TARGET_KEPT),
            Verdict::of_rounds("the server's peak meanwhile", peaks_mib, "MiB", Bound::AtMost, TARGET_MIB),
        ],
        sides: vec![Side::new("place", without), Side::new("place, beside a rebuild", with)],
        notes: Vec::new(),
    })
}

fn per_s(what: &str, rounds: Vec<f64>, target: f64) -> Verdict {
    Verdict::of_rounds(what, rounds, "/s", Bound::AtLeast, target)
}

/// What a rebuild beside a server came to.
struct Beside {
    /// Placing on the same store, before anything was damaged.
    without: Figures,
    with: Figures,
    events_per_s: f64,
    peak_mib: f64,
}

/// Places orders on a store of so many events, damages a row of its views, and places orders while they are rebuilt.
fn beside_a_server(bench: &Bench, dir: &Path, events: u64) -> Result<Beside> {
    let mut place = Place::new(OrderIds::new_random());
    let service = bench.service.start(dir)?;
    let without = bench.measure(&service, &mut place)?;
    service.stop()?;
    let events = events + place.asked_for();

    let damaged = ViewsFile::newest(dir)?;
    let order = damaged.damage_first_order()?;
    let service = bench.service.start(dir)?;
    let group = Group { connections: bench.options.connections, work: &mut place };
    let (measurements, elapsed) = drive_beside(vec![(service.address(), group)], || {
        let begin = Instant::now();
        // Whoever reads it notices the damage. What the answer is does not matter here.
        http::get(service.address(), &format!("/orders/{order}"))?;
        wait_until_made_anew(service.address(), dir, &damaged)?;
        Ok(begin.elapsed())
    })?;
    let peak_mib = mib(service.process().memory()?.peak_bytes);
    service.stop()?;
    let with = Figures::new(measurements.first().context("the group has its measurement")?, None);
    Ok(Beside { without, with, events_per_s: events as f64 / elapsed.as_secs_f64(), peak_mib })
}

/// Drives servers at full rate for as long as a job takes on a thread of its own.
pub(super) fn drive_beside<T: Send>(
    shares: Vec<(SocketAddr, Group<'_>)>,
    job: impl FnOnce() -> Result<T> + Send,
) -> Result<(Vec<Measurement>, T)> {
    let mut load = Load::connect_each(shares)?;
    std::thread::scope(|scope| {
        let job = scope.spawn(job);
        let measurements = load.run_while(|_| !job.is_finished())?;
        let done = job.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        load.drain()?;
        Ok((measurements, done))
    })
}

/// New views are there, and `/ready` says that they are current.
fn wait_until_made_anew(service: SocketAddr, dir: &Path, before: &ViewsFile) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < LIMIT {
        let ready = http::ready(service)?;
        match ready["checks"]["views"]["state"].as_str() {
            Some("current") if ViewsFile::newest(dir)?.number() > before.number() => return Ok(()),
            Some("current" | "rebuilding") => {}
            // It says nothing of them while its store opens.
            None if ready["checks"]["lifecycle"] == "starting" => {}
            _ => bail!("the views are not being rebuilt: {ready}"),
        }
        interrupt::pause(LOOK_EVERY)?;
    }
    bail!("the views were not rebuilt in {LIMIT:?}")
}
