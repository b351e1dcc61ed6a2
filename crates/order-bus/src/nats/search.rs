//! Finds the last event of a stream, also behind messages that are none.

use std::time::Duration;

use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{LastRawMessageError, LastRawMessageErrorKind, Stream};
use futures_util::{StreamExt, stream};
use order_application::{BrokerError, error_chain};
use tokio::time::Instant;

use super::error::unavailable;
use super::message;
use super::options::NatsOptions;
use super::resumption::LastEvent;

/// Most messages that are looked at one by one, from the last one backwards, and for how long: opening has to come to an end.
pub(super) const LOOKED_AT: u64 = 20_000;
const LOOK_FOR: Duration = Duration::from_secs(2);
/// Messages that are asked for at a time. Each comes as a whole.
const ASKED_AT_ONCE: usize = 16;

/// What was found of a stream's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    /// The last one.
    Found(LastEvent),
    /// There is none.
    Nothing,
    /// There is none among the last messages, and there are more than one may look at.
    TooManyMessages,
}

impl Search {
    pub(super) fn last(self) -> Option<LastEvent> {
        if let Self::Found(last) = self { Some(last) } else { None }
    }
}

/// The last of our events behind the message `after`, in a stream with messages up to `last_sequence`. As a rule it is the last
/// message, which the server finds at once; to find the last one of our subjects, it may have to go through all of them. If
/// that is no event, those before it are looked at.
pub(super) async fn last_event(
    options: &NatsOptions,
    stream: &Stream,
    after: u64,
    last_sequence: u64,
) -> Result<Search, BrokerError> {
    if let Some(last) = our_event(options, stream.get_raw_message(last_sequence).await)? {
        return Ok(if last.sequence > after { Search::Found(last) } else { Search::Nothing });
    }
    let ours = format!("{}.>", options.subject);
    let message = match stream.get_last_raw_message_by_subject(&ours).await {
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(Search::Nothing),
        message => message,
    };
    let sequence = message.as_ref().map_or(0, |message| message.sequence);
    match our_event(options, message)? {
        Some(last) if last.sequence > after => Ok(Search::Found(last)),
        Some(_) => Ok(Search::Nothing),
        None => {
            let first = first_of(options, stream, &ours, after).await?;
            search_downwards(options, stream, after.max(first.saturating_sub(1)), sequence).await
        }
    }
}

/// The sequence of the first message of a subject behind `after`: others' messages before it need not be looked at.
async fn first_of(
    options: &NatsOptions,
    stream: &Stream,
    subject: &str,
    after: u64,
) -> Result<u64, BrokerError> {
    match stream.get_first_raw_message_by_subject(subject, after + 1).await {
        Ok(first) => Ok(first.sequence),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(0),
        Err(error) => Err(unavailable(options, error_chain(&error))),
    }
}

/// Looks at the messages between two sequences.
async fn search_downwards(
    options: &NatsOptions,
    stream: &Stream,
    after: u64,
    before: u64,
) -> Result<Search, BrokerError> {
    let until = Instant::now() + LOOK_FOR;
    let mut unseen = before.saturating_sub(after + 1);
    let sequences = (after + 1..before).rev().take(usize::try_from(LOOKED_AT).unwrap_or(usize::MAX));
    let asking = |sequence| stream.get_raw_message(sequence);
    let mut messages = stream::iter(sequences).map(asking).buffered(ASKED_AT_ONCE);
    while let Some(message) = messages.next().await {
        if let Some(event) = our_event(options, message)? {
            return Ok(Search::Found(event));
        }
        unseen -= 1;
        if Instant::now() >= until {
            break;
        }
    }
    Ok(if unseen == 0 { Search::Nothing } else { Search::TooManyMessages })
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
