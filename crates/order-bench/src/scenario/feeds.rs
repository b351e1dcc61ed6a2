//! Live feeds that many clients read at once.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::bench::Bench;
use crate::feeds::{Drained, Readers, Watched, whole_feed};
use crate::interrupt;
use crate::paced::{Paced, place_at};
use crate::report::{Bound, Figures, Outcome, Side, Verdict};
use crate::server::Server;

/// One fewer than a service follows at once: the last looks what the others should get.
const FEEDS: usize = 999;
const PLACES_PER_S: u64 = 1_000;
/// At the same rate, so that connections and caches are warm.
const WARM_UP: Duration = Duration::from_secs(1);

/// A thousand feeds: from the beginning of a log beside a bare server that streams ready-made frames, and live while orders
/// are placed at a given rate.
pub(crate) fn many_readers(bench: &Bench) -> Result<Outcome> {
    let [mut alone, mut placed, mut live, mut bare, mut backlog] = [const { Vec::new() }; 5];
    for round in 0..bench.options.rounds {
        let dir = bench.new_dir()?;
        let service = bench.service.start(dir.path())?;
        let [_, Paced { latency, elapsed }] = place(bench, &service)?;
        service.stop()?;
        alone.push(Figures::of_latencies(&latency, elapsed));

        let dir = bench.new_dir()?;
        let service = bench.service.start(dir.path())?;
        let Live { placing, delivered, log } = live_turn(bench, &service)?;
        placed.push(placing);
        live.push(delivered);

        let file = bench.scratch().join("feed");
        fs::write(&file, &log.feed)?;
        let bare_stream = Server::start_bare_stream(&file, bench.scratch().join("bare-stream.log"))?;
        // Who begins changes from round to round, so that a drift of the machine favours neither.
        for turn in [round % 2, (round + 1) % 2] {
            if turn == 0 {
                bare.push(whole_log_turn(&bare_stream, &log)?);
            } else {
                backlog.push(whole_log_turn(&service, &log)?);
            }
        }
        bare_stream.stop()?;
        service.stop()?;
    }
    let p99s = placed.iter().map(|figures: &Figures| figures.p99_ms).collect();
    let rates = placed.iter().map(|figures| figures.requests_per_s).collect();
    Ok(Outcome {
        scenario: "feeds",
        about: format!(
            "{FEEDS} live feeds that are drained and counted; live: beside {PLACES_PER_S} places a second, durable; \
             backlog: all of that log at once, beside a bare hyper server that streams its frames ready-made. \
             A request of a feed is an event that one reader got"
        ),
        verdicts: vec![
            Verdict::of_rounds("places a second beside the feeds", rates, "/s", Bound::AtLeast, 950.0),
            Verdict::of_rounds("p99 of them", p99s, "ms", Bound::AtMost, 100.0),
            Verdict::ratio_of("events a second of a backlog, of the bare stream", &backlog, &bare, 0.7),
        ],
        sides: vec![
            Side::new("place, no feeds", alone),
            Side::new("place, live feeds", placed),
            Side::new("live", live),
            Side::new("bare stream", bare),
            Side::new("backlog", backlog),
        ],
        notes: vec!["\"load gen.\" of feeds is what their readers took".to_owned()],
    })
}

/// What one reader gets, byte for byte.
struct Log {
    feed: Vec<u8>,
    events: u64,
}

struct Live {
    placing: Figures,
    delivered: Figures,
    log: Log,
}

fn live_turn(bench: &Bench, service: &Server) -> Result<Live> {
    let (readers, watched) = (Readers::open(service.address(), FEEDS)?, Watched::default());
    let watched_by_readers = watched.clone();
    let cpu_before = service.process().cpu()?;
    let begun = Instant::now();
    let draining = thread::spawn(move || readers.drain(&watched_by_readers));
    let [warm, Paced { latency, elapsed }] = place(bench, service)?;
    // The last commit's announcement may still be under way, and then this waits for it.
    let events = warm.latency.count() + latency.count();
    let feed = whole_feed(service.address(), events)?;
    watched.expect(feed.len() as u64);
    let drained = draining.join().map_err(|_| anyhow!("the readers panicked"))??;
    let log = Log { feed, events };
    let delivered = log.figures(begun, &drained, service.process().cpu()?.saturating_sub(cpu_before));
    Ok(Live { placing: Figures::of_latencies(&latency, elapsed), delivered, log })
}

/// Places orders at the given rate: to warm up, and to be measured.
fn place(bench: &Bench, service: &Server) -> Result<[Paced; 2]> {
    let connections = bench.options.connections as u64;
    let warm = place_at(service, connections, PLACES_PER_S, WARM_UP, None)?;
    Ok([warm, place_at(service, connections, PLACES_PER_S, bench.span().measured, None)?])
}

/// Everybody reads the whole log.
fn whole_log_turn(server: &Server, log: &Log) -> Result<Figures> {
    // Until the server has noticed that earlier readers have left.
    interrupt::pause(Duration::from_millis(500))?;
    let watched = Watched::default();
    watched.expect(log.feed.len() as u64);
    let cpu_before = server.process().cpu()?;
    let begun = Instant::now();
    let readers = Readers::open(server.address(), FEEDS)?;
    let drained = readers.drain(&watched).context("read the whole log")?;
    Ok(log.figures(begun, &drained, server.process().cpu()?.saturating_sub(cpu_before)))
}

impl Log {
    fn figures(&self, begun: Instant, drained: &Drained, server_cpu: Duration) -> Figures {
        let elapsed = (drained.at - begun).as_secs_f64();
        let delivered = self.events as f64 * FEEDS as f64;
        Figures {
            server_cpu_us_per_request: Some(server_cpu.as_secs_f64() * 1e6 / delivered),
            loadgen_cores: Some(drained.cpu.as_secs_f64() / elapsed),
            ..Figures::of_rate(delivered / elapsed)
        }
    }
}
