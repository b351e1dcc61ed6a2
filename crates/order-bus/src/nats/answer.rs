//! The stream's answer to a message.

use async_nats::jetstream::ErrorCode;
use async_nats::{Message, StatusCode};
use order_application::{BrokerError, Position};
use serde::Deserialize;

use super::options::NatsOptions;
use super::refusal::message_error;

/// It has taken the message.
#[derive(Debug)]
pub(super) struct Answer {
    /// Where it lies in the stream.
    pub(super) sequence: u64,
    /// It lay there before.
    pub(super) duplicate: bool,
}

/// Reads the answer to the message with the event at `position`.
pub(super) fn read(
    options: &NatsOptions,
    position: Position,
    answer: &Message,
) -> Result<Answer, BrokerError> {
    if answer.status == Some(StatusCode::NO_RESPONDERS) {
        let stream = &options.stream;
        return Err(BrokerError::Unavailable(format!(
            "the stream {stream} takes nothing: it is gone, or nobody leads it"
        )));
    }
    match serde_json::from_slice(&answer.payload) {
        Ok(Wire { error: None, seq, duplicate }) => Ok(Answer { sequence: seq, duplicate }),
        Ok(Wire { error: Some(Refusal { err_code, description }), .. }) => {
            Err(message_error(options, position, ErrorCode(err_code), &description))
        }
        Err(error) => Err(BrokerError::Unavailable(format!("NATS answers what cannot be read: {error}"))),
    }
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    seq: u64,
    #[serde(default)]
    duplicate: bool,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    err_code: u64,
    #[serde(default)]
    description: String,
}
