//! Placing as a shop in earnest does: with a key, a rate that refuses nothing, and somebody who watches.

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

use crate::bench::{Bench, Pair, Turn};
use crate::build::Build;
use crate::collector::Collector;
use crate::http;
use crate::interrupt;
use crate::order_ids::OrderIds;
use crate::paced::place_at;
use crate::report::{Bound, Figures, Outcome, Side, Verdict};
use crate::request::Request;
use crate::server::Server;
use crate::work::Place;

/// What must be left of the rate of a service that asks nobody who they are.
const TARGET: f64 = 0.93;
/// The same with every hundredth request traced.
const TARGET_TRACED: f64 = 0.88;
const SCRAPE_EVERY: Duration = Duration::from_secs(1);
const SCRAPE_TARGET_MS: f64 = 20.0;
const SCRAPE_TARGET_KIB: f64 = 200.0;
const PACED_PER_S: u64 = 1_000;

/// Places orders with a key of an access file, while the metrics are scraped, beside a service that has no access file and
/// that nobody watches: of the same build, or of an older one.
pub(crate) fn place(bench: &Bench, plain: &Build) -> Result<Outcome> {
    let (pair, scrapes, paced_scrapes) = measure(bench, plain, &[])?;
    let kib = scrapes.iter().chain(&paced_scrapes).map(|scrape| scrape.kib).fold(0.0, f64::max);
    Ok(Outcome {
        scenario: "place-guarded",
        about:
            "place, durable, random ids, with a key that has a rate and a scrape each second, beside without"
                .to_owned(),
        verdicts: vec![
            Verdict::ratio("with a key, a rate and scrapes, of that without", &pair, TARGET),
            Verdict::of_rounds(
                "a scrape at full rate",
                times(&scrapes),
                "ms",
                Bound::AtMost,
                SCRAPE_TARGET_MS,
            ),
            Verdict::of_rounds(
                "a scrape at 1,000 a second",
                times(&paced_scrapes),
                "ms",
                Bound::AtMost,
                SCRAPE_TARGET_MS,
            ),
            Verdict::at_most("the longest scrape", kib, "KiB", SCRAPE_TARGET_KIB),
        ],
        sides: vec![Side::new("without", pair.limit), Side::new("with", pair.service)],
        notes: Vec::new(),
    })
}

/// The same with traces of every hundredth request, which go to a collector that throws them away.
pub(crate) fn place_traced(bench: &Bench, plain: &Build) -> Result<Outcome> {
    let collector = Collector::start()?;
    let (pair, ..) = measure(bench, plain, &collector.environment())?;
    let traced_kib = collector.taken_bytes() / 1024;
    ensure!(traced_kib > 0, "nothing was traced");
    Ok(Outcome {
        scenario: "place-traced",
        about: "place, durable, random ids, with a key that has a rate, a scrape each second, and every hundredth request \
                traced, beside without"
            .to_owned(),
        verdicts: vec![Verdict::ratio("with all of that, of that without", &pair, TARGET_TRACED)],
        sides: vec![Side::new("without", pair.limit), Side::new("with", pair.service)],
        notes: vec![format!("the collector was sent {traced_kib} KiB")],
    })
}

type Measured = (Pair<Figures>, Vec<Scrape>, Vec<Scrape>);

/// The turns, the scrapes of the guarded ones, and those of a service that is not at full rate.
fn measure(bench: &Bench, plain: &Build, environment: &[(&str, String)]) -> Result<Measured> {
    let (plain_dir, dir, access) = (bench.new_dir()?, bench.new_dir()?, bench.new_dir()?);
    let plain = plain.start(plain_dir.path())?;
    let access = Access::make(bench, access.path())?;
    let guarded = bench.service.start_in(environment, dir.path(), &["--access", &access.file])?;
    let mut scrapes = Vec::new();
    let pair = bench.alternate(|turn| match turn {
        Turn::Limit => bench.measure(&plain, &mut Place::new(OrderIds::new_random())),
        Turn::Service => {
            let ids = OrderIds::new_random();
            let mut work = Place::asking(ids, Request::place(ids, 1).with_bearer(&access.key));
            let (figures, scraped) =
                scraped_meanwhile(&guarded, &access.key, || bench.measure(&guarded, &mut work))?;
            scrapes.extend(scraped);
            Ok(figures)
        }
    })?;
    let time = bench.span().measured;
    let (_, paced_scrapes) = scraped_meanwhile(&guarded, &access.key, || {
        place_at(&guarded, bench.options.connections as u64, PACED_PER_S, time, Some(&access.key))
    })?;
    plain.stop()?;
    guarded.stop()?;
    Ok((pair, scrapes, paced_scrapes))
}

/// An access file with one key.
struct Access {
    file: String,
    key: String,
}

impl Access {
    /// Lets the service make the key, and gives it a rate that is never reached.
    fn make(bench: &Bench, dir: &Path) -> Result<Self> {
        let (entry, said) = (dir.join("access.toml"), dir.join("said"));
        let made = ["keys", "create", "--name", "bench", "--scope", "place,read,operate"];
        bench.service.run_into(&made, File::create(&entry)?, &said)?;
        let said = fs::read_to_string(&said)?;
        let key = said.split_whitespace().find(|word| word.starts_with("ok_"));
        let key = key.with_context(|| format!("no key in {said:?}"))?.to_owned();
        let entry_text = fs::read_to_string(&entry)?;
        fs::write(&entry, format!("{entry_text}rate = {{ per_second = 10000000, burst = 10000000 }}\n"))?;
        let file = entry.to_str().context("the scratch directory's name is UTF-8")?.to_owned();
        Ok(Self { file, key })
    }
}

struct Scrape {
    ms: f64,
    kib: f64,
}

fn times(scrapes: &[Scrape]) -> Vec<f64> {
    scrapes.iter().map(|scrape| scrape.ms).collect()
}

/// Asks for the metrics every second for as long as `job` takes.
fn scraped_meanwhile<T>(
    service: &Server,
    key: &str,
    job: impl FnOnce() -> Result<T>,
) -> Result<(T, Vec<Scrape>)> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let scraper = scope.spawn(|| {
            let mut scrapes = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let begin = Instant::now();
                let (status, body) = http::get_with_key(service.address(), "/metrics", key)?;
                ensure!(status == 200, "a scrape was answered with {status}");
                let ms = begin.elapsed().as_secs_f64() * 1e3;
                scrapes.push(Scrape { ms, kib: body.len() as f64 / 1024.0 });
                interrupt::pause(SCRAPE_EVERY)?;
            }
            Ok(scrapes)
        });
        let outcome = job();
        done.store(true, Ordering::Relaxed);
        let scrapes = scraper.join().map_err(|_| anyhow!("the scraper panicked"))??;
        Ok((outcome?, scrapes))
    })
}
