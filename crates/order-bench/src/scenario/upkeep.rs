//! How much memory it takes to look after a large store.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bench::Bench;
use crate::process::mib;
use crate::report::{Outcome, Verdict};
use crate::server::Server;
use crate::{http, interrupt};

const TARGET_MIB: f64 = 256.0;
/// Events a second to compare: more than it can.
const FASTEST: &str = "1000000";
/// After this long a pass over the log has failed.
const PASS_LIMIT: Duration = Duration::from_secs(1_200);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The peak of resident memory of `order-service verify`, of `order-service rebuild`, and of a server that compares its
/// views with its log as fast as it can.
pub(crate) fn resident(bench: &Bench) -> Result<Outcome> {
    let orders = bench.options.orders;
    let dir = bench.service.prepared_dir(orders)?;
    let data_dir = dir.path().to_str().context("the scratch directory's name is UTF-8")?;
    let verify = bench.service.run(&["verify", "--data-dir", data_dir])?;
    let rebuild = bench.service.run(&["rebuild", "--data-dir", data_dir])?;
    let idle = bench.service.start_with(dir.path(), &["--scrub-rate", "0"])?;
    let idle_peak_bytes = idle.process().memory()?.peak_bytes;
    idle.stop()?;
    let service = bench.service.start_with(dir.path(), &["--scrub-rate", FASTEST])?;
    let pass = wait_for_a_pass(&service)?;
    let scrubbing = service.process().memory()?;
    service.stop()?;

    let at_most = |what, bytes: u64| Verdict::at_most(what, mib(bytes), "MiB", TARGET_MIB);
    let per_s = |time: Duration| orders as f64 / time.as_secs_f64();
    Ok(Outcome {
        scenario: "upkeep-memory",
        about: format!("resident memory while a store of {orders} orders is looked after"),
        sides: Vec::new(),
        verdicts: vec![
            at_most("peak of verify", verify.peak_bytes),
            at_most("peak of rebuild", rebuild.peak_bytes),
            at_most("peak of a server that scrubs", scrubbing.peak_bytes),
        ],
        notes: vec![
            format!("peak of a server that does nothing: {:.1} MiB", mib(idle_peak_bytes)),
            format!(
                "events a second: verify {:.0}, rebuild {:.0}, scrubbing {:.0}",
                per_s(verify.elapsed),
                per_s(rebuild.elapsed),
                per_s(pass)
            ),
        ],
    })
}

/// Waits until the whole log has been compared once, and says how long that took.
fn wait_for_a_pass(service: &Server) -> Result<Duration> {
    let begin = Instant::now();
    while begin.elapsed() < PASS_LIMIT {
        let ready = http::ready(service.address())?;
        let scrub = &ready["checks"]["scrub"];
        match (scrub["passes"].as_u64(), scrub["faults"].as_u64()) {
            (Some(0), Some(0)) => {}
            (Some(_), Some(0)) => return Ok(begin.elapsed()),
            // It says nothing of it while its store opens.
            (None, None) if ready["checks"]["lifecycle"] == "starting" => {}
            _ => bail!("the views differ from the log, or nobody compares them: {ready}"),
        }
        interrupt::pause(LOOK_EVERY)?;
    }
    bail!("the log was not gone through in {PASS_LIMIT:?}")
}
