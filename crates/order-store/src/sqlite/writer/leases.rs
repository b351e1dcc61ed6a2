//! Leases on checkpoints, and saving them, each in a transaction of its own.
//!
//! Only this process has the store, so whoever asks for a lease gets it, and a lease ends with the process at the latest.
//! Epochs are in the log's file: the next process goes on from there.

use order_application::{Epoch, StoreError};

use crate::sqlite::log::Log;
use crate::sqlite::writer::queue::{LeaseRequest, QueuedLeaseRequest};
use crate::sqlite::writer::thread::{LeaseHolders, LogWriterThread};
use crate::sqlite_error::is_damage;

impl LogWriterThread {
    pub(super) fn change_lease(&mut self, queued: QueuedLeaseRequest) {
        let QueuedLeaseRequest { name, request, done } = queued;
        let outcome = self.shared.health.check().and_then(|()| self.commit_lease(&name, &request));
        // Whoever gave up waiting does not hear it.
        let _ = done.send(outcome);
    }

    fn commit_lease(&mut self, name: &str, request: &LeaseRequest) -> Result<Option<Epoch>, StoreError> {
        // They are those that hold only once the transaction is committed.
        let mut holders = self.lease_holders.clone();
        self.begin()?;
        let committed = carry_out(&self.log, &mut holders, name, request)
            .and_then(|epoch| self.log.commit().map(|()| epoch));
        match committed {
            Ok(epoch) => {
                self.lease_holders = holders;
                // A checkpoint is small beside the pages that a commit fills.
                self.wal_copier.after_commit(0);
                Ok(epoch)
            }
            // What is wrong with the checkpoints stops no command. Nothing has failed to be written.
            Err(error) if is_damage(&error) && self.log.roll_back().is_ok() => {
                Err(StoreError::Corrupt(format!("checkpoints: {error}")))
            }
            Err(error) => Err(self.after_failed_commit(&error)),
        }
    }
}

/// Does what is asked for, in the log's open transaction.
fn carry_out(
    log: &Log,
    holders: &mut LeaseHolders,
    name: &str,
    request: &LeaseRequest,
) -> rusqlite::Result<Option<Epoch>> {
    match request {
        LeaseRequest::Claim { holder } if holders.get(name) == Some(holder) => log.epoch(name),
        LeaseRequest::Claim { holder } => {
            holders.insert(name.into(), holder.clone());
            log.new_epoch(name).map(Some)
        }
        LeaseRequest::Release { holder, epoch } => {
            if holders.get(name) == Some(holder) && log.epoch(name)? == Some(*epoch) {
                holders.remove(name);
            }
            Ok(None)
        }
        LeaseRequest::Save { epoch, checkpoint } => {
            Ok(log.save_checkpoint(name, *epoch, checkpoint)?.then_some(*epoch))
        }
    }
}
