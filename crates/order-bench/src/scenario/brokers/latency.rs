//! From a command to a consumer.

use std::time::Duration;

use anyhow::Result;

use crate::bench::Bench;
use crate::brokers::{Broker, Consumer, wait_until_published};
use crate::paced::place_at;
use crate::report::{Figures, Outcome, Side, Verdict};

const COMMANDS_PER_S: u64 = 1_000;
/// Connections that share the rate.
const CONNECTIONS: u64 = 10;
/// At the same rate, so that connections and caches are warm.
const WARM_UP: Duration = Duration::from_secs(2);

/// How old events are when a consumer has them, counted from the decision: the commit is in it, which makes it a little
/// more than is asked about.
pub(crate) fn commit_to_consumer(bench: &Bench) -> Result<Outcome> {
    let mut sides = Vec::new();
    let mut verdicts = Vec::new();
    let measured = Duration::from_secs_f64(bench.options.seconds * f64::from(bench.options.rounds));
    for (name, start) in [("kafka", Broker::kafka as fn() -> Result<Broker>), ("nats", Broker::nats)] {
        let broker = start()?;
        let dir = bench.new_dir()?;
        let service = bench.service.start_with_bus(dir.path(), &[broker.url("orders")])?;
        // The first events make the topic or stream.
        place_at(&service, CONNECTIONS, COMMANDS_PER_S, Duration::from_millis(100), None)?;
        wait_until_published(&service, "orders", 1)?;
        let consumer = Consumer::start(&broker, "orders");
        place_at(&service, CONNECTIONS, COMMANDS_PER_S, WARM_UP, None)?;
        consumer.begin_anew();
        place_at(&service, CONNECTIONS, COMMANDS_PER_S, measured, None)?;
        wait_until_published(&service, "orders", 1)?;
        let figures = Figures::of_latencies(&consumer.finish()?, measured);
        service.stop()?;
        verdicts.push(Verdict::at_most(&format!("p99 to a consumer of {name}"), figures.p99_ms, "ms", 50.0));
        sides.push(Side::new(name, vec![figures]));
    }
    Ok(Outcome {
        scenario: "relay-latency",
        about: format!("age of events at a consumer, {COMMANDS_PER_S} commands a second, durable"),
        verdicts,
        sides,
        notes: Vec::new(),
    })
}
