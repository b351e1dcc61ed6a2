//! Apache Kafka, by [librdkafka](https://github.com/confluentinc/librdkafka).
//!
//! Messages are CloudEvents in binary mode. What librdkafka has to say goes to `tracing` under the target `kafka`.
//!
//! | file | holds |
//! |---|---|
//! | `options/` | `kafka://…` |
//! | `broker.rs`, `topic.rs`, `verify.rs`, `evidence.rs` | opening: the topic, and whether it is what it was |
//! | `publication.rs`, `producer.rs`, `outstanding.rs`, `check.rs` | publishing, and what is acknowledged |
//! | `log.rs`, `reader.rs`, `fetch.rs` | reading |
//! | `headers.rs` | an event as a message |
//! | `client.rs`, `probe.rs`, `failure.rs`, `background.rs` | librdkafka: settings, errors, threads |

mod background;
mod broker;
mod check;
mod client;
mod evidence;
mod failure;
mod fetch;
mod headers;
mod log;
mod options;
mod outstanding;
mod probe;
mod producer;
mod publication;
mod reader;
mod topic;
mod verify;

pub use broker::KafkaBroker;
pub use log::KafkaLog;
pub use options::KafkaOptions;
