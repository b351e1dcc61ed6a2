//! The relays that run beside the requests: one for each broker that `--bus` names.

use std::sync::Arc;
use std::time::Duration;

use order_application::{
    IdSource, ReadyDetails, Relay, RelayLimits, RelayPorts, RelayStatus, UuidV7Ids, json_text,
};
use order_bus::BrokerUrl;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long relays may take to stop: a last save, and a lease given back.
const STOPPING: Duration = Duration::from_secs(3);

/// Running relays.
pub(crate) struct Relays {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Relays {
    /// Starts a relay to each broker. What is wrong with one of them is its own trouble: it is logged, shown by `/ready`,
    /// and tried again.
    pub(crate) fn start(
        brokers: &[BrokerUrl],
        event_source: &str,
        ports: &RelayPorts,
    ) -> (Self, Arc<dyn ReadyDetails>) {
        let holder = UuidV7Ids.next().to_string();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let mut shown = Vec::with_capacity(brokers.len());
        for url in brokers {
            let broker = url.broker(event_source);
            let relay = Relay::new(url.name(), &holder, ports.clone(), broker, RelayLimits::default());
            tracing::info!(relay = url.name(), broker = %url, "events are relayed");
            shown.push((url.name(), relay.status()));
            let stop = stop.clone();
            tasks.spawn(async move { relay.run(stop).await });
        }
        tasks.close();
        (Self { stop, tasks }, Arc::new(Shown(shown)))
    }

    /// Stops them; what they have not published waits in the log.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(STOPPING, self.tasks.wait()).await.is_err() {
            tracing::warn!("a relay did not stop in time; it may publish some events again when it is back");
        }
    }
}

/// What `/ready` tells of the relays. A broker that is away is no reason to send no traffic here.
struct Shown(Vec<(String, watch::Receiver<RelayStatus>)>);

impl ReadyDetails for Shown {
    fn checks(&self) -> Vec<(String, String)> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let members = self.0.iter().map(|(name, status)| {
            let mut member = String::new();
            json_text::push_string(&mut member, name);
            member.push(':');
            member.push_str(&write_status(&status.borrow()));
            member
        });
        let relays = members.collect::<Vec<_>>().join(",");
        vec![("relays".to_owned(), format!("{{{relays}}}"))]
    }

    fn is_ready(&self) -> bool {
        true
    }
}

fn write_status(status: &RelayStatus) -> String {
    let RelayStatus { state, position, lag, detail } = status;
    let mut out = format!(r#"{{"state":"{state}","position":{position},"lag":{lag}"#);
    if let Some(detail) = detail {
        out.push_str(",\"detail\":");
        json_text::push_string(&mut out, detail);
    }
    out.push('}');
    out
}
