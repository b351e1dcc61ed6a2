//! A consumer of a topic, with librdkafka as it is.

use std::fmt::Display;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

use super::channel::Channel;
use super::event::Message;

/// For the next message, and for every other answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) fn client(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("log_level", "0");
    config
}

/// Everything that a topic has now, from its beginning, without a group. Partitions come as they come.
pub(crate) fn messages(servers: &str, topic: &str) -> Result<Vec<Message>, String> {
    let consumer: BaseConsumer =
        client(servers).set("group.id", "e2e").set("enable.auto.commit", "false").create().map_err(text)?;
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).map_err(text)?;
    let partitions = metadata.topics().first().ok_or("no topic")?.partitions();
    let mut ends = Vec::new();
    let mut from_the_beginning = TopicPartitionList::new();
    for partition in partitions {
        let (low, high) = consumer.fetch_watermarks(topic, partition.id(), PATIENCE).map_err(text)?;
        if high > low {
            ends.push((partition.id(), high));
            from_the_beginning
                .add_partition_offset(topic, partition.id(), Offset::Beginning)
                .map_err(text)?;
        }
    }
    if partitions.is_empty() {
        return Err("no partitions".to_owned());
    }
    consumer.assign(&from_the_beginning).map_err(text)?;
    let mut messages = Vec::new();
    while !ends.is_empty() {
        let message = consumer.poll(PATIENCE).ok_or("no message comes")?.map_err(text)?;
        ends.retain(|&(partition, end)| partition != message.partition() || message.offset() + 1 < end);
        messages.push(read(&message));
    }
    Ok(messages)
}

/// Makes the topic, with one partition.
#[track_caller]
pub(crate) fn make_topic(channel: &Channel, settings: &[(&str, &str)]) {
    let new = NewTopic::new(&channel.name, 1, TopicReplication::Fixed(-1));
    let new = settings.iter().fold(new, |new, (name, value)| new.set(name, value));
    administer(channel, async |admin| {
        let made = admin.create_topics(&[new], &AdminOptions::new()).await.unwrap();
        made.into_iter().for_each(|topic| drop(topic.unwrap()));
    });
}

#[track_caller]
pub(crate) fn change_topic(channel: &Channel, name: &str, value: &str) {
    administer(channel, async |admin| {
        let change = AlterConfig::new(ResourceSpecifier::Topic(&channel.name)).set(name, value);
        let changed = admin.alter_configs(&[change], &AdminOptions::new()).await.unwrap();
        changed.into_iter().for_each(|topic| drop(topic.unwrap()));
    });
}

#[track_caller]
pub(crate) fn delete_topic(channel: &Channel) {
    administer(channel, async |admin| {
        let deleted = admin.delete_topics(&[&channel.name], &AdminOptions::new()).await.unwrap();
        deleted.into_iter().for_each(|topic| drop(topic.unwrap()));
    });
}

/// Removes all messages, and leaves the topic where it was.
#[track_caller]
pub(crate) fn delete_records(channel: &Channel) {
    let consumer: BaseConsumer = client(&channel.servers).create().unwrap();
    let metadata = consumer.fetch_metadata(Some(&channel.name), PATIENCE).unwrap();
    let mut ends = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        ends.add_partition_offset(&channel.name, partition.id(), Offset::End).unwrap();
    }
    administer(channel, async |admin| drop(admin.delete_records(&ends, &AdminOptions::new()).await.unwrap()));
}

fn administer(channel: &Channel, work: impl AsyncFnOnce(AdminClient<DefaultClientContext>)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work(client(&channel.servers).create().unwrap()));
}

fn text(error: impl Display) -> String {
    error.to_string()
}

fn read(message: &BorrowedMessage<'_>) -> Message {
    let as_text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    let attributes = headers.filter_map(|header| {
        let name = match header.key {
            "content-type" => "datacontenttype",
            key => key.strip_prefix("ce_")?,
        };
        Some((name.to_owned(), as_text(header.value)))
    });
    Message::new(attributes, message.payload().unwrap_or_default().to_vec(), as_text(message.key()))
}
