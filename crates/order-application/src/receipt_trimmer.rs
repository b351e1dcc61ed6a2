//! Deleting receipts when their time is over.

use std::sync::Arc;
use std::time::Duration;

use order_domain::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::clock_watch::ClockWatch;
use crate::figures::Counter;
use crate::ports::clock::Clock;
use crate::ports::event_log::StoreError;
use crate::ports::receipts::{ReceiptAge, Receipts};
use crate::repeated_fault::RepeatedFault;

/// Receipts of one transaction: few, so that commands hardly notice.
const RECEIPTS_AT_ONCE: usize = 200;
/// The wait between two such transactions, which leaves the store to commands: 10,000 receipts a second at most.
const BREATH: Duration = Duration::from_millis(20);
/// How often old receipts are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The waits after failures.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// Deletes old receipts in the background. Any number of instances may do so at once: what one has deleted is gone for all.
pub struct ReceiptTrimmer {
    receipts: Arc<dyn Receipts>,
    clock: Arc<dyn Clock>,
    kept_for: Duration,
    clock_pause: Duration,
    failing: RepeatedFault,
    trimmed: Arc<Counter>,
}

impl ReceiptTrimmer {
    /// Keeps receipts for so long, and deletes none for `clock_pause` after the clock has jumped: they would all seem old.
    pub fn new(
        receipts: Arc<dyn Receipts>,
        clock: Arc<dyn Clock>,
        kept_for: Duration,
        clock_pause: Duration,
    ) -> Self {
        let (failing, trimmed) = (RepeatedFault::default(), Arc::default());
        Self { receipts, clock, kept_for, clock_pause, failing, trimmed }
    }

    /// How many receipts this process has deleted.
    pub fn trimmed(&self) -> Arc<Counter> {
        Arc::clone(&self.trimmed)
    }

    /// Deletes what is old, again and again, until `stop`.
    pub async fn run(&self, stop: CancellationToken) {
        let mut clock = ClockWatch::new(&*self.clock, self.clock_pause);
        let mut backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF);
        while !stop.is_cancelled() {
            let wait = match self.trim(&mut clock, &stop).await {
                Ok(()) => {
                    backoff.reset();
                    LOOK_EVERY
                }
                Err(error) => {
                    if self.failing.is_news() {
                        tracing::warn!(%error, "old receipts cannot be deleted; it is tried again and again");
                    }
                    backoff.next_wait()
                }
            };
            stop.run_until_cancelled(sleep(wait)).await;
        }
    }

    /// Deletes what is old now.
    async fn trim(&self, clock: &mut ClockWatch, stop: &CancellationToken) -> Result<(), StoreError> {
        while !stop.is_cancelled() && clock.is_trusted(&*self.clock) {
            let kept_micros = i64::try_from(self.kept_for.as_micros()).unwrap_or(i64::MAX);
            let now = self.clock.now();
            let before = Timestamp::from_micros(now.as_micros().saturating_sub(kept_micros));
            let age = ReceiptAge { before, now };
            let trimmed = self.receipts.trim_receipts(age, RECEIPTS_AT_ONCE).await?;
            self.trimmed.add(trimmed.receipts as u64);
            if let Some(more) = self.failing.over() {
                tracing::info!(more, "old receipts are deleted again; so many more tries failed");
            }
            if !trimmed.more {
                break;
            }
            stop.run_until_cancelled(sleep(BREATH)).await;
        }
        Ok(())
    }
}
