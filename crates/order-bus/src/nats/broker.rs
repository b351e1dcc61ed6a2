//! Opening a publication.

use std::sync::{Arc, Once};

use async_trait::async_trait;
use order_application::{Broker, BrokerError, Checkpoint, FoundEvent, Opened};

use super::client::{Connection, OPEN_TIMEOUT, within};
use super::evidence::NatsEvidence;
use super::options::NatsOptions;
use super::publication::NatsPublication;
use super::resumption::{Evidence, Found, NatsResumption, resume};
use super::search::LOOKED_AT;
use super::stream;

/// NATS JetStream as a broker that takes events.
///
/// Every message names the stream's last sequence before it (`Nats-Expected-Last-Sequence`), and all but the first of a
/// publication the id of the message before it (`Nats-Expected-Last-Msg-Id`). So events lie in the stream in the log's
/// order and without gaps, whatever is lost on the way; and of several that publish at once only one goes on. The
/// sequence alone would not do: where another one has published as many messages as were refused, the rest would fit.
/// And so the last event tells for all before it whose they are.
///
/// A message's id (`Nats-Msg-Id`) is of its publication, so that the stream takes nothing for a duplicate: what is published
/// again is meant to come again. The event's own id is `ce-id`.
pub struct NatsBroker {
    options: Arc<NatsOptions>,
    source: Arc<str>,
    /// Of what is peculiar about the stream.
    warned: Once,
}

impl NatsBroker {
    /// A broker that nobody has talked to yet. `event_source` is the events' attribute `source`.
    pub fn new(options: NatsOptions, event_source: &str) -> Self {
        Self { options: Arc::new(options), source: event_source.into(), warned: Once::new() }
    }

    async fn connect(&self, checkpoint: &Checkpoint) -> Result<Opened, BrokerError> {
        let options = &self.options;
        let connection = Connection::open(options).await?;
        let stream = stream::find_or_make(options, &connection, &self.warned).await?;
        let evidence = Evidence::of(checkpoint);
        let found = stream::found(options, &stream, evidence.known()).await?;
        let known = evidence.known().filter(|evidence| evidence.created == found.created).cloned();
        if found.has_unseen && known.as_ref().is_none_or(|evidence| evidence.event.is_none()) {
            return Err(unknown_owner(options));
        }
        let resumption = resume(checkpoint.position, evidence, found);
        if let Some(notice) = &resumption.notice {
            tracing::warn!("the stream {} {notice}", options.stream);
        }
        let resume_after = resumption.after;
        let found_events = found_events(&options.stream, &found, known.as_ref(), &resumption);
        let (options, source) = (Arc::clone(options), Arc::clone(&self.source));
        let begun = NatsPublication::begin(options, source, connection, stream, &found, &resumption);
        let publication = Box::new(begun.await?);
        Ok(Opened { publication, resume_after, found: found_events })
    }
}

#[async_trait]
impl Broker for NatsBroker {
    async fn open(&self, checkpoint: &Checkpoint) -> Result<Opened, BrokerError> {
        within(OPEN_TIMEOUT, &self.options, self.connect(checkpoint)).await
    }
}

/// Before anything was acknowledged here, what cannot be looked at may be another log's.
fn unknown_owner(options: &NatsOptions) -> BrokerError {
    let NatsOptions { stream, subject, .. } = options;
    BrokerError::Misconfigured(format!(
        "the stream {stream} has more messages under {subject}.> that are no events than can be looked at (the last \
         {LOOKED_AT}, or as many as come within two seconds), and whose events lie behind them cannot be told: they may be \
         another store's. Nothing is published. Either publish to another stream (stream=, subject=), or empty that one if \
         nobody needs it"
    ))
}

/// What tells whose events the stream has.
fn found_events(
    stream: &str,
    found: &Found,
    known: Option<&NatsEvidence>,
    resumption: &NatsResumption,
) -> Vec<FoundEvent> {
    let stream = format!("the stream {stream}");
    if found.has_unseen {
        tracing::warn!(
            "{stream} has more messages that are no events than can be looked at: whatever came after what was acknowledged \
             is taken for this log's"
        );
    } else if found.last_event.is_none() && found.last_sequence > 0 {
        tracing::warn!("{stream} {}", nothing_to_compare(found, known));
    }
    let acknowledged = resumption.acknowledged.map(|event| event.found(&stream));
    let last = found.last_event.map(|last| FoundEvent {
        place: stream.as_str().into(),
        position: last.position,
        id: last.id,
    });
    last.into_iter().chain(acknowledged).collect()
}

fn nothing_to_compare(found: &Found, known: Option<&NatsEvidence>) -> String {
    let later = found.last_sequence.saturating_sub(known.map_or(0, |evidence| evidence.sequence));
    let since = match known {
        None => format!(". It has had {later} messages"),
        Some(_) if later > 0 => format!(
            ". {later} messages came into it after this checkpoint was saved: if they were events, this store is older than \
             what was published"
        ),
        Some(_) => String::new(),
    };
    format!("has no event any more that could be compared with the log: it is taken for this log's{since}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_came_after_the_checkpoint_are_told_of_where_nothing_is_left_to_compare() {
        let evidence = NatsEvidence { created: 1, sequence: 50, event: None, event_sequence: None };
        let purged = |last_sequence| Found {
            created: 1,
            last_sequence,
            last_event: None,
            has_unseen: false,
            is_replaced: false,
        };
        let said = nothing_to_compare(&purged(110), Some(&evidence));
        assert!(said.contains("60 messages came into it after this checkpoint"), "{said}");
        let said = nothing_to_compare(&purged(50), Some(&evidence));
        assert!(said.ends_with("it is taken for this log's"), "{said}");
        let said = nothing_to_compare(&purged(110), None);
        assert!(said.ends_with("It has had 110 messages"), "{said}");
    }
}
