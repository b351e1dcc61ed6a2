//! The stream: made if there is none, looked at if there is, never changed.

use std::error::Error;
use std::sync::Once;

use async_nats::jetstream::context::{
    ContextBuilder, CreateStreamErrorKind, GetStreamErrorKind, RequestError, RequestErrorKind,
};
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Info, LastRawMessageErrorKind, RetentionPolicy, StorageType, Stream,
};
use async_nats::jetstream::{Context, ErrorCode};
use order_application::{BrokerError, error_chain};

use super::client::{Connection, REQUEST_TIMEOUT};
use super::error::{api_error, no_jetstream, unavailable};
use super::evidence::NatsEvidence;
use super::inspection::check;
use super::message;
use super::options::NatsOptions;
use super::resumption::{Found, LastEvent};
use super::search::{Search, last_event};

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
/// Behind that one nobody needs to look.
pub(super) async fn found(
    options: &NatsOptions,
    stream: &Stream,
    evidence: Option<&NatsEvidence>,
) -> Result<Found, BrokerError> {
    let info = stream.cached_info();
    let (created, last_sequence) = (created(info), info.state.last_sequence);
    let known = evidence.filter(|evidence| evidence.created == created).and_then(NatsEvidence::last_event);
    let known = match known.filter(|known| known.sequence <= last_sequence) {
        Some(known) => Some((known, look_at(options, stream, known).await?)),
        None => None,
    };
    let searched_from = match known {
        Some((known, Place::Same)) => known.sequence,
        Some((_, Place::Empty | Place::Other)) | None => info.state.first_sequence.saturating_sub(1),
    };
    let search = match info.state.messages {
        0 => Search::Nothing,
        _ => last_event(options, stream, searched_from, last_sequence).await?,
    };
    let last_event = match known {
        Some((known, Place::Same)) => search.last().or(Some(known)),
        Some((_, Place::Empty | Place::Other)) | None => search.last(),
    };
    Ok(Found {
        created,
        last_sequence,
        last_event,
        has_unseen: search == Search::TooManyMessages,
        is_replaced: matches!(known, Some((_, Place::Other))),
    })
}

/// What is in a message's place.
#[derive(Debug, Clone, Copy)]
enum Place {
    Same,
    /// The message was removed.
    Empty,
    Other,
}

/// Whether an event is where it was.
async fn look_at(options: &NatsOptions, stream: &Stream, known: LastEvent) -> Result<Place, BrokerError> {
    match stream.get_raw_message(known.sequence).await {
        Ok(message) if message::id(&message.headers) == Some(known.id) => Ok(Place::Same),
        Ok(_) => Ok(Place::Other),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(Place::Empty),
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
