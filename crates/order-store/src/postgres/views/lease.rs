//! The lease that keeps a second process from making all views anew at the same time. It spares work; what is made is right
//! without it.

use std::time::Duration;

use order_application::{Claim, Epoch, HolderWatch, StoreError};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::super::checkpoints;
use super::super::database::Database;

/// Its name among the checkpoints.
const LEASE: &str = "views";
/// How long the others wait for a process that died.
const TERM: Duration = Duration::from_secs(15);
/// How old a lease may be when it is renewed.
const RENEWAL: Duration = Duration::from_secs(4);
/// How long a moment's lease of another process is waited for, and how often it is asked for.
const LEASE_PATIENCE: Duration = Duration::from_secs(30);
const LEASE_PAUSE: Duration = Duration::from_millis(200);

/// The right to make all views anew.
pub(super) struct Lease<'a> {
    database: &'a Database,
    holder: String,
    epoch: Epoch,
    renewed: Instant,
}

impl<'a> Lease<'a> {
    /// `None` if another process has it and lives, as far as `watch` can tell.
    pub(super) async fn claim(
        database: &'a Database,
        watch: &mut HolderWatch,
    ) -> Result<Option<Self>, StoreError> {
        let holder = new_holder();
        let renewed = Instant::now();
        match checkpoints::claim(database, LEASE, &holder, watch.silent_for(TERM)).await? {
            Claim::Granted(epoch) => Ok(Some(Self { database, holder, epoch, renewed })),
            Claim::Held(beat) => {
                watch.saw(beat);
                Ok(None)
            }
        }
    }

    /// The same, after a wait for a process that will soon be done or that died.
    pub(super) async fn claim_soon(database: &'a Database) -> Result<Option<Self>, StoreError> {
        let deadline = Instant::now() + LEASE_PATIENCE;
        let mut watch = HolderWatch::default();
        loop {
            let lease = Self::claim(database, &mut watch).await?;
            if lease.is_some() || Instant::now() >= deadline {
                return Ok(lease);
            }
            sleep(LEASE_PAUSE).await;
        }
    }

    /// Keeps it, now and then.
    ///
    /// # Errors
    /// Somebody else has had it.
    pub(super) async fn keep(&mut self) -> Result<(), StoreError> {
        if self.renewed.elapsed() < RENEWAL {
            return Ok(());
        }
        let renewed = Instant::now();
        match checkpoints::claim(self.database, LEASE, &self.holder, None).await? {
            Claim::Granted(epoch) => {
                (self.epoch, self.renewed) = (epoch, renewed);
                Ok(())
            }
            Claim::Held(_) => Err(StoreError::Unavailable("another process makes the views anew".to_owned())),
        }
    }

    pub(super) async fn release(self) -> Result<(), StoreError> {
        checkpoints::release(self.database, LEASE, &self.holder, self.epoch).await
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "names a holder for the time of one lease, and is seen nowhere else"
)]
fn new_holder() -> String {
    Uuid::now_v7().to_string()
}
