//! Brokers under measurement, bare clients that are the limits of what publishes to them, and a consumer.

mod bare;
mod consumer;
mod paced;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use test_servers::{KafkaOptions, KafkaServer, NatsOptions, NatsServer};

use crate::http;
use crate::interrupt;
use crate::server::Server;

pub(crate) use self::bare::{Message, publish};
pub(crate) use self::consumer::Consumer;
pub(crate) use self::paced::place_at;

/// How long a backlog may take to be published.
const DRAIN_LIMIT: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running broker, with a data directory of its own. Dropped, it is gone.
pub(crate) enum Broker {
    Kafka(KafkaServer),
    Nats(NatsServer),
}

impl Broker {
    /// One Apache Kafka broker, with a compiler and a heap as in production.
    pub(crate) fn kafka() -> Result<Self> {
        Ok(Self::Kafka(KafkaServer::start(&KafkaOptions::default().measured()).context("start Kafka")?))
    }

    /// One NATS server with JetStream, as it comes.
    pub(crate) fn nats() -> Result<Self> {
        Ok(Self::Nats(NatsServer::start(&NatsOptions::default()).context("start NATS")?))
    }

    /// What names a topic or stream of this broker to the service.
    pub(crate) fn url(&self, name: &str) -> String {
        match self {
            Self::Kafka(kafka) => format!("kafka://{}?topic={name}&name={name}", kafka.bootstrap()),
            Self::Nats(nats) => format!("{}?stream={name}&subject={name}&name={name}", nats.url()),
        }
    }

    pub(crate) fn description(&self) -> &'static str {
        match self {
            Self::Kafka(_) => "Apache Kafka 4.4, one broker, one partition, lz4, acks=all, idempotent",
            Self::Nats(_) => "NATS 2.15, one server, file storage, its own sync interval",
        }
    }
}

/// How a relay stands, as `/ready` tells it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RelayStanding {
    pub(crate) position: u64,
    pub(crate) lag: u64,
}

/// Asks the service for a relay's standing.
pub(crate) fn standing(service: &Server, relay: &str) -> Result<RelayStanding> {
    let (_, body) = http::get(service.address(), "/ready")?;
    let body: Value = serde_json::from_str(&body).with_context(|| format!("read {body:?}"))?;
    let standing = &body["checks"]["relays"][relay];
    let number =
        |name: &str| standing[name].as_u64().with_context(|| format!("no {name} of {relay} in {body}"));
    Ok(RelayStanding { position: number("position")?, lag: number("lag")? })
}

/// Waits until a relay has published the log up to `head`, and says how long that took.
pub(crate) fn wait_until_published(service: &Server, relay: &str, head: u64) -> Result<Duration> {
    let begin = Instant::now();
    while begin.elapsed() < DRAIN_LIMIT {
        let now = standing(service, relay)?;
        if now.lag == 0 && now.position >= head {
            return Ok(begin.elapsed());
        }
        interrupt::pause(LOOK_EVERY)?;
    }
    bail!("{relay} has not published everything within {DRAIN_LIMIT:?}: {:?}", standing(service, relay)?)
}
