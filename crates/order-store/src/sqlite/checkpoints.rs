//! The port's checkpoints, of those who follow the log. (Those of the write-ahead log are another thing: see
//! [`checkpointer`](super::checkpointer).) They are in the log's file, since views may be deleted.

use async_trait::async_trait;
use order_application::{Beat, Checkpoint, Checkpoints, Claim, Epoch, StoreError};
use tokio::sync::oneshot;

use super::writer::{LeaseJob, LeaseRequest};
use super::{SqliteStore, WRITER_ENDED};

#[async_trait]
impl Checkpoints for SqliteStore {
    async fn claim(&self, name: &str, holder: &str, _: Option<Beat>) -> Result<Claim, StoreError> {
        let epoch = self.carry_out(name, LeaseRequest::Claim { holder: holder.into() }).await?;
        epoch
            .map(Claim::Granted)
            .ok_or_else(|| StoreError::Corrupt(format!("the checkpoint {name:?} has gone")))
    }

    async fn release(&self, name: &str, holder: &str, epoch: Epoch) -> Result<(), StoreError> {
        self.carry_out(name, LeaseRequest::Release { holder: holder.into(), epoch }).await.map(drop)
    }

    async fn load(&self, name: &str) -> Result<Option<Checkpoint>, StoreError> {
        self.shared.readers.checkpoint(name)
    }

    async fn save(&self, name: &str, epoch: Epoch, checkpoint: &Checkpoint) -> Result<bool, StoreError> {
        let request = LeaseRequest::Save { epoch, checkpoint: checkpoint.clone() };
        Ok(self.carry_out(name, request).await?.is_some())
    }
}

impl SqliteStore {
    async fn carry_out(&self, name: &str, request: LeaseRequest) -> Result<Option<Epoch>, StoreError> {
        self.shared.health.check()?;
        let (done, outcome) = oneshot::channel();
        self.writer.submit_lease_job(LeaseJob { name: name.into(), request, done })?;
        outcome.await.unwrap_or_else(|_| Err(StoreError::OutcomeUnknown(WRITER_ENDED.to_owned())))
    }
}
