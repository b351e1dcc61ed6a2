//! Finds where a replica's log and its broker's part, for whoever has to decide which of them is right.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use uuid::Uuid;

use super::{Replica, ReplicaError};
use crate::event::Position;
use crate::log_ids::LogIds;
use crate::ports::broker::{BrokerReader, Delivery};

/// How long it may take to read what the broker has. A long history is not gone through to its end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing may come until it counts as the end.
const SILENCE: Duration = Duration::from_secs(5);

impl Replica {
    /// The first position at which the broker has another event than the store, as far back as it goes. `None` if there is
    /// none, or if it would take too long to find it.
    ///
    /// # Errors
    /// See [`ReplicaError`].
    pub(super) async fn find_parting(&self) -> Result<Option<Position>, ReplicaError> {
        let reader = self.log.open(None).await?;
        timeout(PATIENCE, self.first_difference(reader)).await.unwrap_or(Ok(None))
    }

    async fn first_difference(
        &self,
        mut reader: Box<dyn BrokerReader>,
    ) -> Result<Option<Position>, ReplicaError> {
        let mut ids = LogIds::new(Arc::clone(&self.store) as _);
        let (end, mut unread) = (self.store.end().await?, reader.behind().await?);
        let mut parting = None;
        while unread > 0 {
            // A broker may count messages that are not there.
            let Ok(deliveries) = timeout(SILENCE, reader.next()).await else { break };
            let deliveries = deliveries?;
            unread = unread.saturating_sub(deliveries.len() as u64);
            for (position, id) in in_log_order(&deliveries) {
                let may_be_first = parting.is_none_or(|parting| position < parting);
                if position <= end && may_be_first && ids.at(position).await? != Some(id) {
                    parting = Some(position);
                }
            }
        }
        Ok(parting)
    }
}

/// Several partitions bring their events in turns, and the store's are read in runs.
fn in_log_order(deliveries: &[Delivery]) -> Vec<(Position, Uuid)> {
    let events = deliveries.iter().filter_map(|delivery| delivery.event.as_ref().ok());
    let mut events: Vec<_> = events.map(|message| (message.event.position, message.event.id)).collect();
    events.sort_unstable();
    events
}
