//! Appends that come from another log, at the positions that they have there: all of one call in one transaction, with
//! the checkpoint that they bring their follower to.

use order_application::{Append, Checkpoint, StoreError};

use crate::replication::{check_append, check_reached, does_not_continue};
use crate::sqlite::state::StoreState;
use crate::sqlite::writer::positioning::{Accepted, Positioning};
use crate::sqlite::writer::queue::QueuedReplication;
use crate::sqlite::writer::thread::LogWriterThread;

impl LogWriterThread {
    pub(super) fn replicate(&mut self, replication: QueuedReplication) {
        let QueuedReplication { appends, name, checkpoint, done } = replication;
        let outcome = self.shared.health.check();
        let outcome = outcome.and_then(|()| self.settle_replication(appends, &name, &checkpoint));
        // Whoever gave up waiting does not hear it.
        let _ = done.send(outcome);
    }

    fn settle_replication(
        &mut self,
        appends: Vec<Append>,
        name: &str,
        checkpoint: &Checkpoint,
    ) -> Result<(), StoreError> {
        let accepted = self.place_all(appends, checkpoint)?;
        let receipts = self.write(&accepted, Some((name, checkpoint)));
        let receipts = receipts.map_err(|error| self.after_failed_commit(&error))?;
        self.show(accepted, &receipts, |(), _| {});
        self.wal_copier.after_commit(checkpoint.evidence.as_deref().map_or(0, str::len));
        Ok(())
    }

    /// Every append continues its order, and together they reach the checkpoint: then positions are the other log's.
    fn place_all(
        &self,
        appends: Vec<Append>,
        checkpoint: &Checkpoint,
    ) -> Result<Vec<Accepted<()>>, StoreError> {
        let StoreState { known_orders, readers, .. } = &*self.shared;
        let mut positioning = Positioning::new(self.log_ends.position, appends.len());
        let mut accepted = Vec::with_capacity(appends.len());
        for append in appends {
            check_append(&append)?;
            let stream = readers.stream_state_unless_new(&append.order_id, known_orders)?;
            let next = append.expected_version.plus(1);
            let placed = positioning.place(&append, stream);
            let (key, first_position) =
                placed.map_err(|current| does_not_continue(&append.order_id, current, next))?;
            accepted.push(Accepted { append, key, first_position, waiting: () });
        }
        check_reached(positioning.reached(), checkpoint)?;
        Ok(accepted)
    }
}
