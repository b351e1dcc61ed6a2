//! Apache Kafka without ZooKeeper (KRaft): one server, or several that replicate topics.
//!
//! | file | holds |
//! |---|---|
//! | `options.rs` | what a server is asked to be |
//! | `jars.rs` | where its programs are, and how they get there |
//! | `java.rs` | how they are run |
//! | `configuration.rs` | its configuration file |
//! | `server.rs` | a running server, or several: where they are, who leads |
//! | `wire.rs` | the two requests that this crate itself makes |
//! | `performance.rs` | Kafka's own benchmark of producers |

mod configuration;
mod jars;
mod java;
mod options;
mod performance;
mod server;
mod wire;

pub use jars::jars;
pub use options::{KafkaOptions, Sasl};
pub use performance::{ProducerFigures, producer_performance};
pub use server::{Kafka, KafkaCluster, KafkaServer};
