//! The stream: made if there is none, looked at if there is, never changed.

use std::time::Duration;

use async_nats::jetstream::context::{
    ContextBuilder, CreateStreamErrorKind, GetStreamErrorKind, RequestErrorKind,
};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Info, LastRawMessageError, LastRawMessageErrorKind, RetentionPolicy, StorageType,
    Stream,
};
use async_nats::jetstream::{Context, ErrorCode};
use order_application::BrokerError;

use super::connection::{Connection, chain};
use super::evidence::{Found, LastEvent};
use super::inspection::{Warnings, check};
use super::message;
use super::options::NatsOptions;
use super::refusal::{api_error, without_jetstream};

/// For one answer of JetStream's API.
const API_TIMEOUT: Duration = Duration::from_secs(4);
/// How long the stream knows the ids of messages, if it is made here. A help only: what keeps events single and in
/// order is the expected sequence.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(2 * 60);

/// A stream as a connection sees it.
pub(super) struct OpenStream {
    pub(super) stream: Stream,
}

impl OpenStream {
    /// The stream, made if it is missing. What is peculiar about it goes into `warnings`.
    pub(super) async fn make(
        options: &NatsOptions,
        connection: &Connection,
        warnings: &Warnings,
    ) -> Result<Self, BrokerError> {
        let context = ContextBuilder::new().timeout(API_TIMEOUT).build(connection.client.clone());
        let stream = match find(options, &context).await? {
            Some(stream) => stream,
            None => match create(options, &context).await? {
                Some(stream) => stream,
                // Somebody else has made it meanwhile.
                None => find(options, &context).await?.ok_or_else(|| missing(options))?,
            },
        };
        check(options, stream.cached_info(), warnings)?;
        Ok(Self { stream })
    }

    /// The stream, which must be there.
    pub(super) async fn find(options: &NatsOptions, connection: &Connection) -> Result<Self, BrokerError> {
        let context = ContextBuilder::new().timeout(API_TIMEOUT).build(connection.client.clone());
        let stream = find(options, &context).await?.ok_or_else(|| missing(options))?;
        Ok(Self { stream })
    }

    /// As it was when it was opened, with the last of our events in it.
    pub(super) async fn found(&self, options: &NatsOptions) -> Result<Found, BrokerError> {
        let info = self.stream.cached_info();
        let last_event = match info.state.messages {
            0 => None,
            _ => self.last_event(options, info.state.last_sequence).await?,
        };
        Ok(Found { created: created(info), last_sequence: info.state.last_sequence, last_event })
    }

    /// How it is now.
    pub(super) async fn info(&self, options: &NatsOptions) -> Result<Info, BrokerError> {
        self.stream.get_info().await.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => unavailable(options, "has no JetStream that answers"),
            RequestErrorKind::TimedOut | RequestErrorKind::InvalidSubject | RequestErrorKind::Other => {
                unavailable(options, &chain(&error))
            }
        })
    }

    /// The last of our events. As a rule it is the last message, which the server finds at once; to find it among
    /// other subjects, it may have to go through all of them.
    async fn last_event(
        &self,
        options: &NatsOptions,
        last_sequence: u64,
    ) -> Result<Option<LastEvent>, BrokerError> {
        let last = our_event(options, self.stream.get_raw_message(last_sequence).await)?;
        if last.is_some() {
            return Ok(last);
        }
        let ours = format!("{}.>", options.subject);
        our_event(options, self.stream.get_last_raw_message_by_subject(&ours).await)
    }
}

/// `None` if the message is gone, or none of ours.
fn our_event(
    options: &NatsOptions,
    message: Result<StreamMessage, LastRawMessageError>,
) -> Result<Option<LastEvent>, BrokerError> {
    match message {
        Ok(message) => {
            let rest = message.subject.strip_prefix(&*options.subject);
            let is_ours = rest.is_some_and(|rest| rest.starts_with('.'));
            let event = message::position(&message.headers).zip(message::id(&message.headers));
            let event = event.filter(|_| is_ours);
            Ok(event.map(|(position, id)| LastEvent { sequence: message.sequence, position, id }))
        }
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(unavailable(options, &chain(&error))),
    }
}

/// When it was made, in nanoseconds since 1970.
pub(super) fn created(info: &Info) -> i64 {
    i64::try_from(info.created.unix_timestamp_nanos()).unwrap_or(i64::MAX)
}

async fn find(options: &NatsOptions, context: &Context) -> Result<Option<Stream>, BrokerError> {
    match context.get_stream(&options.stream).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                Ok(None)
            }
            GetStreamErrorKind::JetStream(error) => {
                Err(api_error(options, error.error_code(), &error.to_string()))
            }
            GetStreamErrorKind::Request if has_no_responders(&error) => Err(without_jetstream(options)),
            GetStreamErrorKind::EmptyName
            | GetStreamErrorKind::Request
            | GetStreamErrorKind::InvalidStreamName => Err(unavailable(options, &chain(&error))),
        },
    }
}

fn has_no_responders(error: &(dyn std::error::Error + 'static)) -> bool {
    let request =
        error.source().and_then(|cause| cause.downcast_ref::<async_nats::error::Error<RequestErrorKind>>());
    request.is_some_and(|request| request.kind() == RequestErrorKind::NoResponders)
}

/// `None` if there is one of that name already.
async fn create(options: &NatsOptions, context: &Context) -> Result<Option<Stream>, BrokerError> {
    match context.create_stream(wanted(options)).await {
        Ok(stream) => {
            tracing::info!(stream = options.stream, replicas = options.replicas, "made the stream");
            Ok(Some(stream))
        }
        Err(error) => match error.kind() {
            CreateStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NAME_EXIST => {
                Ok(None)
            }
            CreateStreamErrorKind::JetStream(error) => {
                Err(api_error(options, error.error_code(), &error.to_string()))
            }
            CreateStreamErrorKind::EmptyStreamName
            | CreateStreamErrorKind::InvalidStreamName
            | CreateStreamErrorKind::DomainAndExternalSet
            | CreateStreamErrorKind::JetStreamUnavailable
            | CreateStreamErrorKind::TimedOut
            | CreateStreamErrorKind::Response
            | CreateStreamErrorKind::NotFound
            | CreateStreamErrorKind::ResponseParse => Err(unavailable(options, &chain(&error))),
        },
    }
}

fn wanted(options: &NatsOptions) -> Config {
    let has_limits = options.max_age.is_some() || options.max_bytes.is_some();
    let max_age = options.max_age.unwrap_or_default();
    Config {
        name: options.stream.clone(),
        description: Some("Events of orders, published by order-service in the order of its log".to_owned()),
        subjects: vec![format!("{}.>", options.subject)],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: options.replicas,
        max_age,
        max_bytes: options.max_bytes.unwrap_or(-1),
        max_messages: -1,
        max_messages_per_subject: -1,
        max_message_size: -1,
        max_consumers: -1,
        // Who asks for limits wants the oldest to go. Where nobody did, a limit that comes later must not drop events
        // without a word: then publishing stops and says so.
        discard: if has_limits { DiscardPolicy::Old } else { DiscardPolicy::New },
        // The server wants it no longer than messages are kept.
        duplicate_window: if max_age.is_zero() { DUPLICATE_WINDOW } else { DUPLICATE_WINDOW.min(max_age) },
        ..Config::default()
    }
}

fn missing(options: &NatsOptions) -> BrokerError {
    unavailable(options, &format!("has no stream {}", options.stream))
}

fn unavailable(options: &NatsOptions, what: &str) -> BrokerError {
    BrokerError::Unavailable(format!("NATS ({}): {what}", options.servers))
}
