//! The real scrubber on a real store.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use order_application::{Checkpoints, EventLog, OrderViews, Scrubber, ScrubberPorts, ViewRepair};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// What one pass of the scrubber counts.
pub(crate) async fn one_pass<S>(store: &Arc<S>) -> u64
where
    S: EventLog + OrderViews + Checkpoints + ViewRepair,
{
    let ports = ScrubberPorts {
        log: store.clone(),
        views: store.clone(),
        checkpoints: store.clone(),
        repair: store.clone(),
    };
    let rate = NonZeroU32::new(100_000).unwrap();
    let scrubber = Scrubber::new("a test", ports, rate);
    let (mut status, stop) = (scrubber.status(), CancellationToken::new());
    let (running, passed) = (scrubber.run(stop.clone()), status.wait_for(|status| status.passes == 1));
    let pass = async {
        let faults = timeout(Duration::from_secs(20), passed).await.unwrap().unwrap().faults;
        stop.cancel();
        faults
    };
    tokio::join!(running, pass).1
}
