//! Checkpoints in memory. Only this process has the store, so whoever asks for a lease gets it.

use async_trait::async_trait;
use order_application::{Beat, Checkpoint, Checkpoints, Claim, Epoch, StoreError};

use super::MemoryStore;

/// What there is under one name.
#[derive(Default)]
pub(super) struct CheckpointEntry {
    holder: Option<Box<str>>,
    epoch: u64,
    pub(super) checkpoint: Option<Checkpoint>,
}

#[async_trait]
impl Checkpoints for MemoryStore {
    async fn claim(&self, name: &str, holder: &str, _: Option<Beat>) -> Result<Claim, StoreError> {
        let mut tables = self.write();
        let entry = tables.checkpoints.entry(name.into()).or_default();
        if entry.holder.as_deref() != Some(holder) {
            entry.holder = Some(holder.into());
            entry.epoch += 1;
        }
        Ok(Claim::Granted(Epoch(entry.epoch)))
    }

    async fn release(&self, name: &str, holder: &str, epoch: Epoch) -> Result<(), StoreError> {
        if let Some(entry) = self.write().checkpoints.get_mut(name)
            && entry.holder.as_deref() == Some(holder)
            && entry.epoch == epoch.0
        {
            entry.holder = None;
        }
        Ok(())
    }

    async fn load(&self, name: &str) -> Result<Option<Checkpoint>, StoreError> {
        Ok(self.read().checkpoints.get(name).and_then(|entry| entry.checkpoint.clone()))
    }

    async fn save(&self, name: &str, epoch: Epoch, checkpoint: &Checkpoint) -> Result<bool, StoreError> {
        match self.write().checkpoints.get_mut(name) {
            Some(entry) if entry.epoch == epoch.0 => {
                entry.checkpoint = Some(checkpoint.clone());
                Ok(true)
            }
            Some(_) | None => Ok(false),
        }
    }
}
