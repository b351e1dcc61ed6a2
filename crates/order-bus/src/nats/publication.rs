//! Publishing to the stream.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_nats::client::{PublishError, PublishErrorKind};
use async_nats::jetstream::ErrorCode;
use async_nats::{Client, Message, StatusCode, Subject, Subscriber};
use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use order_application::{Broker, BrokerError, Checkpoint, Opened, Position, Publication, RecordedEvent};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until, timeout};

use super::connection::{Connection, chain};
use super::evidence::{Evidence, resume};
use super::message;
use super::options::NatsOptions;
use super::refusal::message_error;
use super::stream::{OpenStream, Warnings, created};
use super::window::{Misfit, Window};

/// To connect, and to find out where the stream is.
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// To hand messages to the connection, and for an answer to a message.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A JetStream stream as a broker.
///
/// Every message names the stream's last sequence before it (`Nats-Expected-Last-Sequence`). So events lie in the
/// stream in the log's order and without gaps, whatever is lost on the way; and of several that publish at once only one
/// goes on.
pub struct NatsBroker {
    shared: Arc<Shared>,
}

struct Shared {
    options: NatsOptions,
    /// The CloudEvents' `source`.
    source: String,
    warnings: Warnings,
}

impl NatsBroker {
    /// Does not connect yet. `event_source` becomes the attribute `source` of the CloudEvents.
    pub fn new(options: NatsOptions, event_source: impl Into<String>) -> Self {
        let shared = Shared { options, source: event_source.into(), warnings: Warnings::default() };
        Self { shared: Arc::new(shared) }
    }
}

#[async_trait]
impl Broker for NatsBroker {
    async fn open(&self, checkpoint: &Checkpoint) -> Result<Opened, BrokerError> {
        within(OPEN_TIMEOUT, &self.shared.options, open(&self.shared, checkpoint)).await
    }
}

async fn open(shared: &Arc<Shared>, checkpoint: &Checkpoint) -> Result<Opened, BrokerError> {
    let options = &shared.options;
    let connection = Connection::open(options).await?;
    let stream = OpenStream::make(options, &connection, &shared.warnings).await?;
    let found = stream.found(options).await?;
    let resumption = resume(checkpoint, found);
    if let Some(notice) = &resumption.notice {
        tracing::warn!("the stream {}: {notice}", options.stream);
    }

    let client = connection.client.clone();
    let inbox = client.new_inbox();
    let answers = client.subscribe(format!("{inbox}.*")).await.map_err(|error| lost(&error))?;
    // What was published before this moment is older than the window when it has passed once.
    let ids_again =
        resumption.again.then(|| Instant::now() + stream.stream.cached_info().config.duplicate_window);
    let publication = NatsPublication {
        shared: Arc::clone(shared),
        window: Window::new(resumption.after, found.last_sequence),
        reported: resumption.after,
        failed: None,
        created: found.created,
        ids_again,
        connection,
        client,
        stream,
        inbox,
        answers,
    };
    Ok(Opened { publication: Box::new(publication), resume_after: resumption.after })
}

/// Bounds what talks to the server.
pub(super) async fn within<T>(
    limit: Duration,
    options: &NatsOptions,
    work: impl Future<Output = Result<T, BrokerError>>,
) -> Result<T, BrokerError> {
    // Boxed, for it is large and happens seldom.
    timeout(limit, Box::pin(work)).await.unwrap_or_else(|_| {
        Err(BrokerError::Unavailable(format!(
            "NATS ({}) has not answered within {} s",
            options.servers(),
            limit.as_secs()
        )))
    })
}

pub(super) fn lost(error: &dyn std::error::Error) -> BrokerError {
    BrokerError::Unavailable(format!("the connection to NATS has ended: {error}"))
}

fn sending_error(position: Position, error: &PublishError) -> BrokerError {
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => BrokerError::Refused {
            position,
            why: format!("{}: raise max_payload in the configuration of NATS", chain(error)),
        },
        PublishErrorKind::InvalidSubject | PublishErrorKind::Send => lost(error),
    }
}

struct NatsPublication {
    shared: Arc<Shared>,
    connection: Connection,
    client: Client,
    stream: OpenStream,
    created: i64,
    /// Answers to message `n` come to `<inbox>.<n>`.
    inbox: String,
    answers: Subscriber,
    window: Window,
    /// What `acknowledged` has answered with last.
    reported: Position,
    /// Why it cannot go on. First comes what was acknowledged before.
    failed: Option<BrokerError>,
    /// When messages have ids again, if the stream would take what is published again for duplicates. They are left out
    /// until then.
    ids_again: Option<Instant>,
}

