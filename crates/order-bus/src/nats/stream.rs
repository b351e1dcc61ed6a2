//! The stream: made if there is none, looked at if there is, never changed.

use std::error::Error;
use std::sync::Once;

use async_nats::jetstream::context::{
    ContextBuilder, CreateStreamErrorKind, GetStreamErrorKind, RequestError, RequestErrorKind,
};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Info, LastRawMessageError, LastRawMessageErrorKind, RetentionPolicy, StorageType,
    Stream,
};
use async_nats::jetstream::{Context, ErrorCode};
use order_application::{BrokerError, error_chain};
use uuid::Uuid;

use super::client::{Connection, REQUEST_TIMEOUT};
use super::error::{api_error, no_jetstream, unavailable};
use super::evidence::NatsEvidence;
use super::inspection::check;
use super::message;
use super::options::NatsOptions;
use super::resumption::{Found, LastEvent};

/// The stream, made if it is missing.
pub(super) async fn find_or_make(
    options: &NatsOptions,
    connection: &Connection,
    warned: &Once,
) -> Result<Stream, BrokerError> {
    let context = context(connection);
    let stream = match get(options, &context).await? {
        Some(stream) => stream,
        None => create(options, &context).await?,
    };
    let max_payload = connection.client.server_info().max_payload;
    check(options, stream.cached_info(), max_payload, warned)?;
    Ok(stream)
}

/// The stream, which must be there.
pub(super) async fn find(options: &NatsOptions, connection: &Connection) -> Result<Stream, BrokerError> {
    let found = get(options, &context(connection)).await?;
    found.ok_or_else(|| unavailable(options, format_args!("no stream {}", options.stream)))
}

/// As it was when it was opened, with the last of our events in it, and with a look at where the evidence has its last one.
pub(super) async fn found(
    options: &NatsOptions,
    stream: &Stream,
    evidence: Option<&NatsEvidence>,
) -> Result<Found, BrokerError> {
    let info = stream.cached_info();
    let last_event = match info.state.messages {
        0 => None,
        _ => last_event(options, stream, info.state.last_sequence).await?,
    };
    let had = evidence.and_then(|evidence| Some((evidence.event_sequence?, evidence.event?.id())));
    let is_replaced = match had.filter(|(sequence, _)| *sequence <= info.state.last_sequence) {
        Some((sequence, id)) => is_replaced(options, stream, sequence, id).await?,
        None => false,
    };
    Ok(Found { created: created(info), last_sequence: info.state.last_sequence, last_event, is_replaced })
}

/// Whether there is another message where this event was. One that was removed is not replaced.
async fn is_replaced(
    options: &NatsOptions,
    stream: &Stream,
    sequence: u64,
    id: Uuid,
) -> Result<bool, BrokerError> {
    match stream.get_raw_message(sequence).await {
        Ok(message) => Ok(message::id(&message.headers) != Some(id)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(false),
        Err(error) => Err(unavailable(options, error_chain(&error))),
    }
}

/// How it is now.
pub(super) async fn info(options: &NatsOptions, stream: &Stream) -> Result<Info, BrokerError> {
    stream.get_info().await.map_err(|error| unavailable(options, error_chain(&error)))
}

/// When it was made, in nanoseconds since 1970.
pub(super) fn created(info: &Info) -> i64 {
    i64::try_from(info.created.unix_timestamp_nanos()).unwrap_or(i64::MAX)
}

/// The last of our events. As a rule it is the last message, which the server finds at once; to find it among other
/// subjects, it may have to go through all of them.
pub(super) async fn last_event(
    options: &NatsOptions,
    stream: &Stream,
    last_sequence: u64,
) -> Result<Option<LastEvent>, BrokerError> {
    let last = our_event(options, stream.get_raw_message(last_sequence).await)?;
    if last.is_some() {
        return Ok(last);
    }
    let ours = format!("{}.>", options.subject);
    our_event(options, stream.get_last_raw_message_by_subject(&ours).await)
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
        Err(error) => Err(unavailable(options, error_chain(&error))),
    }
}

fn context(connection: &Connection) -> Context {
    ContextBuilder::new().timeout(REQUEST_TIMEOUT).build(connection.client.clone())
}

async fn get(options: &NatsOptions, context: &Context) -> Result<Option<Stream>, BrokerError> {
    let error = match context.get_stream(&options.stream).await {
        Ok(stream) => return Ok(Some(stream)),
        Err(error) => error,
    };
    if let GetStreamErrorKind::JetStream(error) = error.kind() {
        let is_missing = error.error_code() == ErrorCode::STREAM_NOT_FOUND;
        return if is_missing { Ok(None) } else { Err(api_error(options, &error)) };
    }
    Err(if has_no_responders(&error) {
        no_jetstream(options)
    } else {
        unavailable(options, error_chain(&error))
    })
}

fn has_no_responders(error: &dyn Error) -> bool {
    let request = error.source().and_then(|cause| cause.downcast_ref::<RequestError>());
    request.is_some_and(|request| request.kind() == RequestErrorKind::NoResponders)
}

/// If somebody else makes one of the same name meanwhile, that is an error: the next attempt finds it.
async fn create(options: &NatsOptions, context: &Context) -> Result<Stream, BrokerError> {
    let error = match context.create_stream(wanted(options)).await {
        Ok(stream) => {
            tracing::info!(stream = options.stream, replicas = options.replicas, "made the stream");
            return Ok(stream);
        }
        Err(error) => error,
    };
    if let CreateStreamErrorKind::JetStream(error) = error.kind() {
        return Err(api_error(options, &error));
    }
    Err(unavailable(options, error_chain(&error)))
}

fn wanted(options: &NatsOptions) -> Config {
    let has_limits = options.max_age.is_some() || options.max_bytes.is_some();
    Config {
        name: options.stream.clone(),
        description: Some("Events of orders, published by order-service in the order of its log".to_owned()),
        subjects: vec![format!("{}.>", options.subject)],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        num_replicas: options.replicas,
        max_age: options.max_age.unwrap_or_default(),
        max_bytes: options.max_bytes.unwrap_or_default(),
        // Who asks for limits wants the oldest to go. Where nobody did, a limit that comes later must not drop events
        // without a word: then publishing stops and says so.
        discard: if has_limits { DiscardPolicy::Old } else { DiscardPolicy::New },
        ..Config::default()
    }
}
