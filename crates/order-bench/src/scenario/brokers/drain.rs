//! Publishing a backlog.

use std::cell::Cell;

use anyhow::Result;

use crate::bench::{Bench, Turn};
use crate::brokers::{Broker, Message, publish, publish_with_own_tool, wait_until_published};
use crate::report::{Figures, Outcome, Side, Verdict};

pub(crate) fn to_kafka(bench: &Bench) -> Result<Outcome> {
    drain(bench, Broker::kafka, "relay-kafka", "a bare rdkafka producer loop")
}

pub(crate) fn to_nats(bench: &Bench) -> Result<Outcome> {
    drain(bench, Broker::nats, "relay-nats", "a bare asynchronous async-nats publish loop")
}

/// Each turn fills a new topic or stream, of a new broker each round: one has not the room for all.
fn drain(
    bench: &Bench,
    start: fn() -> Result<Broker>,
    scenario: &'static str,
    limit: &'static str,
) -> Result<Outcome> {
    let events = bench.options.read_orders;
    let dir = bench.service.prepared_dir(events)?;
    let message = {
        let service = bench.service.start(dir.path())?;
        let message = Message::sample(&service)?;
        service.stop()?;
        message
    };
    let turn = Cell::new(0);
    let mut broker = start()?;
    let pair = bench.alternate(|side| {
        if turn.get() > 0 && turn.get() % 2 == 0 {
            broker = start()?;
        }
        turn.set(turn.get() + 1);
        let name = format!("turn-{}", turn.get());
        let elapsed = match side {
            Turn::Limit => publish(&broker, &name, &message, events)?,
            Turn::Service => {
                let service = bench.service.start_with_bus(dir.path(), &[broker.url(&name)])?;
                let elapsed = wait_until_published(&service, &name, events)?;
                service.stop()?;
                elapsed
            }
        };
        Ok(Figures::of_rate(events as f64 / elapsed.as_secs_f64()))
    })?;
    let mut notes = vec![broker.description().to_owned()];
    if let Broker::Kafka(kafka) = &broker {
        let rate = publish_with_own_tool(kafka, &message, events)?;
        notes.push(format!(
            "Kafka's own kafka-producer-perf-test with records of this size: {rate:.0} a second"
        ));
    }
    Ok(Outcome {
        scenario,
        about: format!(
            "a relay publishes a backlog of {events} events, from the service's start to the last acknowledgement"
        ),
        verdicts: vec![Verdict::ratio(&format!("of {limit}"), &pair, 0.7)],
        sides: vec![Side::new("bare client", pair.limit), Side::new("service", pair.service)],
        notes,
    })
}
