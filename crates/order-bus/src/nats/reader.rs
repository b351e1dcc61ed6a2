//! Reading the stream, as a replica does.

use std::pin::Pin;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::{self, MessagesError, MessagesErrorKind};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy};
use async_nats::jetstream::stream::{Config, ConsumerErrorKind};
use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use order_application::{BrokerError, BrokerLog, BrokerReader, Delivery};
use tokio::time::Instant;

use super::bookmark::{Bookmark, start};
use super::connection::{Connection, OPEN_TIMEOUT, chain, within};
use super::message;
use super::options::NatsOptions;
use super::refusal::api_error;
use super::stream::{OpenStream, created};

/// Messages that are asked for at a time; half as many again may be under way.
const FETCHED_MESSAGES: usize = 4_000;
/// Bytes that are asked for at a time, unless one message may be larger.
const FETCHED_BYTES: usize = 16 * 1024 * 1024;
/// Messages that are handed out at a time.
const DELIVERED_MESSAGES: usize = 1_000;
/// How long the server keeps an order of messages open.
const FETCH_EXPIRY: Duration = Duration::from_secs(30);
/// How often the server says that it has nothing; after twice as long without a word it is taken for lost.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long the server keeps a reader that has gone without a word. A paused one asks for nothing, either.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10 * 60);
/// How old an answer may be that says how far behind the reader is.
const BEHIND_AGE: Duration = Duration::from_secs(1);

/// A JetStream stream as a replica reads it: one partition, whose offsets are the stream's sequences.
///
/// The reader keeps its place itself; what it leaves in the server is gone after a while.
pub struct NatsLog {
    options: NatsOptions,
}

impl NatsLog {
    /// Does not connect yet.
    pub fn new(options: NatsOptions) -> Self {
        Self { options }
    }
}

#[async_trait]
impl BrokerLog for NatsLog {
    async fn open(&self, bookmark: Option<&str>) -> Result<Box<dyn BrokerReader>, BrokerError> {
        let reader = within(OPEN_TIMEOUT, &self.options, open(&self.options, bookmark)).await?;
        Ok(Box::new(reader))
    }
}

async fn open(options: &NatsOptions, bookmark: Option<&str>) -> Result<NatsReader, BrokerError> {
    let connection = Connection::open(options).await?;
    let stream = OpenStream::find(options, &connection).await?;
    let info = stream.stream.cached_info();
    let created = created(info);
    let (next, notice) = start(bookmark, created, info.state.last_sequence);
    if let Some(notice) = notice {
        tracing::warn!("the stream {}: {notice}", options.stream);
    }
    let consumer = stream
        .stream
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
        .map_err(|error| unavailable(options, &chain(&error)))?;
    Ok(NatsReader {
        options: options.clone(),
        connection,
        stream,
        messages: Box::pin(messages),
        created,
        next,
        delivered: 0,
        is_paused: false,
        known: None,
    })
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

struct NatsReader {
    options: NatsOptions,
    connection: Connection,
    stream: OpenStream,
    messages: Pin<Box<pull::Stream>>,
    created: i64,
    /// The sequence after the last message that was handed out.
    next: u64,
    /// Messages that were handed out: the server numbers what it sends, too.
    delivered: u64,
    is_paused: bool,
    /// How far behind it was, and when that was found out.
    known: Option<(Instant, u64)>,
}

#[async_trait]
impl BrokerReader for NatsReader {
    fn partitions(&self) -> usize {
        1
    }

    async fn next(&mut self) -> Result<Vec<Delivery>, BrokerError> {
        if self.is_paused {
            return Err(self.connection.lost().await);
        }
        let first = tokio::select! {
            biased;
            message = self.messages.next() => message,
            error = self.connection.lost() => return Err(error),
        };
        let mut deliveries = Vec::new();
        let mut message = first;
        loop {
            match message {
                Some(Ok(message)) => deliveries.push(self.deliver(&message)?),
                Some(Err(error)) if deliveries.is_empty() => return Err(self.read_error(&error)),
                None if deliveries.is_empty() => return Err(self.connection.lost().await),
                // It comes again.
                Some(Err(_)) | None => return Ok(deliveries),
            }
            if deliveries.len() == DELIVERED_MESSAGES {
                return Ok(deliveries);
            }
            match self.messages.next().now_or_never() {
                Some(next) => message = next,
                None => return Ok(deliveries),
            }
        }
    }

    fn pause(&mut self, _: usize) -> Result<(), BrokerError> {
        self.is_paused = true;
        Ok(())
    }

    fn resume(&mut self, _: usize) -> Result<(), BrokerError> {
        self.is_paused = false;
        Ok(())
    }

    async fn behind(&mut self) -> Result<u64, BrokerError> {
        let now = Instant::now();
        if let Some((at, last_sequence)) = self.known
            && now.duration_since(at) < BEHIND_AGE
        {
            return Ok((last_sequence + 1).saturating_sub(self.next));
        }
        let info = within(OPEN_TIMEOUT, &self.options, self.stream.info(&self.options)).await?;
        if created(&info) != self.created {
            return Err(BrokerError::OutOfStep(format!("the stream {} was made anew", self.options.stream)));
        }
        self.known = Some((now, info.state.last_sequence));
        let next = self.next.max(info.state.first_sequence);
        Ok((info.state.last_sequence + 1).saturating_sub(next))
    }

    fn bookmark(&self, next_offsets: &[Option<u64>]) -> Box<str> {
        let next = next_offsets.first().copied().flatten().unwrap_or(self.next);
        Bookmark { created: self.created, next }.to_text()
    }
}

impl NatsReader {
    fn deliver(&mut self, message: &jetstream::Message) -> Result<Delivery, BrokerError> {
        let info = message
            .info()
            .map_err(|error| unavailable(&self.options, &format!("a message without its place: {error}")))?;
        self.delivered += 1;
        if info.consumer_sequence != self.delivered {
            return Err(unavailable(&self.options, "messages were lost on the way"));
        }
        self.next = info.stream_sequence + 1;
        Ok(Delivery {
            partition: 0,
            offset: info.stream_sequence,
            event: message::event(message.headers.as_ref(), &message.payload),
        })
    }

    fn read_error(&self, error: &MessagesError) -> BrokerError {
        let what = match error.kind() {
            MessagesErrorKind::MissingHeartbeat => "has gone silent".to_owned(),
            MessagesErrorKind::ConsumerDeleted | MessagesErrorKind::NoResponders => {
                "has no reader of ours any more: it was restarted, or the stream was deleted".to_owned()
            }
            MessagesErrorKind::Pull
            | MessagesErrorKind::PushBasedConsumer
            | MessagesErrorKind::RequestLimitExceeded
            | MessagesErrorKind::Other => chain(error),
        };
        unavailable(&self.options, &what)
    }
}

fn unavailable(options: &NatsOptions, what: &str) -> BrokerError {
    BrokerError::Unavailable(format!("NATS ({}): {what}", options.servers))
}

fn consumer_error(options: &NatsOptions, error: &jetstream::stream::ConsumerError) -> BrokerError {
    match error.kind() {
        ConsumerErrorKind::JetStream(error) => api_error(options, error.error_code(), &error.to_string()),
        ConsumerErrorKind::TimedOut
        | ConsumerErrorKind::Request
        | ConsumerErrorKind::InvalidConsumerType
        | ConsumerErrorKind::InvalidName
        | ConsumerErrorKind::Other => unavailable(options, &chain(error)),
    }
}
