//! What JetStream's error codes mean: <https://github.com/nats-io/nats-server/blob/main/server/errors.json>.

use async_nats::jetstream::ErrorCode;
use order_application::{BrokerError, Position};

use super::options::NatsOptions;

/// An error in an answer of JetStream's API.
pub(super) fn api_error(options: &NatsOptions, code: ErrorCode, text: &str) -> BrokerError {
    let (servers, stream, subject) = (&options.servers, &options.stream, &options.subject);
    match code {
        ErrorCode::JETSTREAM_NOT_ENABLED => without_jetstream(options),
        ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
            BrokerError::Misconfigured(format!("NATS ({servers}) has no JetStream for this user's account"))
        }
        ErrorCode::STREAM_SUBJECT_OVERLAP => BrokerError::Misconfigured(format!(
            "another stream of NATS ({servers}) takes subjects that begin with {subject}: name it (stream=), or choose \
             others (subject=)"
        )),
        ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED => BrokerError::Misconfigured(format!(
            "NATS ({servers}) is one server, which cannot keep {} replicas",
            options.replicas
        )),
        ErrorCode::STREAM_INVALID_CONFIG | ErrorCode::MAXIMUM_STREAMS_LIMIT | ErrorCode::STREAM_LIMITS => {
            BrokerError::Misconfigured(format!("NATS ({servers}) does not make the stream {stream}: {text}"))
        }
        _ => BrokerError::Unavailable(format!("NATS ({servers}), stream {stream}: {text}")),
    }
}

pub(super) fn without_jetstream(options: &NatsOptions) -> BrokerError {
    BrokerError::Misconfigured(format!(
        "NATS ({}) has no JetStream: start it with -js, or with a jetstream block in its configuration",
        options.servers
    ))
}

/// What the stream has to say against a message. It holds for the event at `position`.
pub(super) fn message_error(
    options: &NatsOptions,
    position: Position,
    code: ErrorCode,
    text: &str,
) -> BrokerError {
    /// "wrong last sequence", where the server does not say which it is.
    const STREAM_WRONG_LAST_SEQUENCE_CONSTANT: ErrorCode = ErrorCode(10164);
    const STREAM_SEALED: ErrorCode = ErrorCode(10109);
    const STREAM_HEADER_EXCEEDS_MAXIMUM: ErrorCode = ErrorCode(10097);

    let stream = &options.stream;
    match code {
        ErrorCode::STREAM_WRONG_LAST_SEQUENCE
        | STREAM_WRONG_LAST_SEQUENCE_CONSTANT
        | ErrorCode::STREAM_WRONG_LAST_MESSAGE_ID => BrokerError::OutOfStep(format!(
            "the stream {stream} has other messages than expected, at the event {position}: {text}"
        )),
        ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM => BrokerError::Refused {
            position,
            why: format!("it is larger than the stream {stream} takes: raise the stream's max_msg_size"),
        },
        STREAM_HEADER_EXCEEDS_MAXIMUM => BrokerError::Refused {
            position,
            why: format!("its attributes are larger than NATS's limit for headers ({text})"),
        },
        STREAM_SEALED => {
            BrokerError::Misconfigured(format!("the stream {stream} is sealed: it takes nothing more"))
        }
        // Maximum messages or bytes where the stream discards what is new; or the server's disk.
        ErrorCode::STREAM_STORE_FAILED => BrokerError::Unavailable(format!(
            "the stream {stream} takes no more: {text}; raise its limits, or make room"
        )),
        ErrorCode::INSUFFICIENT_RESOURCES
        | ErrorCode::STORAGE_RESOURCES_EXCEEDED
        | ErrorCode::MEMORY_RESOURCES_EXCEEDED
        | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED => BrokerError::Unavailable(format!(
            "NATS ({}) has no room for the stream {stream}: {text}; raise max_file_store or the account's limits",
            options.servers
        )),
        _ => api_error(options, code, text),
    }
}
