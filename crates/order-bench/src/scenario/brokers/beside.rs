//! Placing orders while relays work on the same cores.

use anyhow::Result;

use crate::bench::{Bench, Turn};
use crate::brokers::{Broker, standing, wait_until_published};
use crate::order_ids::OrderIds;
use crate::report::{Outcome, Side, Verdict, median};
use crate::work::Place;

/// With a relay to Kafka and one to NATS, beside the same without.
pub(crate) fn place_while_relaying(bench: &Bench) -> Result<Outcome> {
    let (kafka, nats) = (Broker::kafka()?, Broker::nats()?);
    let (mut backlogs, mut drained_s) = (Vec::new(), Vec::new());
    let pair = bench.alternate(|turn| {
        let dir = bench.new_dir()?;
        let mut work = Place::new(OrderIds::new_random());
        match turn {
            Turn::Limit => {
                let service = bench.start_service(dir.path())?;
                let figures = bench.measure(&service, &mut work)?;
                service.stop()?;
                Ok(figures)
            }
            Turn::Service => {
                // New names, since each store is new.
                let round = backlogs.len();
                let names = [format!("kafka-{round}"), format!("nats-{round}")];
                let urls = [kafka.url(&names[0]), nats.url(&names[1])];
                let service = bench.start_service_with_bus(dir.path(), &urls)?;
                let figures = bench.measure_unsettled(&service, &mut work)?;
                let mut lag = 0;
                let mut drained = 0.0_f64;
                for name in &names {
                    lag = lag.max(standing(&service, name)?.lag);
                    drained += wait_until_published(&service, name, 1)?.as_secs_f64();
                }
                backlogs.push(lag as f64);
                drained_s.push(drained);
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
