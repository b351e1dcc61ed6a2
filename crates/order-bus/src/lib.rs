//! Event buses. The in-process one is always there; brokers come beside it, not in its place.
//!
//! `nats/` and `kafka/` have the same files for the same work:
//!
//! | file | holds |
//! |---|---|
//! | `options.rs` | the URL |
//! | `client.rs`, `error.rs` | the client's settings, and what its errors mean |
//! | `broker.rs`, `evidence.rs`, `resumption.rs` | opening a publication: what the broker has to show, and where to go on |
//! | `publication.rs`, `window.rs` | publishing, and what is not acknowledged yet |
//! | `message.rs` | an event as a message, and back |
//! | `log.rs`, `reader.rs` | reading, as a replica does |
//!
//! What they do alike is here:
//!
//! | file | holds |
//! |---|---|
//! | `broker_url.rs` | which broker a URL means |
//! | `url.rs`, `tls.rs` | reading a broker's URL, and the files that it names |
//! | `send_window.rs` | what was sent and is not acknowledged yet |

mod broker_url;
mod in_process;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod nats;
#[cfg(all(feature = "kafka", feature = "planted-faults"))]
mod planted_faults;
mod send_window;
mod tls;
mod url;

pub use broker_url::BrokerUrl;
pub use in_process::InProcessBus;
#[cfg(feature = "kafka")]
pub use kafka::{KafkaBroker, KafkaLog, KafkaOptions};
pub use nats::{NatsBroker, NatsLog, NatsOptions};
