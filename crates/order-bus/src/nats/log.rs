//! Reading the stream, for a replica.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::{Config, ConsumerError, ConsumerErrorKind};
use async_trait::async_trait;
use order_application::{BrokerError, BrokerLog, BrokerReader, error_chain};
use serde::{Deserialize, Serialize};

use super::client::{Connection, OPEN_TIMEOUT, within};
use super::error::{api_error, unavailable};
use super::options::NatsOptions;
use super::reader::NatsReader;
use super::stream::{self, created};

/// Messages that are asked for at a time; half as many again may be under way.
const FETCHED_MESSAGES: usize = 4_000;
/// Bytes that are asked for at a time, unless one message may be larger.
const FETCHED_BYTES: usize = 16 * 1024 * 1024;
/// How long the server keeps an order of messages open.
const FETCH_EXPIRY: Duration = Duration::from_secs(30);
/// How often the server says that it has nothing; after twice as long without a word it is taken for lost.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long the server keeps a reader that has gone without a word. A paused one asks for nothing, either.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10 * 60);

/// A JetStream stream as a replica reads it: one partition, whose offsets are the stream's sequences.
///
/// The reader keeps its place itself; what it leaves in the server is gone after a while.
pub struct NatsLog {
    options: Arc<NatsOptions>,
}

impl NatsLog {
    /// A log that nobody has read yet.
    pub fn new(options: NatsOptions) -> Self {
        Self { options: Arc::new(options) }
    }
}

#[async_trait]
impl BrokerLog for NatsLog {
    async fn open(&self, bookmark: Option<&str>) -> Result<Box<dyn BrokerReader>, BrokerError> {
        let reader = within(OPEN_TIMEOUT, &self.options, open(&self.options, bookmark)).await?;
        Ok(Box::new(reader))
    }
}

async fn open(options: &Arc<NatsOptions>, bookmark: Option<&str>) -> Result<NatsReader, BrokerError> {
    let connection = Connection::open(options).await?;
    let stream = stream::find(options, &connection).await?;
    let info = stream.cached_info();
    let created = created(info);
    let (next, notice) = start(bookmark, created, info.state.last_sequence);
    if let Some(notice) = notice {
        tracing::warn!("the stream {}: {notice}", options.stream);
    }
    let consumer = stream
        .create_consumer(wanted(options, &info.config, next))
        .await
        .map_err(|error| consumer_error(options, &error))?;
    let max_bytes = FETCHED_BYTES.max(connection.client.server_info().max_payload.saturating_mul(2));
    let messages = consumer
        .stream()
        .max_messages_per_batch(FETCHED_MESSAGES)
        .max_bytes_per_batch(max_bytes)
        .expires(FETCH_EXPIRY)
        .heartbeat(HEARTBEAT)
        .messages()
        .await
        .map_err(|error| unavailable(options, error_chain(&error)))?;
    let (options, messages) = (Arc::clone(options), Box::pin(messages));
    Ok(NatsReader { options, connection, stream, messages, created, next, delivered: 0, is_paused: false })
}

fn wanted(options: &NatsOptions, config: &Config, start_sequence: u64) -> pull::Config {
    let all = format!("{}.>", options.subject);
    pull::Config {
        description: Some("A replica of order-service".to_owned()),
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence },
        // The replica keeps its place with its view.
        ack_policy: AckPolicy::None,
        inactive_threshold: FORGOTTEN_AFTER,
        memory_storage: true,
        num_replicas: 1,
        // Without a filter the server need not look at subjects.
        filter_subject: if config.subjects == [all.as_str()] { String::new() } else { all },
        ..pull::Config::default()
    }
}

fn consumer_error(options: &NatsOptions, error: &ConsumerError) -> BrokerError {
    if let ConsumerErrorKind::JetStream(error) = error.kind() {
        return api_error(options, &error);
    }
    unavailable(options, error_chain(error))
}

/// Where a reader has come to.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct NatsBookmark {
    /// When the stream was made, in nanoseconds since 1970.
    pub(super) created: i64,
    /// The sequence that reading goes on with.
    pub(super) next: u64,
}

/// The sequence to begin with, and what is to be said about it.
pub(super) fn start(bookmark: Option<&str>, created: i64, last_sequence: u64) -> (u64, Option<String>) {
    let Some(text) = bookmark else { return (1, None) };
    let why = match serde_json::from_str::<NatsBookmark>(text) {
        Err(_) => "the bookmark cannot be read".to_owned(),
        Ok(bookmark) if bookmark.created != created => "it was made anew".to_owned(),
        Ok(bookmark) if bookmark.next > last_sequence + 1 => {
            format!("it ends at its message {last_sequence}, and {} would be the next", bookmark.next)
        }
        Ok(bookmark) => return (bookmark.next.max(1), None),
    };
    (1, Some(format!("{why}: it is read from its beginning")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bookmark_of_another_stream_begins_anew() {
        let bookmark = json!(NatsBookmark { created: 7, next: 5 }).to_string();
        let start = |created, last_sequence| {
            let (next, notice) = start(Some(&bookmark), created, last_sequence);
            (next, notice.is_some())
        };
        assert_eq!(start(7, 9), (5, false));
        assert_eq!(start(7, 4), (5, false), "all is read");
        assert_eq!(start(7, 3), (1, true), "it has become shorter");
        assert_eq!(start(8, 9), (1, true), "it was made anew");
        assert_eq!(super::start(None, 7, 9), (1, None));
        assert_eq!(super::start(Some("{}"), 7, 9).0, 1);
    }
}
