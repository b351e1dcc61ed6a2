//! The topic: made if it is missing, never changed.

use std::time::{Duration, Instant};

use order_application::BrokerError;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::runtime::Handle;

use super::client::{Observer, PATIENCE, not_created, settings};
use super::error::{failed, failure};
use super::inspection::TopicSettings;
use super::options::KafkaOptions;
use super::probe::{Probe, missing};

/// Between two looks at a topic that is not there as it should be.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// `-1` leaves it to the broker.
const BROKERS_CHOICE: i32 = -1;

/// Settings of a topic that is made here: it keeps everything, as replicas need it.
const MADE_WITH: [(&str, &str); 3] =
    [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];

/// The topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadyTopic {
    pub(super) partitions: i32,
    pub(super) settings: TopicSettings,
}

/// The topic, made if it is missing. Blocks.
///
/// If it has another number of partitions than was asked for, that is an error where nothing was published here yet. Later on
/// somebody has added some, and nobody can take them away.
pub(super) fn find_or_make(
    options: &KafkaOptions,
    probe: &Probe,
    is_published_to: bool,
) -> Result<ReadyTopic, BrokerError> {
    // The first question, for it finds out whether anybody answers.
    let found = probe.partitions()?;
    let admin: AdminClient<Observer> =
        AdminClient::from_config_and_context(&settings(options), Observer::default())
            .map_err(|error| not_created(&error))?;
    let partitions = match found {
        Some(partitions) => partitions,
        None => {
            create(options, &admin)?;
            wait_until_ready(&options.topic, probe)?
        }
    };
    let asked = options.partitions.filter(|asked| i32::from(*asked) != partitions && !is_published_to);
    if let Some(asked) = asked {
        return Err(BrokerError::Misconfigured(format!(
            "the topic {} has {partitions} partitions, and partitions={asked} cannot change it: leave that out, or name another topic",
            options.topic
        )));
    }
    Ok(ReadyTopic { partitions, settings: settings_of(options, &admin) })
}

fn create(options: &KafkaOptions, admin: &AdminClient<Observer>) -> Result<(), BrokerError> {
    let topic = &options.topic;
    let doing = format!("the topic {topic} is missing and could not be made");
    let copies = options.replication.map_or(BROKERS_CHOICE, i32::from);
    let partitions = i32::from(options.partitions.unwrap_or(1));
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(copies));
    let new = MADE_WITH.iter().fold(new, |new, (name, value)| new.set(name, value));
    let limits = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
    let made = Handle::current().block_on(admin.create_topics(&[new], &limits));
    for outcome in made.map_err(|error| failure(&error, &doing))? {
        match outcome {
            Ok(_) => tracing::info!(topic, partitions, "made the topic"),
            // Another was quicker.
            Err((_, Code::TopicAlreadyExists)) => {}
            Err((_, code)) => return Err(failed(Some(code), &format!("{doing}: {code}"))),
        }
    }
    Ok(())
}

/// Partitions that were just made may have no leader for a moment.
fn wait_until_ready(topic: &str, probe: &Probe) -> Result<i32, BrokerError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match probe.partitions() {
            Ok(Some(partitions)) => return Ok(partitions),
            Ok(None) | Err(_) if Instant::now() < deadline => probe.wait(LOOK_AGAIN),
            outcome => return outcome?.ok_or_else(|| missing(topic)),
        }
    }
}

/// What is not known stays open: the user may not be allowed to ask.
fn settings_of(options: &KafkaOptions, admin: &AdminClient<Observer>) -> TopicSettings {
    let limits = AdminOptions::new().request_timeout(Some(PATIENCE));
    let topic = ResourceSpecifier::Topic(&options.topic);
    let described = Handle::current().block_on(admin.describe_configs(&[topic], &limits));
    let described = described.ok().and_then(|mut topics| topics.pop()?.ok());
    let settings = described.as_ref().map(TopicSettings::read).unwrap_or_default();
    tracing::debug!(target: "kafka", topic = options.topic, ?settings);
    settings
}
