//! The relay: publishes the log to a broker. For each order the first occurrences of its events come in order.
//!
//! Before anything is published, what the broker has is held against the log (`comparison.rs`): it may be another log's.

mod comparison;
mod recording;

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use crate::event::{Position, RecordedEvent};
use crate::follower::{Consumer, Consumption, FollowerError};
use crate::ports::broker::{Broker, Opened, Publication};
use crate::ports::checkpoints::Checkpoint;
use crate::ports::event_log::EventLog;
use crate::stream;
use crate::traces::Tracer;

use comparison::{compare, only_there};
use recording::{Recorder, UnderWay};

/// What a [`Follower`](crate::Follower) does that publishes the log to one broker.
pub struct Relay {
    log: Arc<dyn EventLog>,
    broker: Arc<dyn Broker>,
    recorder: Option<Recorder>,
}

impl Relay {
    /// Publishes this log to this broker.
    pub fn new(log: Arc<dyn EventLog>, broker: Arc<dyn Broker>) -> Arc<Self> {
        Arc::new(Self { log, broker, recorder: None })
    }

    /// The same, recorded by the relay's name.
    pub fn recorded(
        log: Arc<dyn EventLog>,
        broker: Arc<dyn Broker>,
        tracer: Option<Tracer>,
        relay: &str,
    ) -> Arc<Self> {
        let recorder = tracer.map(|tracer| Recorder { tracer, relay: relay.to_owned() });
        Arc::new(Self { log, broker, recorder })
    }
}

#[async_trait]
impl Consumer for Relay {
    async fn open(&self, checkpoint: &Checkpoint) -> Result<(Box<dyn Consumption>, Position), FollowerError> {
        let Opened { publication, resume_after, found } = self.broker.open(checkpoint).await?;
        compare(&self.log, found).await?;
        if resume_after < checkpoint.position {
            tracing::warn!(
                checkpoint = checkpoint.position.0,
                after = resume_after.0,
                "the broker does not have everything up to the checkpoint; what it lacks is published again"
            );
        }
        let previous_id = stream::id_at(&*self.log, resume_after).await?;
        if resume_after != Position::START && previous_id.is_none() {
            let only_there = only_there(self.log.end().await?, resume_after);
            return Err(FollowerError::Misconfigured(format!(
                "events up to position {resume_after} were published, where this log has none: this store was restored \
                 from a backup that is older than what was published. Nothing is published. {only_there}. Then publish to \
                 another stream or topic (stream=, topic=)"
            )));
        }
        let (recorder, under_way) = (self.recorder.clone(), UnderWay::default());
        Ok((Box::new(Publishing { publication, previous_id, recorder, under_way }), resume_after))
    }
}

struct Publishing {
    publication: Box<dyn Publication>,
    /// The id of the event that was sent last, or of the one to go on after.
    previous_id: Option<Uuid>,
    recorder: Option<Recorder>,
    under_way: UnderWay,
}

#[async_trait]
impl Consumption for Publishing {
    async fn take(&mut self, events: &[RecordedEvent]) -> Result<(), FollowerError> {
        if let (Some(recorder), Some(last)) = (&self.recorder, events.last())
            && let Some(span) = recorder.begin(events)
        {
            self.under_way.wait_for(last.position, span);
        }
        self.publication.publish(self.previous_id, events).await?;
        self.previous_id = events.last().map(|event| event.id).or(self.previous_id);
        Ok(())
    }

    async fn done(&mut self) -> Result<Position, FollowerError> {
        let up_to = self.publication.acknowledged().await?;
        self.under_way.acknowledged(up_to);
        Ok(up_to)
    }

    fn evidence(&self) -> Option<Box<str>> {
        Some(self.publication.evidence())
    }

    async fn check(&mut self) -> Result<(), FollowerError> {
        Ok(self.publication.check().await?)
    }
}
