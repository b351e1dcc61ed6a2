//! Event buses. The in-process one is always there; brokers come beside it, not in its place.

mod broker_url;
mod in_process;
mod json;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod nats;
mod send_window;
mod tls;
mod url;

pub use broker_url::BrokerUrl;
pub use in_process::InProcessBus;
#[cfg(feature = "kafka")]
pub use kafka::{KafkaBroker, KafkaLog, KafkaOptions};
pub use nats::{NatsBroker, NatsLog, NatsOptions};
