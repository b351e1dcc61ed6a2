//! The relays that run beside the requests: one for each broker that `--bus` names.
//!
//! They have a thread of their own, with a runtime of its own. It steps back where cores are scarce: commands come first,
//! and what is published later waits in the log. And what a relay hands to a broker's client goes out together, which on
//! the requests' runtime would be picked up by another thread message by message.

use std::sync::Arc;
use std::time::Duration;

use order_api::Metrics;
use order_application::traces::Tracer;
use order_application::{
    Follower, FollowerLimits, FollowerPorts, FollowerStatus, IdSource, ReadyChecks, ReadyDetails, Relay,
    UuidV7Ids,
};
use order_bus::BrokerUrl;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::metrics::RelaySource;
use crate::thread;

/// How long relays may take to stop: a last save, and a lease given back.
const STOPPING: Duration = Duration::from_secs(3);

/// How far relays step back, from 0 (not at all) to 19.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Running relays.
pub(crate) struct Relays {
    stop: CancellationToken,
    thread: oneshot::Receiver<()>,
}

impl Relays {
    /// Starts a relay to each broker. What is wrong with one of them is its own trouble: it is logged, shown by `/ready`,
    /// and tried again.
    pub(crate) fn start(
        brokers: &[BrokerUrl],
        event_source: &str,
        ports: &FollowerPorts,
        metrics: &Metrics,
        tracer: Option<&Tracer>,
    ) -> anyhow::Result<(Self, Arc<dyn ReadyDetails>)> {
        let holder = UuidV7Ids.next().to_string();
        let stop = CancellationToken::new();
        let (mut relays, mut shown, mut counted) = (Vec::new(), Vec::new(), Vec::new());
        for url in brokers {
            let broker = url.broker(event_source);
            let relay = Relay::recorded(ports.log.clone(), broker, tracer.cloned(), url.name());
            let limits = FollowerLimits::default();
            let follower = Follower::new(url.name(), &holder, ports.clone(), relay, limits);
            tracing::info!(relay = url.name(), broker = %url, "connecting to a broker");
            shown.push((url.name().to_owned(), follower.status()));
            counted.push((url.name().to_owned(), follower.figures()));
            relays.push(follower);
        }
        metrics.add(Arc::new(RelaySource(counted)));
        let stopped = stop.clone();
        let thread = thread::spawn("relays", move || run(relays, stopped))?;
        Ok((Self { stop, thread }, Arc::new(Shown(shown))))
    }

    /// Stops them; what they have not published waits in the log.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(STOPPING, self.thread).await.is_err() {
            tracing::warn!("a relay did not stop in time; it may publish some events again when it is back");
        }
    }
}

/// Runs relays on this thread until `stop`.
fn run(relays: Vec<Follower>, stop: CancellationToken) {
    // On Linux this is for the calling thread alone, and for those that it starts: the brokers' clients'.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "relays run at the requests' priority");
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "relays cannot run"),
    };
    runtime.block_on(async {
        let mut running = JoinSet::new();
        for relay in relays {
            let stop = stop.clone();
            running.spawn(async move { relay.run(stop).await });
        }
        running.join_all().await;
    });
}

/// What `/ready` tells of the relays. A broker that is away is no reason to send no traffic here.
struct Shown(Vec<(String, watch::Receiver<FollowerStatus>)>);

impl ReadyDetails for Shown {
    fn add_to(&self, checks: &mut ReadyChecks) {
        let relays = self.0.iter().map(|(name, status)| (name.clone(), status.borrow().clone()));
        checks.relays.extend(relays);
    }
}
