//! Publishing to the stream.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_nats::client::{PublishError, PublishErrorKind};
use async_nats::{Client, Message, Subject, Subscriber};
use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use order_application::{BrokerError, Position, Publication, RecordedEvent};
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::answer::{self, Answer};
use super::broker::Shared;
use super::connection::{Connection, chain, lost, within};
use super::evidence::{Evidence, Found, Resumption};
use super::message::{self, Place};
use super::options::NatsOptions;
use super::stream::{OpenStream, created};
use super::window::{Misfit, Window};

/// For the connection to take a message, and for the next answer while messages are under way.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The stream, as long as all goes well.
pub(super) struct NatsPublication {
    shared: Arc<Shared>,
    connection: Connection,
    client: Client,
    stream: OpenStream,
    created: i64,
    /// Answers to message `n` come to `<inbox>.<n>`.
    inbox: String,
    answers: Subscriber,
    window: Window,
    /// When the last answer came.
    answered_at: Instant,
    /// What `acknowledged` has answered with last.
    reported: Position,
    /// Why it cannot go on. First comes what was acknowledged before.
    failed: Option<BrokerError>,
    /// The id of the message that was sent last.
    last_id: Option<String>,
    /// Until when the stream may know the events' ids, and take for duplicates what is published again. Until then
    /// messages have other ids.
    known_until: Option<Instant>,
}

#[async_trait]
impl Publication for NatsPublication {
    async fn publish(
        &mut self,
        previous_id: Option<Uuid>,
        events: &[RecordedEvent],
    ) -> Result<(), BrokerError> {
        let mut previous_id = previous_id;
        let now = Instant::now();
        let are_known = self.known_until.is_some_and(|until| until > now);
        let mut patience = pin!(sleep_until(now + ANSWER_TIMEOUT));
        let mut sent_at = now;
        for event in events {
            if let Some(failed) = &self.failed {
                return Err(failed.clone());
            }
            let (number, position, after_sequence) = self.window.next();
            if event.position != position {
                return Err(BrokerError::OutOfStep(format!(
                    "the event {} cannot be published where {position} follows",
                    event.position
                )));
            }
            let id = if are_known { format!("{}-{}", event.id, self.inbox) } else { event.id.to_string() };
            let place = Place { id: &id, after_sequence, after_id: self.last_id.as_deref() };
            let headers = message::headers(&self.shared.source, event, previous_id, &place);
            let subject = Subject::from(message::subject(&self.shared.options.subject, event));
            let reply = Subject::from(format!("{}.{number}", self.inbox));
            let data = event.data.as_bytes().to_vec().into();
            let sending = self.client.publish_with_reply_and_headers(subject, reply, headers, data);
            let sent = {
                let mut sending = pin!(sending);
                loop {
                    tokio::select! {
                        biased;
                        sent = &mut sending => break sent.map_err(|error| sending_error(position, &error)),
                        // As long as the connection takes messages, it may take its time.
                        () = &mut patience => {
                            let deadline = sent_at + ANSWER_TIMEOUT;
                            if deadline <= Instant::now() {
                                break Err(silence(&self.shared.options));
                            }
                            patience.as_mut().reset(deadline);
                        }
                        error = self.connection.lost() => break Err(error),
                    }
                }
            };
            match sent {
                Ok(()) => {
                    sent_at = Instant::now();
                    self.window.sent(now);
                    self.last_id = Some(id);
                    previous_id = Some(event.id);
                }
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
            let waiting = self.window.waiting_since().map(|since| since.max(self.answered_at));
            let deadline = waiting.map(|since| since + ANSWER_TIMEOUT);
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
                () = patience => silence(&self.shared.options),
            };
            self.fail(error);
        }
    }

    fn evidence(&self) -> Box<str> {
        let (_, sequence) = self.window.acknowledged();
        let again = self.known_until.is_some_and(|until| until > Instant::now());
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

impl NatsPublication {
    pub(super) async fn begin(
        shared: &Arc<Shared>,
        connection: Connection,
        stream: OpenStream,
        found: &Found,
        resumption: &Resumption,
    ) -> Result<Self, BrokerError> {
        let client = connection.client.clone();
        let inbox = client.new_inbox();
        let answers = client.subscribe(format!("{inbox}.*")).await.map_err(|error| lost(&error))?;
        // When the window has passed once, what was published before this moment is older than it.
        let duplicate_window = stream.stream.cached_info().config.duplicate_window;
        Ok(Self {
            shared: Arc::clone(shared),
            window: Window::new(resumption.after, found.last_sequence),
            answered_at: Instant::now(),
            reported: resumption.after,
            failed: None,
            created: found.created,
            last_id: None,
            known_until: resumption.again.then(|| Instant::now() + duplicate_window),
            connection,
            client,
            stream,
            inbox,
            answers,
        })
    }

    fn take(&mut self, answer: &Message) {
        self.answered_at = Instant::now();
        let number = answer.subject.rsplit_once('.').and_then(|(_, number)| number.parse().ok());
        let Some(number) = number else { return };
        // After a first refusal the others are only its consequence.
        let Some(position) = self.window.position(number).filter(|_| self.failed.is_none()) else { return };
        let Answer { sequence, duplicate } = match answer::read(&self.shared.options, position, answer) {
            Ok(answer) => answer,
            Err(error) => {
                self.fail(error);
                return;
            }
        };
        if let Err(Misfit { position, sequence }) = self.window.acknowledge(number, sequence, duplicate) {
            self.fail(BrokerError::OutOfStep(format!(
                "the event {position} came into the stream as its message {sequence}"
            )));
        }
        // Then it need not be the stream's last message. With nothing in flight the sequence is enough.
        if duplicate && self.window.waiting_since().is_none() {
            self.last_id = None;
        }
    }

    /// It must not go on from here: what follows would only be refused.
    fn fail(&mut self, error: BrokerError) -> BrokerError {
        self.failed.get_or_insert(error).clone()
    }
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

fn silence(options: &NatsOptions) -> BrokerError {
    BrokerError::Unavailable(format!(
        "NATS ({}) has not answered within {} s",
        options.servers,
        ANSWER_TIMEOUT.as_secs()
    ))
}
