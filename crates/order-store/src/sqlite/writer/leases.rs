//! Leases on checkpoints, and saving them: in the writer's transactions, so that a save costs appends nothing of its own.
//!
//! Only this process has the store, so whoever asks for a lease gets it, and a lease ends with the process at the latest.
//! Epochs are in the log's file: the next process goes on from there.

use std::collections::HashMap;

use order_application::Epoch;

use crate::sqlite::log::Log;
use crate::sqlite::writer::queue::{LeaseRequest, QueuedLeaseRequest};

/// Who holds which lease.
#[derive(Clone, Default)]
pub(super) struct Leases {
    holders: HashMap<Box<str>, Box<str>>,
}

impl Leases {
    /// Does what is asked for, in the log's open transaction. If that fails, these leases are not those that hold.
    pub(super) fn carry_out(
        &mut self,
        queued: &QueuedLeaseRequest,
        log: &Log,
    ) -> rusqlite::Result<Option<Epoch>> {
        let QueuedLeaseRequest { name, request, .. } = queued;
        match request {
            LeaseRequest::Claim { holder } if self.holders.get(name) == Some(holder) => log.epoch(name),
            LeaseRequest::Claim { holder } => {
                let epoch = log.new_epoch(name)?;
                self.holders.insert(name.clone(), holder.clone());
                Ok(Some(epoch))
            }
            LeaseRequest::Release { holder, epoch } => {
                if self.holders.get(name) == Some(holder) && log.epoch(name)? == Some(*epoch) {
                    self.holders.remove(name);
                }
                Ok(None)
            }
            LeaseRequest::Save { epoch, checkpoint } => {
                Ok(log.save_checkpoint(name, *epoch, checkpoint)?.then_some(*epoch))
            }
        }
    }
}
