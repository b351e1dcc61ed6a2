//! Apache Kafka, by [librdkafka](https://github.com/confluentinc/librdkafka).
//!
//! Messages are CloudEvents in binary mode. What librdkafka has to say goes to `tracing` under the target `kafka`.
//!
//! | file | holds |
//! |---|---|
//! | `options.rs` | `kafka://…` |
//! | `client.rs`, `error.rs`, `background.rs` | librdkafka: settings, what its errors mean, threads for what blocks |
//! | `topic.rs`, `probe.rs` | the topic: made, or looked at |
//! | `broker.rs`, `evidence.rs`, `resumption.rs` | opening a publication: what the topic has to show, and where to go on |
//! | `publication.rs`, `producer.rs`, `window.rs` | publishing, and what is not acknowledged yet |
//! | `message.rs` | an event as a message, and back |
//! | `log.rs`, `reader.rs` | reading, as a replica does |

mod background;
mod broker;
mod client;
mod error;
mod evidence;
mod log;
mod message;
mod options;
mod probe;
mod producer;
mod publication;
mod reader;
mod resumption;
mod topic;
mod window;

pub use broker::KafkaBroker;
pub use log::KafkaLog;
pub use options::KafkaOptions;
