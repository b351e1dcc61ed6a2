//! Publishing to the stream.

use std::sync::Arc;
use std::time::Duration;

use async_nats::client::{PublishError, PublishErrorKind};
use async_nats::header::{NATS_EXPECTED_LAST_MESSAGE_ID, NATS_EXPECTED_LAST_SEQUENCE, NATS_MESSAGE_ID};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::Stream;
use async_nats::{Client, HeaderMap, Message, StatusCode, Subject, Subscriber};
use async_trait::async_trait;
use futures_util::future::OptionFuture;
use futures_util::{FutureExt, StreamExt};
use order_application::{BrokerError, Position, Publication, RecordedEvent, error_chain};
use serde_json::json;
use tokio::time::{sleep_until, timeout};
use uuid::Uuid;

use super::client::{Connection, within};
use super::error::{message_error, silence, unavailable};
use super::evidence::NatsEvidence;
use super::message;
use super::options::NatsOptions;
use super::resumption::{Found, NatsResumption};
use super::search::last_event;
use super::stream;
use super::window::NatsWindow;

/// For the connection to take a message, and for the next answer while messages are under way.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The stream, as long as all goes well.
pub(super) struct NatsPublication {
    options: Arc<NatsOptions>,
    source: Arc<str>,
    connection: Connection,
    client: Client,
    stream: Stream,
    created: i64,
    /// The answer to the event at a position comes to `<inbox>.<position>`, which is also its message's id.
    inbox: String,
    answers: Subscriber,
    window: NatsWindow,
    /// Up to this sequence there is no event that was not sent here.
    looked_up_to: u64,
    /// Why it cannot go on. First comes what was acknowledged before.
    failed: Option<BrokerError>,
}

#[async_trait]
impl Publication for NatsPublication {
    async fn publish(
        &mut self,
        previous_id: Option<Uuid>,
        events: &[RecordedEvent],
    ) -> Result<(), BrokerError> {
        let mut previous_id = previous_id;
        for event in events {
            if let Some(failed) = &self.failed {
                return Err(failed.clone());
            }
            self.window.events.check_next(event.position)?;
            match self.send(event, previous_id).await {
                Ok(()) => {}
                // Nothing was sent of it: what is under way may still arrive.
                Err(error @ BrokerError::Refused { .. }) => return Err(error),
                Err(error) => return Err(self.fail(error)),
            }
            self.window.events.push(event.id);
            previous_id = Some(event.id);
        }
        Ok(())
    }

    async fn acknowledged(&mut self) -> Result<Position, BrokerError> {
        loop {
            while let Some(Some(answer)) = self.answers.next().now_or_never() {
                self.take(&answer);
            }
            if let Some(position) = self.window.events.newly_acknowledged() {
                return Ok(position);
            }
            if let Some(failed) = &self.failed {
                return Err(failed.clone());
            }
            let patience =
                self.window.events.waiting_since().map(|since| sleep_until(since + ANSWER_TIMEOUT));
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
                Some(()) = OptionFuture::from(patience) => silence(&self.options, ANSWER_TIMEOUT),
            };
            self.fail(error);
        }
    }

    fn evidence(&self) -> Box<str> {
        json!(self.acknowledged_evidence()).to_string().into()
    }

    async fn check(&mut self) -> Result<(), BrokerError> {
        let info = within(ANSWER_TIMEOUT, &self.options, stream::info(&self.options, &self.stream)).await?;
        let missing = self.acknowledged_evidence().missing(stream::created(&info), info.state.last_sequence);
        let stream = &self.options.stream;
        if let Some(missing) = missing {
            let lost = format!("the stream {stream} has lost messages: {missing}");
            return Err(self.fail(BrokerError::OutOfStep(lost)));
        }
        // Nothing is under way, so this would be somebody else's.
        let is_idle = self.window.events.waiting_since().is_none();
        if is_idle && info.state.last_sequence > self.window.acknowledged_sequence() {
            return self.check_later(info.state.last_sequence).await;
        }
        Ok(())
    }
}

impl NatsPublication {
    pub(super) async fn begin(
        options: Arc<NatsOptions>,
        source: Arc<str>,
        connection: Connection,
        stream: Stream,
        found: &Found,
        resumption: &NatsResumption,
    ) -> Result<Self, BrokerError> {
        let client = connection.client.clone();
        let inbox = client.new_inbox();
        let answers = client.subscribe(format!("{inbox}.*")).await;
        Ok(Self {
            answers: answers.map_err(|error| unavailable(&options, error_chain(&error)))?,
            options,
            source,
            connection,
            client,
            stream,
            created: found.created,
            inbox,
            window: NatsWindow::new(resumption.after, found.last_sequence, resumption.last),
            looked_up_to: found.last_sequence,
            failed: None,
        })
    }