#[async_trait]
impl Publication for NatsPublication {
    async fn publish(&mut self, events: &[RecordedEvent]) -> Result<(), BrokerError> {
        let now = Instant::now();
        let with_ids = self.ids_again.is_none_or(|again| again <= now);
        let mut patience = pin!(sleep_until(now + ANSWER_TIMEOUT));
        for event in events {
            if let Some(failed) = &self.failed {
                return Err(failed.clone());
            }
            let (number, position, expected) = self.window.next();
            if event.position != position {
                return Err(BrokerError::OutOfStep(format!(
                    "the event {} cannot be published where {position} follows",
                    event.position
                )));
            }
            let headers = message::headers(&self.shared.source, event, expected, with_ids);
            let subject = Subject::from(message::subject(&self.shared.options.subject, event));
            let reply = Subject::from(format!("{}.{number}", self.inbox));
            let data = event.data.as_bytes().to_vec().into();
            let sending = self.client.publish_with_reply_and_headers(subject, reply, headers, data);
            let sent = tokio::select! {
                biased;
                sent = sending => sent.map_err(|error| sending_error(position, &error)),
                () = &mut patience => Err(self.silence()),
                error = self.connection.lost() => Err(error),
            };
            match sent {
                Ok(()) => self.window.sent(now),
                // Nothing was sent of it: what is under way may still arrive.
                Err(error @ BrokerError::Refused { .. }) => return Err(error),
                Err(error) => return Err(self.fail(error)),
            }
        }
        Ok(())
    }

    async fn acknowledged(&mut self) -> Result<Position, BrokerError> {
        loop {
            while let Some(Some(answer)) = self.answers.next().now_or_never() {
                self.take(&answer);
            }
            let (position, _) = self.window.acknowledged();
            if position > self.reported {
                self.reported = position;
                return Ok(position);
            }
            if let Some(failed) = &self.failed {
                return Err(failed.clone());
            }
            let deadline = self.window.waiting_since().map(|since| since + ANSWER_TIMEOUT);
            let patience = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let error = tokio::select! {
                biased;
                answer = self.answers.next() => match answer {
                    Some(answer) => {
                        self.take(&answer);
                        continue;
                    }
                    None => self.connection.lost().await,
                },
                error = self.connection.lost() => error,
                () = patience => self.silence(),
            };
            self.fail(error);
        }
    }

    fn evidence(&self) -> Box<str> {
        let (_, sequence) = self.window.acknowledged();
        let again = self.ids_again.is_some_and(|again| again > Instant::now());
        Evidence { created: self.created, sequence, again }.to_text()
    }

    async fn check(&mut self) -> Result<(), BrokerError> {
        let (_, sequence) = self.window.acknowledged();
        let evidence = Evidence { created: self.created, sequence, again: false };
        let options = &self.shared.options;
        let info = within(ANSWER_TIMEOUT, options, self.stream.info(options)).await?;
        match evidence.missing(created(&info), info.state.last_sequence) {
            None => Ok(()),
            Some(missing) => {
                let stream = &options.stream;
                Err(self.fail(BrokerError::OutOfStep(format!(
                    "the stream {stream} has lost messages: {missing}"
                ))))
            }
        }
    }
}

/// The answer to a message.
#[derive(Deserialize)]
struct Answer {
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

impl NatsPublication {
    fn take(&mut self, answer: &Message) {
        let number = answer.subject.rsplit_once('.').and_then(|(_, number)| number.parse().ok());
        let Some(number) = number else { return };
        // After a first refusal the others are only its consequence.
        let Some(position) = self.window.position(number).filter(|_| self.failed.is_none()) else { return };
        if answer.status == Some(StatusCode::NO_RESPONDERS) {
            let stream = &self.shared.options.stream;
            self.fail(BrokerError::Unavailable(format!(
                "the stream {stream} takes nothing: it is gone, or nobody leads it"
            )));
            return;
        }
        let read = match serde_json::from_slice::<Answer>(&answer.payload) {
            Ok(Answer { error: None, seq, duplicate }) => {
                self.window.acknowledge(number, seq, duplicate).map_err(|Misfit { position, sequence }| {
                    BrokerError::OutOfStep(format!(
                        "the event {position} came into the stream as its message {sequence}"
                    ))
                })
            }
            Ok(Answer { error: Some(Refusal { err_code, description }), .. }) => {
                Err(message_error(&self.shared.options, position, ErrorCode(err_code), &description))
            }
            Err(error) => Err(BrokerError::Unavailable(format!("NATS answers what cannot be read: {error}"))),
        };
        if let Err(error) = read {
            self.fail(error);
        }
    }

    /// It must not go on from here: what follows would only be refused.
    fn fail(&mut self, error: BrokerError) -> BrokerError {
        self.failed.get_or_insert(error).clone()
    }

    fn silence(&self) -> BrokerError {
        BrokerError::Unavailable(format!(
            "NATS ({}) has not answered within {} s",
            self.shared.options.servers(),
            ANSWER_TIMEOUT.as_secs()
        ))
    }
}
