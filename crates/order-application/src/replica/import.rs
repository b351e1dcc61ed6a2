//! Adding events from elsewhere than the broker, whose history may not reach back far enough.

use std::sync::Arc;

use uuid::Uuid;

use super::apply::Writer;
use super::stored_ids::StoredIds;
use super::{CHECKPOINT, ReplicaError, ReplicaLimits};
use crate::cloud_event::PublishedEvent;
use crate::event::{Position, RecordedEvent};
use crate::ports::event_log::StoreError;
use crate::ports::replica_store::ReplicaStore;

/// Adds events to a replica's store while no replica runs on it.
pub struct Import {
    writer: Writer,
    stored: StoredIds,
    limits: ReplicaLimits,
    /// Where the broker is to be read on afterwards: what is added here and comes from there once more is dropped.
    bookmark: Option<Box<str>>,
    batch: Vec<PublishedEvent>,
    batch_bytes: usize,
    /// The last position in the store or the batch.
    end: Position,
    /// The last position in the store.
    stored_end: Position,
    /// The event that was given last, by position and id.
    previous: Option<(Position, Uuid)>,
    imported: Imported,
}

/// What an import has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Events that were added.
    pub added: u64,
    /// Events that were there.
    pub known: u64,
}

/// Why an event cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// There is a gap before it.
    #[error("position {found} comes where {expected} should")]
    Gap {
        /// The position that comes next.
        expected: Position,
        /// The event's.
        found: Position,
    },
    /// It comes next, and the one before it, which the store has, was not given. A new order fits behind any log's events.
    #[error(
        "nothing shows that position {found} is of this replica's log: begin with position {end}, which this replica has \
         (`export --from-position {end}`)"
    )]
    Unproven {
        /// Where the store ends.
        end: Position,
        /// The event's.
        found: Position,
    },
    /// See [`ReplicaError`].
    #[error(transparent)]
    Replica(#[from] ReplicaError),
}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        Self::Replica(error.into())
    }
}

impl Import {
    /// Adds to a store from its end on.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn begin(store: Arc<dyn ReplicaStore>, limits: ReplicaLimits) -> Result<Self, StoreError> {
        let end = store.end().await?;
        let bookmark = store.load(CHECKPOINT).await?.and_then(|checkpoint| checkpoint.evidence);
        Ok(Self {
            writer: Writer::new(Arc::clone(&store), limits.order_cache_bytes),
            stored: StoredIds::new(store),
            limits,
            bookmark,
            batch: Vec::new(),
            batch_bytes: 0,
            end,
            stored_end: end,
            previous: None,
            imported: Imported::default(),
        })
    }

    /// Takes the next event. Those that the store has are passed over; the last of them, if there are any, must be among those given.
    ///
    /// # Errors
    /// See [`ImportError`]. An error of the store may be about one of the events before.
    pub async fn add(&mut self, event: RecordedEvent) -> Result<(), ImportError> {
        if event.position <= self.stored_end {
            self.stored.check(event.position, event.id).await?;
            self.imported.known += 1;
            self.previous = Some((event.position, event.id));
            return Ok(());
        }
        let expected = self.end.plus(1);
        if event.position != expected {
            return Err(ImportError::Gap { expected, found: event.position });
        }
        let previous_id = self.previous.filter(|(position, _)| *position == self.end).map(|(_, id)| id);
        if previous_id.is_none() && self.end > Position::START {
            return Err(ImportError::Unproven { end: self.end, found: event.position });
        }
        self.previous = Some((expected, event.id));
        self.end = expected;
        self.batch_bytes += event.data.len();
        self.batch.push(PublishedEvent { event, previous_id });
        if self.batch.len() >= self.limits.batch_events || self.batch_bytes >= self.limits.batch_bytes {
            self.write().await?;
        }
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// See [`ImportError`].
    pub async fn finish(mut self) -> Result<Imported, ImportError> {
        self.write().await?;
        Ok(self.imported)
    }

    async fn write(&mut self) -> Result<(), ImportError> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        let added = batch.len() as u64;
        self.stored_end = self.writer.apply(batch, self.bookmark.clone()).await?;
        self.imported.added += added;
        Ok(())
    }
}