    /// Looks whether there is an event among the messages that came after those that were sent here, and were not looked at yet.
    async fn check_later(&mut self, last_sequence: u64) -> Result<(), BrokerError> {
        let known = self.window.acknowledged_sequence().max(self.looked_up_to);
        if last_sequence <= known {
            return Ok(());
        }
        let looking = last_event(&self.options, &self.stream, known, last_sequence);
        let Some(last) = within(ANSWER_TIMEOUT, &self.options, looking).await?.last() else {
            self.looked_up_to = last_sequence;
            return Ok(());
        };
        let stream = &self.options.stream;
        let others =
            format!("the stream {stream} has an event that was not sent here, of position {}", last.position);
        Err(self.fail(BrokerError::OutOfStep(others)))
    }

    fn acknowledged_evidence(&self) -> NatsEvidence {
        NatsEvidence {
            created: self.created,
            sequence: self.window.acknowledged_sequence(),
            event: self.window.events.last_event(),
            event_sequence: self.window.last_event_sequence(),
        }
    }

    /// The headers of an event's message. Those of NATS tell what it must come after.
    fn headers(&self, event: &RecordedEvent, previous_id: Option<Uuid>, message_id: &str) -> HeaderMap {
        let before = Position(event.position.0 - 1);
        let mut headers = message::headers(&self.source, event, previous_id);
        headers.insert(NATS_MESSAGE_ID, message_id);
        headers.insert(NATS_EXPECTED_LAST_SEQUENCE, self.window.sequence_of(before).to_string());
        if self.window.has_sent(before) {
            headers.insert(NATS_EXPECTED_LAST_MESSAGE_ID, self.message_id(before));
        }
        headers
    }

    fn message_id(&self, event: Position) -> String {
        format!("{}.{event}", self.inbox)
    }

    /// Waits while the connection has too much to send.
    async fn send(&mut self, event: &RecordedEvent, previous_id: Option<Uuid>) -> Result<(), BrokerError> {
        let message_id = self.message_id(event.position);
        let headers = self.headers(event, previous_id, &message_id);
        let subject = Subject::from(message::subject(&self.options.subject, event));
        let reply = Subject::from(message_id);
        let data = event.data.as_bytes().to_vec().into();
        let sending = self.client.publish_with_reply_and_headers(subject, reply, headers, data);
        tokio::select! {
            biased;
            sent = timeout(ANSWER_TIMEOUT, sending) => match sent {
                Ok(sent) => sent.map_err(|error| send_error(&self.options, event.position, &error)),
                Err(_) => Err(silence(&self.options, ANSWER_TIMEOUT)),
            },
            error = self.connection.lost() => Err(error),
        }
    }

    fn take(&mut self, answer: &Message) {
        let position = answer.subject.rsplit_once('.').and_then(|(_, position)| position.parse().ok());
        // After a first refusal the others are only its consequence.
        let Some(position) = position.map(Position).filter(|_| self.failed.is_none()) else { return };
        let taken = read_answer(&self.options, position, answer)
            .and_then(|ack| self.window.acknowledge(position, ack.sequence));
        if let Err(error) = taken {
            self.fail(error);
        }
    }

    /// It must not go on from here: what follows would only be refused.
    fn fail(&mut self, error: BrokerError) -> BrokerError {
        self.failed.get_or_insert(error).clone()
    }
}

fn read_answer(
    options: &NatsOptions,
    position: Position,
    answer: &Message,
) -> Result<PublishAck, BrokerError> {
    if answer.status == Some(StatusCode::NO_RESPONDERS) {
        let stream = &options.stream;
        let gone = format_args!("the stream {stream} takes nothing: it is gone, or nobody leads it");
        return Err(unavailable(options, gone));
    }
    match serde_json::from_slice(&answer.payload) {
        Ok(Response::Ok(ack)) => Ok(ack),
        Ok(Response::Err { error }) => Err(message_error(options, position, &error)),
        Err(error) => Err(unavailable(options, format_args!("an answer that cannot be read: {error}"))),
    }
}

fn send_error(options: &NatsOptions, position: Position, error: &PublishError) -> BrokerError {
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => BrokerError::Refused {
            position,
            why: format!("{}: raise max_payload in the configuration of NATS", error_chain(error)),
        },
        PublishErrorKind::InvalidSubject | PublishErrorKind::Send => unavailable(options, error_chain(error)),
    }
}
