//! What goes wrong with NATS, in words for whoever runs it. What JetStream's error codes mean:
//! <https://github.com/nats-io/nats-server/blob/main/server/errors.json>.

use std::fmt::Display;
use std::time::Duration;

use async_nats::jetstream::{self, ErrorCode};
use order_application::{BrokerError, Position};

use super::options::NatsOptions;

/// It does not work now.
pub(super) fn unavailable(options: &NatsOptions, what: impl Display) -> BrokerError {
    BrokerError::Unavailable(format!("NATS ({}): {what}", options.servers))
}

/// Somebody has to change a setting.
pub(super) fn misconfigured(options: &NatsOptions, what: impl Display) -> BrokerError {
    BrokerError::Misconfigured(format!("NATS ({}): {what}", options.servers))
}

/// It has not answered within this time.
pub(super) fn silence(options: &NatsOptions, limit: Duration) -> BrokerError {
    unavailable(options, format_args!("no answer within {} s", limit.as_secs()))
}

pub(super) fn no_jetstream(options: &NatsOptions) -> BrokerError {
    misconfigured(options, "no JetStream: start it with -js, or with a jetstream block in its configuration")
}

/// An error in an answer of JetStream's API.
pub(super) fn api_error(options: &NatsOptions, error: &jetstream::Error) -> BrokerError {
    let NatsOptions { stream, subject, .. } = options;
    match error.error_code() {
        ErrorCode::JETSTREAM_NOT_ENABLED => no_jetstream(options),
        ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
            misconfigured(options, "no JetStream for this user's account")
        }
        ErrorCode::STREAM_SUBJECT_OVERLAP => misconfigured(
            options,
            format_args!(
                "another stream takes subjects that begin with {subject}: name it (stream=), or choose others \
                 (subject=)"
            ),
        ),
        ErrorCode::STREAM_INVALID_CONFIG
        | ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED
        | ErrorCode::MAXIMUM_STREAMS_LIMIT
        | ErrorCode::STREAM_LIMITS => {
            misconfigured(options, format_args!("the stream {stream} cannot be made: {error}"))
        }
        _ => unavailable(options, format_args!("the stream {stream}: {error}")),
    }
}

/// What the stream has to say against the message with the event at `position`.
pub(super) fn message_error(
    options: &NatsOptions,
    position: Position,
    error: &jetstream::Error,
) -> BrokerError {
    /// "wrong last sequence", where the server does not say which it is.
    const STREAM_WRONG_LAST_SEQUENCE_CONSTANT: ErrorCode = ErrorCode(10164);

    let stream = &options.stream;
    match error.error_code() {
        ErrorCode::STREAM_WRONG_LAST_SEQUENCE
        | STREAM_WRONG_LAST_SEQUENCE_CONSTANT
        | ErrorCode::STREAM_WRONG_LAST_MESSAGE_ID => BrokerError::OutOfStep(format!(
            "the stream {stream} has other messages than expected, at the event {position}: {error}"
        )),
        ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM => BrokerError::Refused {
            position,
            why: format!("it is larger than the stream {stream} takes: raise the stream's max_msg_size"),
        },
        // Maximum messages or bytes where the stream discards what is new; or the server's disk.
        ErrorCode::STREAM_STORE_FAILED => unavailable(
            options,
            format_args!("the stream {stream} takes no more: {error}; raise its limits, or make room"),
        ),
        ErrorCode::INSUFFICIENT_RESOURCES
        | ErrorCode::STORAGE_RESOURCES_EXCEEDED
        | ErrorCode::MEMORY_RESOURCES_EXCEEDED
        | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED => unavailable(
            options,
            format_args!(
                "no room for the stream {stream}: {error}; raise max_file_store or the account's limits"
            ),
        ),
        _ => api_error(options, error),
    }
}
