//! A server waits for a database that is away when it starts, as it does for one that goes away later.

use std::sync::Arc;
use std::time::Duration;

use order_application::{Backoff, EventBus};
use order_store::{PostgresError, PostgresOptions, PostgresStore};
use tokio::time::sleep;

/// Between two attempts.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Opens it as soon as it is there. What refuses for good (a password, a right, a schema) is an error at once.
pub(crate) async fn open(
    url: &str,
    bus: &Arc<dyn EventBus>,
    options: PostgresOptions,
) -> Result<PostgresStore, PostgresError> {
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let mut outage = Outage::default();
    loop {
        match PostgresStore::open(url, Arc::clone(bus), options).await {
            Err(error) if error.is_away() => {
                outage.tell(&error);
                sleep(backoff.next_wait()).await;
            }
            opened => {
                outage.end();
                return opened;
            }
        }
    }
}

/// What was said of it: each reason once, until there is another.
#[derive(Default)]
struct Outage {
    attempts: u64,
    told: String,
}

impl Outage {
    fn tell(&mut self, error: &PostgresError) {
        self.attempts += 1;
        let why = error.to_string();
        if why != self.told {
            tracing::warn!(why, "the database is away; the service starts when it is there");
            self.told = why;
        }
    }

    fn end(&self) {
        if self.attempts > 0 {
            tracing::info!(failed_attempts = self.attempts, "the database answers");
        }
    }
}
