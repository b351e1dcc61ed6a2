//! A consumer of a stream, with NATS's own client.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::stream::Config;
use futures_util::StreamExt;

use super::channel::Channel;
use super::event::Message;

/// For the next message, and for every other answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs something with a client.
pub(crate) fn with_client<T, F: Future<Output = Result<T, String>>>(
    servers: &str,
    work: impl FnOnce(jetstream::Context) -> F,
) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(text)?;
    runtime.block_on(async {
        let client = within(async_nats::connect(servers.split(',').collect::<Vec<_>>())).await?;
        work(jetstream::new(client)).await
    })
}

/// Everything that a stream has now, from its beginning.
pub(crate) fn messages(servers: &str, stream: &str) -> Result<Vec<Message>, String> {
    with_client(servers, |context| async move {
        let stream = within(context.get_stream(stream)).await?;
        let last = stream.cached_info().state.last_sequence;
        let mut messages = Vec::new();
        if stream.cached_info().state.messages == 0 {
            return Ok(messages);
        }
        let consumer = within(stream.create_consumer(OrderedConfig::default())).await?;
        let mut arriving = within(consumer.messages()).await?;
        loop {
            let next = tokio::time::timeout(PATIENCE, arriving.next()).await.map_err(text)?;
            let message = next.ok_or("the consumer has ended")?.map_err(text)?;
            let sequence = message.info().map_err(text)?.stream_sequence;
            messages.push(read(&message));
            if sequence >= last {
                return Ok(messages);
            }
        }
    })
}

/// Makes the stream as the service would, but for a change.
#[track_caller]
pub(crate) fn make_stream(channel: &Channel, change: impl FnOnce(&mut Config)) {
    let mut config = Config {
        name: channel.name.clone(),
        subjects: vec![format!("{}.>", channel.subject)],
        ..Config::default()
    };
    change(&mut config);
    let made = with_client(&channel.servers, |context| async move {
        within(context.create_stream(config)).await.map(drop)
    });
    assert_eq!(made, Ok(()));
}

#[track_caller]
pub(crate) fn change_stream(channel: &Channel, change: impl FnOnce(&mut Config)) {
    let changed = with_client(&channel.servers, |context| async move {
        let mut config = within(context.get_stream(&channel.name)).await?.cached_info().config.clone();
        change(&mut config);
        within(context.update_stream(config)).await.map(drop)
    });
    assert_eq!(changed, Ok(()));
}

#[track_caller]
pub(crate) fn delete_stream(channel: &Channel) {
    let deleted = with_client(&channel.servers, |context| async move {
        within(context.delete_stream(&channel.name)).await.map(drop)
    });
    assert_eq!(deleted, Ok(()));
}

#[track_caller]
pub(crate) fn purge_stream(channel: &Channel) {
    let purged = with_client(&channel.servers, |context| async move {
        let stream = within(context.get_stream(&channel.name)).await?;
        within(stream.purge()).await.map(drop)
    });
    assert_eq!(purged, Ok(()));
}

async fn within<T, E: Display>(work: impl IntoFuture<Output = Result<T, E>>) -> Result<T, String> {
    tokio::time::timeout(PATIENCE, work.into_future()).await.map_err(text)?.map_err(text)
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// Headers that say how to deliver it (`Nats-…`) are none of the event's.
fn read(message: &async_nats::Message) -> Message {
    let headers = message.headers.iter().flat_map(|headers| headers.iter());
    let attributes = headers.filter_map(|(name, values)| {
        let value = values.first().map(|value| decoded(value.as_str()))?;
        Some((name.to_string().strip_prefix("ce-")?.to_owned(), value))
    });
    Message::new(attributes, message.payload.to_vec(), message.subject.to_string())
}

/// Percent-encoding, as in HTTP.
fn decoded(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
