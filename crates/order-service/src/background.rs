//! What runs beside the requests, on their runtime: the scrubber, the timers, the trimming of receipts, the counting of orders.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use order_api::Metrics;
use order_application::traces::Tracer;
use order_application::{
    Clock, IdSource, OrderService, ReadyDetails, ReceiptTrimmer, Scrubber, ScrubberPorts, ShopWatch,
    SystemClock, TimerPorts, Timers, UuidV7Ids,
};
use order_domain::Timestamp;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::metrics::{ShopSource, TrimmedSource};
use crate::open_store::Store;

/// How long it may take to stop: a last save, and a lease given back.
const STOPPING: Duration = Duration::from_secs(3);

/// Something that runs.
pub(crate) struct Background {
    name: &'static str,
    task: JoinHandle<()>,
    /// What `/ready` tells of it, if there is anything to tell.
    pub(crate) shown: Option<Arc<dyn ReadyDetails>>,
}

/// What has to be done by itself where commands are taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upkeep {
    /// How long it pauses when the clock has jumped.
    pub(crate) clock_pause: Duration,
    /// How long it is known what was answered under a client's key.
    pub(crate) keys_kept_for: Duration,
}

impl Background {
    /// Compares the views with the log, at so many events a second. What it cannot save in time at its end is compared again.
    pub(crate) fn scrubber(rate: NonZeroU32, store: &Arc<dyn Store>, shutdown: &CancellationToken) -> Self {
        let ports = ScrubberPorts {
            log: store.clone(),
            views: store.clone(),
            checkpoints: store.clone(),
            repair: store.clone(),
        };
        let scrubber = Scrubber::new(&holder(), ports, rate);
        let (shown, stop) = (Arc::new(scrubber.status()), shutdown.clone());
        Self::start("the scrubber", Some(shown), async move { scrubber.run(stop).await }, shutdown)
    }

    /// Has orders do what they do by themselves, and pauses for so long when the clock has jumped.
    pub(crate) fn timers(
        clock_pause: Duration,
        service: OrderService,
        store: &Arc<dyn Store>,
        tracer: Option<Tracer>,
        shutdown: &CancellationToken,
    ) -> Self {
        let ports = TimerPorts {
            service,
            views: store.clone(),
            checkpoints: store.clone(),
            clock: Arc::new(ComparedClock(store.clone())),
            tracer,
        };
        let timers = Timers::new(&holder(), ports, clock_pause);
        let (shown, stop) = (Arc::new(timers.status()), shutdown.clone());
        Self::start("the timers", Some(shown), async move { timers.run(stop).await }, shutdown)
    }

    /// Forgets what was answered under keys once it is old enough.
    pub(crate) fn receipt_trimmer(
        upkeep: Upkeep,
        store: &Arc<dyn Store>,
        metrics: &Metrics,
        shutdown: &CancellationToken,
    ) -> Self {
        let Upkeep { clock_pause, keys_kept_for } = upkeep;
        let clock = Arc::new(ComparedClock(store.clone()));
        let trimmer = ReceiptTrimmer::new(store.clone(), clock, keys_kept_for, clock_pause);
        metrics.add(Arc::new(TrimmedSource(trimmer.trimmed())));
        let stop = shutdown.clone();
        Self::start("the trimming of receipts", None, async move { trimmer.run(stop).await }, shutdown)
    }

    /// Counts orders for the metrics.
    pub(crate) fn shop_watch(
        store: &Arc<dyn Store>,
        metrics: &Metrics,
        shutdown: &CancellationToken,
    ) -> Self {
        let watch = ShopWatch::new(store.clone());
        metrics.add(Arc::new(ShopSource(watch.seen())));
        let stop = shutdown.clone();
        Self::start("the counting of orders", None, async move { watch.run(stop).await }, shutdown)
    }

    /// Starts it. It stops by itself at the shutdown, while requests are still being finished.
    fn start(
        name: &'static str,
        shown: Option<Arc<dyn ReadyDetails>>,
        running: impl Future<Output = ()> + Send + 'static,
        shutdown: &CancellationToken,
    ) -> Self {
        let shutdown = shutdown.clone();
        let task = tokio::spawn(async move {
            let late = async {
                shutdown.cancelled().await;
                tokio::time::sleep(STOPPING).await;
            };
            tokio::select! {
                () = running => {}
                () = late => {}
            }
        });
        Self { name, task, shown }
    }

    /// Waits for its end after the shutdown.
    pub(crate) async fn ended(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "{} ended early", self.name);
        }
    }
}

/// The machine's clock, as far as the store knows nothing against it.
struct ComparedClock(Arc<dyn Store>);

impl Clock for ComparedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn doubt(&self) -> Option<String> {
        self.0.clock_doubt()
    }
}

/// A name that no other instance has.
fn holder() -> String {
    UuidV7Ids.next().to_string()
}
