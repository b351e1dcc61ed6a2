//! A replica that reads a topic from its beginning.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::bench::Bench;
use crate::brokers::{Broker, wait_until_published};
use crate::http;
use crate::interrupt;
use crate::report::{Outcome, Verdict, median};
use crate::server::Server;

/// More would only take longer.
const ROUNDS: u32 = 3;
const LIMIT_S: u64 = 600;

/// From the replica's start to the moment in which it has the whole log.
pub(crate) fn from_kafka(bench: &Bench) -> Result<Outcome> {
    let events = bench.options.read_orders;
    let broker = Broker::kafka()?;
    let url = broker.url("orders");
    let dir = bench.service.prepared_dir(events)?;
    let service = bench.service.start_with_bus(dir.path(), std::slice::from_ref(&url))?;
    wait_until_published(&service, "orders", events)?;
    service.stop()?;
    let mut per_s = Vec::new();
    for _ in 0..bench.options.rounds.min(ROUNDS) {
        let dir = bench.new_dir()?;
        let begin = Instant::now();
        let replica = bench.service.start_replica(&url, dir.path())?;
        wait_for(&replica, events, begin)?;
        per_s.push(events as f64 / begin.elapsed().as_secs_f64());
        replica.stop()?;
    }
    Ok(Outcome {
        scenario: "replica-kafka",
        about: format!("a replica reads {events} events from Kafka into its store, from start to end"),
        verdicts: vec![Verdict::at_least("events a second", median(per_s), "/s", 50_000.0)],
        sides: Vec::new(),
        notes: vec![broker.description().to_owned()],
    })
}

fn wait_for(replica: &Server, head: u64, begin: Instant) -> Result<()> {
    loop {
        let ready = http::ready(replica.address())?;
        if ready["checks"]["replica"]["position"].as_u64() == Some(head) {
            return Ok(());
        }
        if begin.elapsed().as_secs() > LIMIT_S {
            bail!("the replica has not caught up: {ready}");
        }
        interrupt::pause(std::time::Duration::from_millis(20))?;
    }
}
