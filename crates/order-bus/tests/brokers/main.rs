//! Brokers, on real servers.

#![cfg(feature = "full-tests")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is the report")]

mod contract;
#[cfg(feature = "kafka")]
mod kafka;
#[cfg(feature = "kafka")]
mod kafka_access;
#[cfg(feature = "kafka")]
mod kafka_faults;
#[cfg(feature = "kafka")]
mod kafka_python;
#[cfg(feature = "kafka")]
mod kafka_reading;
#[cfg(feature = "kafka")]
mod kafka_sharing;
#[cfg(feature = "kafka")]
mod kafka_support;
#[cfg(feature = "kafka")]
mod kafka_topics;
mod nats;
mod nats_access;
mod nats_cluster;
mod nats_python;
mod nats_sharing;
mod nats_streams;
mod nats_support;
