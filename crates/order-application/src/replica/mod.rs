//! The replica: a read model of its own, built from what a relay has published to a broker.
//!
//! Its log is a copy of the primary's: events are added at the very positions that they have there, so every query, list
//! and feed works as on the primary. Deliveries of several partitions are merged by position, each event once;
//! runs without a gap are folded and written in large transactions, each with the bookmark from which the broker
//! is to be read on. So the process may end at any moment.
//!
//! | file | holds |
//! |---|---|
//! | `session.rs` | one reader's life |
//! | `merge.rs`, `merge/` | deliveries in the order of the log |
//! | `apply.rs`, `stored_ids.rs` | writing to the store, and comparing with it |
//! | `import.rs` | events from elsewhere |
//! | `parting.rs` | where another log parts from this one |
//! | `status.rs` | how it goes |
//!
//! # Another log
//!
//! A topic may be made anew from a restored log, or a broker named that is another shop's. So each message names the event
//! before it, and is applied only after that one; what was applied before and comes again is compared by its id. A bookmark
//! points at the last message of each partition that was had: after a start it comes again, and shows whether the
//! partition is still the one that it was.
//!
//! With that, an event that does not continue its order is no sign of another log: the order is damaged in the primary's,
//! and is kept as it is.
//!
//! # What is missing
//!
//! A position is missing once every partition has delivered a later one, since each delivers first occurrences in log
//! order. Of a partition that says nothing this cannot be known: it may be empty, or its part of the broker may be away.
//! So after a silence of all partitions that the position may come from (`SILENCE`), it counts as missing
//! as well. Should it come after all, that is no harm: what was dropped meanwhile is read again.

mod apply;
mod import;
mod merge;
mod parting;
mod session;
mod status;
mod stored_ids;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::event::Position;
use crate::ports::broker::{BrokerError, BrokerLog};
use crate::ports::event_log::StoreError;
use crate::ports::replica_store::ReplicaStore;

pub use import::{Import, ImportError, Imported};
pub use status::{ReplicaState, ReplicaStatus};

use apply::Writer;

/// The name of a replica's checkpoint. Its evidence is the reader's bookmark.
const CHECKPOINT: &str = "replica";

/// The waits after failures, at most.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// Builds a read model from one broker.
pub struct Replica {
    log: Arc<dyn BrokerLog>,
    store: Arc<dyn ReplicaStore>,
    writer: Writer,
    limits: ReplicaLimits,
    status: watch::Sender<ReplicaStatus>,
}

/// Bounds of a replica. The defaults fit a process of 256 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaLimits {
    /// Most events of one transaction.
    pub batch_events: usize,
    /// Most bytes of one transaction, about.
    pub batch_bytes: usize,
    /// Most events that are held until those before them come, and what the broker delivers at once on top.
    pub early_events: usize,
    /// Most bytes of these, about.
    pub early_bytes: usize,
    /// Most bytes, about, of orders that are kept in memory for their next event.
    pub order_cache_bytes: u64,
}

impl Default for ReplicaLimits {
    fn default() -> Self {
        Self {
            batch_events: 4_096,
            batch_bytes: 8 * 1024 * 1024,
            early_events: 65_536,
            early_bytes: 48 * 1024 * 1024,
            order_cache_bytes: 32 * 1024 * 1024,
        }
    }
}

impl Replica {
    /// A replica of what `log` has, in `store`.
    pub fn new(log: Arc<dyn BrokerLog>, store: Arc<dyn ReplicaStore>, limits: ReplicaLimits) -> Self {
        let writer = Writer::new(Arc::clone(&store), limits.order_cache_bytes);
        let (status, _) = watch::channel(ReplicaStatus::default());
        Self { log, store, writer, limits, status }
    }

    /// How it goes, now and later.
    pub fn status(&self) -> watch::Receiver<ReplicaStatus> {
        self.status.subscribe()
    }

    /// Follows the broker until `stop`, or until it turns out to have another log.
    pub async fn run(&self, stop: CancellationToken) {
        let mut backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF);
        let mut began = self.status.borrow().position;
        while let Some(ended) = stop.run_until_cancelled(self.follow()).await {
            let reached = self.status.borrow().position;
            if std::mem::replace(&mut began, reached) < reached {
                backoff.reset();
            }
            let Err(error) = ended else { continue };
            self.failed(&error);
            if matches!(error, ReplicaError::OtherLog(_)) {
                stop.run_until_cancelled(self.tell_parting()).await;
                return stop.cancelled().await;
            }
            if stop.run_until_cancelled(tokio::time::sleep(backoff.next_wait())).await.is_none() {
                return;
            }
        }
    }

    /// Adds to what is said of another log where it parts from this one.
    async fn tell_parting(&self) {
        match self.find_parting().await {
            Ok(Some(parting)) => self.tell(|status| {
                let detail = status.detail.take().unwrap_or_default();
                let only_here = (status.position.0 + 1).saturating_sub(parting.0);
                status.detail = Some(format!(
                    "{detail}. The two part at position {parting}: from there on the broker has other events, as far back \
                     as it goes, and this replica has {only_here} of its own"
                ));
            }),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "it is not known where the two logs part"),
        }
    }

    fn failed(&self, error: &ReplicaError) {
        let state = match error {
            ReplicaError::OtherLog(_) => ReplicaState::OtherLog,
            ReplicaError::Broker(BrokerError::Misconfigured(_) | BrokerError::Refused { .. }) => {
                ReplicaState::Misconfigured
            }
            ReplicaError::Broker(BrokerError::Unavailable(_) | BrokerError::OutOfStep(_))
            | ReplicaError::Store(_) => ReplicaState::Unavailable,
        };
        self.tell(|status| {
            status.state = state;
            // Nobody asks the broker any more.
            status.behind = None;
            status.detail = Some(error.to_string());
        });
    }

    /// Shows how it goes, and logs it when it goes otherwise than before.
    fn tell(&self, change: impl FnOnce(&mut ReplicaStatus)) {
        self.status.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            if (before.state, &before.detail) != (status.state, &status.detail) {
                status.log();
            }
            before != *status
        });
    }
}

/// Why a replica cannot go on for now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplicaError {
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The replica's own store.
    #[error("the replica's own store: {0}")]
    Store(#[from] StoreError),
    /// An event is not of the log that the replica is a copy of.
    #[error(transparent)]
    OtherLog(#[from] OtherLog),
}

/// An event is not of the log that a replica is a copy of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "another log than this replica's, at position {position}: {why}. This replica may have the only copy of events that the \
     other log lacks: export them (`order-service export`) before its store is removed. Then name the broker of the primary whose \
     copy this is, or start with an empty store"
)]
pub struct OtherLog {
    /// Where that shows.
    pub position: Position,
    /// How.
    pub why: String,
}

impl OtherLog {
    fn another_event(position: Position) -> Self {
        Self { position, why: "the event there has another id".to_owned() }
    }

    /// Before the event at a position comes `named` in its log, and `found` in the replica's.
    fn another_before(position: Position, named: Uuid, found: Option<Uuid>) -> Self {
        let found = found.map_or_else(|| "none".to_owned(), |id| id.to_string());
        Self { position, why: format!("the event before the one there is {named}, and here it is {found}") }
    }
}
