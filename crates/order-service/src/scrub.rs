//! The scrubber that runs beside the requests.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use order_application::{
    IdSource, ReadyDetails, ScrubLimits, ScrubReadiness, Scrubber, ScrubberPorts, UuidV7Ids,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long it may take to stop: a last save, and a lease given back.
const STOPPING: Duration = Duration::from_secs(3);

/// A running scrubber; or none, where it is switched off.
pub(crate) struct Scrub(Option<Running>);

struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
    shown: Arc<dyn ReadyDetails>,
}

impl Scrub {
    /// Starts it, unless there is no rate.
    pub(crate) fn start(rate: Option<NonZeroU32>, ports: ScrubberPorts) -> Self {
        let Some(rate) = rate else { return Self(None) };
        let holder = UuidV7Ids.next().to_string();
        let scrubber = Scrubber::new(holder, ports, rate, ScrubLimits::default());
        let shown = Arc::new(ScrubReadiness::new(scrubber.status()));
        let stop = CancellationToken::new();
        let task = {
            let stop = stop.clone();
            tokio::spawn(async move { scrubber.run(stop).await })
        };
        Self(Some(Running { stop, task, shown }))
    }

    /// What `/ready` tells of it.
    pub(crate) fn shown(&self) -> Option<Arc<dyn ReadyDetails>> {
        self.0.as_ref().map(|running| Arc::clone(&running.shown))
    }

    /// Stops it; what it has not saved is compared again.
    pub(crate) async fn stop(self) {
        let Some(Running { stop, mut task, .. }) = self.0 else { return };
        stop.cancel();
        match tokio::time::timeout(STOPPING, &mut task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the scrubber ended early"),
            Err(_) => task.abort(),
        }
    }
}
