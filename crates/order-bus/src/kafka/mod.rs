//! Apache Kafka, by [librdkafka](https://github.com/confluentinc/librdkafka).
//!
//! Messages are CloudEvents in binary mode. What librdkafka has to say goes to `tracing` under the target `kafka`.
//!
//! Besides the files that every broker has, `topic.rs`, `inspection.rs` and `probe.rs` make the topic, or look at it, `producer.rs`
//! takes what comes back, `background.rs` has threads for what librdkafka does blockingly, `found.rs` and `gap.rs` look at what may be
//! somebody else's, and `milestones.rs` and `remains.rs` tell what is left of a topic that has lost something.

mod background;
mod broker;
mod client;
mod error;
mod evidence;
mod found;
mod gap;
mod inspection;
mod log;
mod message;
mod milestones;
mod options;
mod probe;
mod producer;
mod publication;
mod reader;
mod remains;
mod resumption;
mod topic;
mod window;

pub use broker::KafkaBroker;
pub use log::KafkaLog;
pub use options::KafkaOptions;
