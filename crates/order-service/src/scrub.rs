//! The scrubber that runs beside the requests.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use order_application::{IdSource, ReadyDetails, Scrubber, ScrubberPorts, UuidV7Ids};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long it may take to stop: a last save, and a lease given back.
const STOPPING: Duration = Duration::from_secs(3);

/// A running scrubber.
pub(crate) struct Scrub {
    task: JoinHandle<()>,
    /// What `/ready` tells of it.
    pub(crate) shown: Arc<dyn ReadyDetails>,
}

impl Scrub {
    /// Starts it. It stops by itself at the shutdown, while requests are still being finished; what it cannot save in time is
    /// compared again.
    pub(crate) fn start(rate: NonZeroU32, ports: ScrubberPorts, shutdown: CancellationToken) -> Self {
        let holder = UuidV7Ids.next().to_string();
        let scrubber = Scrubber::new(&holder, ports, rate);
        let shown = Arc::new(scrubber.status());
        let task = tokio::spawn(async move {
            let late = async {
                shutdown.cancelled().await;
                tokio::time::sleep(STOPPING).await;
            };
            tokio::select! {
                () = scrubber.run(shutdown.clone()) => {}
                () = late => {}
            }
        });
        Self { task, shown }
    }

    /// Waits for its end after the shutdown.
    pub(crate) async fn ended(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the scrubber ended early");
        }
    }
}
