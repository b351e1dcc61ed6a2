//! Placing orders while relays work on the same cores.

use std::time::Instant;

use anyhow::Result;

use crate::bench::{Bench, Turn};
use crate::brokers::{Broker, position, wait_until_published};
use crate::order_ids::OrderIds;
use crate::report::{Outcome, Side, Verdict, median};
use crate::work::Place;

/// With a relay to Kafka and one to NATS, beside the same without.
pub(crate) fn place_while_relaying(bench: &Bench) -> Result<Outcome> {
    let kafka = Broker::kafka()?;
    let (mut backlogs, mut drained_s) = (Vec::new(), Vec::new());
    let pair = bench.alternate(|turn| {
        let dir = bench.new_dir()?;
        let mut work = Place::new(OrderIds::new_random());
        match turn {
            Turn::Limit => {
                let service = bench.service.start(dir.path())?;
                let figures = bench.measure(&service, &mut work)?;
                service.stop()?;
                Ok(figures)
            }
            Turn::Service => {
                // Each store is new, and needs a new topic and a new stream. Kafka is compiled by now; NATS would still have
                // the orders of earlier turns in memory.
                let nats = Broker::nats()?;
                let names = [format!("kafka-{}", backlogs.len()), "nats".to_owned()];
                let urls = [kafka.url(&names[0]), nats.url(&names[1])];
                let service = bench.service.start_with_bus(dir.path(), &urls)?;
                let figures = bench.measure_unsettled(&service, &mut work)?;
                let events = work.asked_for();
                let (mut lag, begin) = (0, Instant::now());
                for name in &names {
                    lag = lag.max(events - position(&service, name)?);
                }
                for name in &names {
                    wait_until_published(&service, name, events)?;
                }
                backlogs.push(lag as f64);
                drained_s.push(begin.elapsed().as_secs_f64());
                service.stop()?;
                Ok(figures)
            }
        }
    })?;
    Ok(Outcome {
        scenario: "relay-beside-place",
        about: "place, durable, random ids, while a relay to each broker publishes on the same cores".into(),
        verdicts: vec![Verdict::ratio("of the rate without relays", &pair, 0.5)],
        sides: vec![Side::new("without", pair.limit), Side::new("with relays", pair.service)],
        notes: vec![
            format!("the larger backlog at the end of a turn: {:.0} events", median(backlogs)),
            format!("drained after the last command in {:.2} s", median(drained_s)),
        ],
    })
}
