//! What a replica sees of the stream.

use std::pin::Pin;
use std::sync::Arc;

use async_nats::jetstream;
use async_nats::jetstream::consumer::pull::{self, MessagesError, MessagesErrorKind};
use async_nats::jetstream::stream::Stream;
use async_trait::async_trait;
use futures_util::StreamExt;
use order_application::{BrokerError, BrokerReader, Delivery, error_chain};
use serde_json::json;

use super::client::{Connection, OPEN_TIMEOUT, within};
use super::error::unavailable;
use super::log::NatsBookmark;
use super::message;
use super::options::NatsOptions;
use super::stream::{self, created};

/// Messages that are handed out at a time.
const DELIVERED_MESSAGES: usize = 1_000;

pub(super) struct NatsReader {
    pub(super) options: Arc<NatsOptions>,
    pub(super) connection: Connection,
    pub(super) stream: Stream,
    pub(super) messages: Pin<Box<pull::Stream>>,
    /// When the stream was made, in nanoseconds since 1970.
    pub(super) created: i64,
    /// The sequence after the last message that was handed out.
    pub(super) next: u64,
    /// Messages that were handed out: the server numbers what it sends, too.
    pub(super) delivered: u64,
    pub(super) is_paused: bool,
}

#[async_trait]
impl BrokerReader for NatsReader {
    fn partitions(&self) -> usize {
        1
    }

    async fn next(&mut self) -> Result<Vec<Delivery>, BrokerError> {
        if self.is_paused {
            return Err(self.connection.lost().await);
        }
        let mut ready = self.messages.as_mut().ready_chunks(DELIVERED_MESSAGES);
        let messages = tokio::select! {
            biased;
            messages = ready.next() => messages,
            error = self.connection.lost() => return Err(error),
        };
        match messages {
            Some(messages) => messages.into_iter().map(|message| self.deliver(message)).collect(),
            None => Err(self.connection.lost().await),
        }
    }

    fn set_paused(&mut self, _: usize, is_paused: bool) -> Result<(), BrokerError> {
        self.is_paused = is_paused;
        Ok(())
    }

    async fn behind(&mut self) -> Result<u64, BrokerError> {
        let info = within(OPEN_TIMEOUT, &self.options, stream::info(&self.options, &self.stream)).await?;
        if created(&info) != self.created {
            return Err(BrokerError::OutOfStep(format!("the stream {} was made anew", self.options.stream)));
        }
        let next = self.next.max(info.state.first_sequence);
        Ok((info.state.last_sequence + 1).saturating_sub(next))
    }

    fn bookmark(&self, next_offsets: &[Option<u64>]) -> Box<str> {
        let next = next_offsets.first().copied().flatten().unwrap_or(self.next);
        json!(NatsBookmark { created: self.created, next }).to_string().into()
    }
}

impl NatsReader {
    fn deliver(
        &mut self,
        message: Result<jetstream::Message, MessagesError>,
    ) -> Result<Delivery, BrokerError> {
        let message = message.map_err(|error| self.read_error(&error))?;
        let info = message.info().map_err(|error| {
            unavailable(&self.options, format_args!("a message without its place: {error}"))
        })?;
        self.delivered += 1;
        if info.consumer_sequence != self.delivered {
            return Err(unavailable(&self.options, "messages were lost on the way"));
        }
        self.next = info.stream_sequence + 1;
        Ok(Delivery {
            partition: 0,
            offset: info.stream_sequence,
            event: message::event(message.headers.as_ref(), &message.payload),
        })
    }

    fn read_error(&self, error: &MessagesError) -> BrokerError {
        let what = match error.kind() {
            MessagesErrorKind::MissingHeartbeat => "the server has gone silent".to_owned(),
            MessagesErrorKind::ConsumerDeleted | MessagesErrorKind::NoResponders => {
                "the server has no reader of ours any more: it was restarted, or the stream was deleted"
                    .to_owned()
            }
            MessagesErrorKind::Pull
            | MessagesErrorKind::PushBasedConsumer
            | MessagesErrorKind::RequestLimitExceeded
            | MessagesErrorKind::Other => error_chain(error),
        };
        unavailable(&self.options, what)
    }
}
