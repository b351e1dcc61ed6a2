//! Adding events from elsewhere than the broker, whose history may not reach back far enough.
//!
//! Each names the event before it, as messages do, and is held against the one that comes before it here. What names none was
//! written by an older release: the first of them must then be one that the replica has, unless it is the first of all.

use std::sync::Arc;

use uuid::Uuid;

use super::apply::Writer;
use super::stored_ids::StoredIds;
use super::{CHECKPOINT, OtherLog, ReplicaError, ReplicaLimits};
use crate::cloud_event::PublishedEvent;
use crate::event::Position;
use crate::ports::event_log::StoreError;
use crate::ports::replica_store::ReplicaStore;
use crate::stream;

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
    /// The id of the event there. `None` before the first.
    end_id: Option<Uuid>,
    /// The last position in the store.
    stored_end: Position,
    /// The position of the event that was given last. It is of this replica's log.
    previous: Option<Position>,
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
    /// It comes next, but neither names the event before it nor comes after that one in the file. A new order fits behind any
    /// log's events.
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
        let end_id = stream::id_at(&*store, end).await?;
        let bookmark = store.load(CHECKPOINT).await?.and_then(|checkpoint| checkpoint.evidence);
        Ok(Self {
            writer: Writer::new(Arc::clone(&store), limits.order_cache_bytes),
            stored: StoredIds::new(store),
            limits,
            bookmark,
            batch: Vec::new(),
            batch_bytes: 0,
            end,
            end_id,
            stored_end: end,
            previous: None,
            imported: Imported::default(),
        })
    }

    /// Takes the next event. Those that the store has are passed over.
    ///
    /// # Errors
    /// See [`ImportError`]. An error of the store may be about one of the events before.
    pub async fn add(&mut self, published: PublishedEvent) -> Result<(), ImportError> {
        let PublishedEvent { event, previous_id: named } = published;
        if event.position <= self.stored_end {
            if let Some(named) = named {
                self.stored.check_before(event.position, named).await?;
            }
            self.stored.check(event.position, event.id).await?;
            self.imported.known += 1;
            self.previous = Some(event.position);
            return Ok(());
        }
        let (position, end) = (event.position, self.end);
        let expected = end.plus(1);
        if position != expected {
            return Err(ImportError::Gap { expected, found: position });
        }
        let previous_id = self.end_id;
        match named {
            Some(named) if Some(named) != previous_id => {
                return Err(ReplicaError::from(OtherLog::another_before(position, named, previous_id)).into());
            }
            // Within a file, what names none comes after the line before it.
            None if end != Position::START && self.previous != Some(end) => {
                return Err(ImportError::Unproven { end, found: position });
            }
            _ => {}
        }
        self.previous = Some(position);
        (self.end, self.end_id) = (position, Some(event.id));
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
