//! Events on their way out: relays beside bare clients of the same brokers, and a replica.

mod beside;
mod drain;
mod latency;
mod replica;

pub(super) use self::beside::place_while_relaying;
pub(super) use self::drain::{to_kafka, to_nats};
pub(super) use self::latency::commit_to_consumer;
pub(super) use self::replica::from_kafka;
