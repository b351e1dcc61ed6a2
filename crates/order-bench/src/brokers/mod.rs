//! Brokers under measurement, bare clients that are the limits of what publishes to them, and a consumer.

mod bare;
mod consumer;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use test_servers::{KafkaOptions, KafkaServer, NatsOptions, NatsServer};

use crate::http;
use crate::interrupt;
use crate::server::Server;

pub(crate) use self::bare::{Message, publish, publish_with_own_tool};
pub(crate) use self::consumer::Consumer;

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

/// How far a relay has come, as `/ready` tells it.
pub(crate) fn position(service: &Server, relay: &str) -> Result<u64> {
    let ready = http::ready(service.address())?;
    let position = ready["checks"]["relays"][relay]["position"].as_u64();
    position.with_context(|| format!("no position of {relay} in {ready}"))
}

/// Waits until a relay has published the log up to `head`, and says how long that took.
pub(crate) fn wait_until_published(service: &Server, relay: &str, head: u64) -> Result<Duration> {
    let begin = Instant::now();
    while begin.elapsed() < DRAIN_LIMIT {
        if position(service, relay)? >= head {
            return Ok(begin.elapsed());
        }
        interrupt::pause(LOOK_EVERY)?;
    }
    bail!("{relay} has not published everything within {DRAIN_LIMIT:?}")
}
