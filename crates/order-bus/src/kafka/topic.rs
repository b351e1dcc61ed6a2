//! The topic: made if it is missing, never changed.

use std::time::{Duration, Instant};

use order_application::BrokerError;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::runtime::Handle;

use super::client::{Observer, PATIENCE, not_created, settings};
use super::error::{failed, failure};
use super::options::KafkaOptions;
use super::probe::{Probe, Topic};

/// Between two looks at a topic that is not there as it should be.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// `-1` leaves it to the broker.
const BROKERS_CHOICE: i32 = -1;

/// The topic as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ReadyTopic {
    pub(super) partitions: i32,
    /// What a batch may have in bytes, as far as one may know.
    pub(super) max_message_bytes: Option<usize>,
}

/// The topic, made if it is missing. Blocks.
pub(super) fn find_or_make(
    options: &KafkaOptions,
    probe: &Probe,
    runtime: &Handle,
) -> Result<ReadyTopic, BrokerError> {
    // The first question, for it finds out whether anybody answers.
    let found = probe.topic()?;
    let admin: AdminClient<Observer> =
        AdminClient::from_config_and_context(&settings(options), Observer::default())
            .map_err(|error| not_created(&error))?;
    if found == Topic::Missing {
        create(options, &admin, runtime)?;
    }
    let partitions = wait_until_ready(&options.topic, probe)?;
    if let Some(asked) = options.partitions.filter(|asked| i32::from(*asked) != partitions) {
        return Err(BrokerError::Misconfigured(format!(
            "the topic {} has {partitions} partitions, and partitions={asked} cannot change it: leave that out, or name another topic",
            options.topic
        )));
    }
    let max_message_bytes = max_message_bytes(options, &admin, runtime);
    Ok(ReadyTopic { partitions, max_message_bytes })
}

fn create(
    options: &KafkaOptions,
    admin: &AdminClient<Observer>,
    runtime: &Handle,
) -> Result<(), BrokerError> {
    let topic = &options.topic;
    let doing = format!("the topic {topic} is missing and could not be made");
    let copies = options.replication.map_or(BROKERS_CHOICE, i32::from);
    let partitions = i32::from(options.partitions.unwrap_or(1));
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(copies));
    let limits = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
    let made =
        runtime.block_on(admin.create_topics(&[new], &limits)).map_err(|error| failure(&error, &doing))?;
    for outcome in made {
        match outcome {
            Ok(_) => tracing::info!(topic, partitions, "Kafka: the topic is new"),
            // Another was quicker.
            Err((_, Code::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(failed(Some(code), &format!("{doing}: {code}"))),
        }
    }
    Ok(())
}

fn wait_until_ready(topic: &str, probe: &Probe) -> Result<i32, BrokerError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match probe.topic()?.partitions(topic) {
            Err(_) if Instant::now() < deadline => probe.wait(LOOK_AGAIN),
            partitions => return partitions,
        }
    }
}

/// `None` as well when the user may not ask.
fn max_message_bytes(
    options: &KafkaOptions,
    admin: &AdminClient<Observer>,
    runtime: &Handle,
) -> Option<usize> {
    let limits = AdminOptions::new().request_timeout(Some(PATIENCE));
    let described =
        runtime.block_on(admin.describe_configs(&[ResourceSpecifier::Topic(&options.topic)], &limits));
    let bytes = described.ok()?.pop()?.ok()?.get("max.message.bytes")?.value.as_ref()?.parse().ok();
    tracing::debug!(target: "kafka", topic = options.topic, bytes, "max.message.bytes");
    bytes
}
