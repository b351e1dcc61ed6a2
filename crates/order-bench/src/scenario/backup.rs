//! Backing up a SQLite store, alone and beside a server under load, and restoring it.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::rebuild::{EVENTS_PER_ORDER, drive_beside};
use crate::bench::Bench;
use crate::load::Group;
use crate::order_ids::OrderIds;
use crate::process::mib;
use crate::report::{Bound, Figures, Outcome, Side, Verdict};
use crate::work::Place;

/// More would only take longer.
const ROUNDS: u32 = 3;
/// Of the rate at which the file is copied, or [`ENOUGH_MIB_PER_S`] if that is less.
const SHARE_OF_COPY: f64 = 0.6;
const ENOUGH_MIB_PER_S: f64 = 200.0;
const TARGET_KEPT: f64 = 0.85;
const TARGET_RESTORED_PER_S: f64 = 100_000.0;

/// `order-service backup` of a whole store, beside a copy of its file; `order-service restore` of that, with its check; and
/// a backup beside a server at full rate, which leaves it little.
pub(crate) fn of_a_large_store(bench: &Bench) -> Result<Outcome> {
    let orders = bench.options.read_orders;
    let events = orders * EVENTS_PER_ORDER;
    let [mut copied, mut backed_up, mut of_limit, mut restored, mut peaks] = [const { Vec::new() }; 5];
    let [mut without, mut with] = [const { Vec::new() }; 2];
    for _ in 0..bench.options.rounds.min(ROUNDS) {
        let dir = bench.service.shipped_dir(orders)?;
        let log_mib = mib(fs::metadata(dir.path().join("orders.db"))?.len());
        let copy_rate = log_mib / copy(bench, dir.path())?.as_secs_f64();
        let backup = bench.new_dir()?;
        let ran = bench.service.run(&["backup", "--data-dir", name(dir.path())?, name(backup.path())?])?;
        let rate = log_mib / ran.elapsed.as_secs_f64();
        copied.push(copy_rate);
        backed_up.push(rate);
        of_limit.push(rate / (SHARE_OF_COPY * copy_rate).min(ENOUGH_MIB_PER_S));
        peaks.push(mib(ran.peak_bytes));

        let target = bench.new_dir()?;
        let ran =
            bench.service.run(&["restore", name(backup.path())?, "--data-dir", name(target.path())?])?;
        restored.push(events as f64 / ran.elapsed.as_secs_f64());

        let [before, meanwhile] = beside_a_server(bench, dir.path())?;
        without.push(before);
        with.push(meanwhile);
    }
    Ok(Outcome {
        scenario: "backup",
        about: format!("backup and restore of {events} events of {orders} orders"),
        verdicts: vec![
            Verdict::of_rounds("of what is asked for", of_limit, "", Bound::AtLeast, 1.0),
            Verdict::ratio_of("placing beside it, of that without", &with, &without, TARGET_KEPT),
            Verdict::of_rounds("restored and checked", restored, "/s", Bound::AtLeast, TARGET_RESTORED_PER_S),
        ],
        sides: vec![Side::new("place", without), Side::new("place, beside a backup", with)],
        notes: vec![
            format!(
                "asked for: {SHARE_OF_COPY} of a copy of the file that is synced, or {ENOUGH_MIB_PER_S} MiB/s if that is less"
            ),
            told("copy", &copied, "MiB/s"),
            told("backup", &backed_up, "MiB/s"),
            told("the backup's peak", &peaks, "MiB"),
        ],
    })
}

fn told(what: &str, rounds: &[f64], unit: &str) -> String {
    let rounds: Vec<String> = rounds.iter().map(|figure| format!("{figure:.0}")).collect();
    format!("{what}: {} {unit}", rounds.join(", "))
}

/// How long a copy of the log's file takes until it is on the disk.
fn copy(bench: &Bench, dir: &Path) -> Result<Duration> {
    let to = bench.new_dir()?;
    let file = to.path().join("orders.db");
    let begin = Instant::now();
    fs::copy(dir.join("orders.db"), &file)?;
    File::open(&file)?.sync_all()?;
    Ok(begin.elapsed())
}

/// Places orders at full rate, without a backup and beside one of the whole store.
fn beside_a_server(bench: &Bench, dir: &Path) -> Result<[Figures; 2]> {
    let mut place = Place::new(OrderIds::new_random());
    let service = bench.service.start(dir)?;
    let without = bench.measure(&service, &mut place)?;
    let backup = bench.new_dir()?;
    let group = Group { connections: bench.options.connections, work: &mut place };
    let arguments = ["backup", "--data-dir", name(dir)?, name(backup.path())?];
    let (measurements, _) = drive_beside(vec![(service.address(), group)], || bench.service.run(&arguments))?;
    service.stop()?;
    let with = Figures::new(measurements.first().context("the group has its measurement")?, None);
    Ok([without, with])
}

fn name(dir: &Path) -> Result<&str> {
    dir.to_str().context("the scratch directory's name is UTF-8")
}
