//! Consumers that are slow, or die: they are nothing to the relay.

use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use futures_util::StreamExt;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::broker::shared_channel;
use super::channel::{Channel, Kind};
use super::load::{under_steady_load, wait_for_more};
use super::verdict::{assert_relayed, wait_until_at_work};
use super::{kafka, nats};
use crate::server::Program;

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn consumers_that_are_slow_or_die_matter_to_nobody() {
    let channels = [Kind::Nats, Kind::Kafka].map(shared_channel);
    let directory = tempfile::tempdir().unwrap();
    let program = Program::serving(directory.path());
    let server =
        channels.iter().fold(program, |program, channel| program.argument("--bus", channel.url())).start();
    let claims = under_steady_load(server.port(), "consumers", |progress| {
        channels.iter().for_each(|channel| wait_until_at_work(&server, channel));
        nats_consumer_that_dies(&channels[0]);
        // Alive to the end, and done with one message.
        let _slow = kafka_consumer_after_one_message(&channels[1]);
        drop(kafka_consumer_after_one_message(&channels[1]));
        wait_for_more(progress, 100);
        channels.iter().for_each(|channel| wait_until_at_work(&server, channel));
    });
    assert_relayed(&server, &claims, &channels);
    server.stop();
}

/// With messages that it was given and never acknowledged; the stream keeps its place for it.
fn nats_consumer_that_dies(channel: &Channel) {
    let taken = nats::with_client(&channel.servers, |context| async move {
        let stream = context.get_stream(&channel.name).await.map_err(|error| error.to_string())?;
        let durable = pull::Config { durable_name: Some("dead".to_owned()), ..pull::Config::default() };
        let consumer = stream.create_consumer(durable).await.map_err(|error| error.to_string())?;
        let mut messages = consumer.messages().await.map_err(|error| error.to_string())?;
        let first = tokio::time::timeout(PATIENCE, messages.next()).await;
        Ok(first.is_ok_and(|first| first.is_some()))
    });
    assert_eq!(taken, Ok(true));
}

fn kafka_consumer_after_one_message(channel: &Channel) -> BaseConsumer {
    let mut settings = kafka::client(&channel.servers);
    settings.set("group.id", "slow").set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = settings.create().unwrap();
    let mut partition = rdkafka::TopicPartitionList::new();
    partition.add_partition_offset(&channel.name, 0, rdkafka::Offset::Beginning).unwrap();
    consumer.assign(&partition).unwrap();
    let first = consumer.poll(PATIENCE).unwrap().unwrap().offset();
    assert_eq!(first, 0);
    consumer
}
