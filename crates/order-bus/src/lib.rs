//! Event buses. The in-process one is always there; brokers come beside it, not in its place.
//!
//! `nats/` and `kafka/` have the same files for the same work, listed in each `mod.rs`. What they do alike is here:
//!
//! | file | holds |
//! |---|---|
//! | `broker_url.rs` | which broker a URL means |
//! | `url.rs`, `tls.rs` | reading a broker's URL, and the files that it names |
//! | `send_window.rs` | what was sent and is not acknowledged yet |
//! | `json.rs` | what checkpoints and bookmarks remember |

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
