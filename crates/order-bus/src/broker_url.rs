//! `nats://…` or `kafka://…`: which broker, and how to speak with it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use order_application::{Broker, BrokerLog};

#[cfg(feature = "kafka")]
use crate::kafka::{KafkaBroker, KafkaLog, KafkaOptions};
use crate::nats::{NatsBroker, NatsLog, NatsOptions};

/// A broker by its URL. Shown without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrokerUrl {
    /// NATS with JetStream.
    Nats(NatsOptions),
    /// Apache Kafka, and what is compatible with it.
    #[cfg(feature = "kafka")]
    Kafka(KafkaOptions),
}

impl BrokerUrl {
    /// The name of a relay to it, and so of its checkpoint. It stays the same when hosts or credentials change.
    pub fn name(&self) -> &str {
        match self {
            Self::Nats(options) => options.name(),
            #[cfg(feature = "kafka")]
            Self::Kafka(options) => options.name(),
        }
    }

    /// To publish to it. `event_source` is the events' `source`.
    pub fn broker(&self, event_source: &str) -> Arc<dyn Broker> {
        match self {
            Self::Nats(options) => Arc::new(NatsBroker::new(options.clone(), event_source)),
            #[cfg(feature = "kafka")]
            Self::Kafka(options) => Arc::new(KafkaBroker::new(options.clone(), event_source)),
        }
    }

    /// To read from it.
    pub fn log(&self) -> Arc<dyn BrokerLog> {
        match self {
            Self::Nats(options) => Arc::new(NatsLog::new(options.clone())),
            #[cfg(feature = "kafka")]
            Self::Kafka(options) => Arc::new(KafkaLog::new(options.clone())),
        }
    }
}

impl FromStr for BrokerUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        match url.split_once("://") {
            Some(("nats" | "tls", _)) => NatsOptions::parse(url).map(Self::Nats),
            #[cfg(feature = "kafka")]
            Some(("kafka", _)) => KafkaOptions::parse(url).map(Self::Kafka),
            #[cfg(not(feature = "kafka"))]
            Some(("kafka", _)) => Err("this program was built without Kafka".to_owned()),
            _ => Err("a broker is nats://HOST or kafka://HOST".to_owned()),
        }
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nats(options) => options.fmt(f),
            #[cfg(feature = "kafka")]
            Self::Kafka(options) => options.fmt(f),
        }
    }
}
