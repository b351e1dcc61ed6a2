//! What else the process depends on: readiness beyond the store's.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::follower::FollowerStatus;
use crate::ports::event_log::StoreError;
use crate::ports::view_repair::{ViewRepair, ViewsStatus};
use crate::replica::ReplicaStatus;
use crate::scrubber::ScrubStatus;
use crate::timers::TimersStatus;

/// Something that runs beside the requests, such as a relay to a broker, and has a word in whether traffic should come.
pub trait ReadyDetails: Send + Sync {
    /// Adds what there is to say.
    fn add_to(&self, checks: &mut ReadyChecks);

    /// Whether traffic may come as far as this is concerned.
    fn is_ready(&self) -> bool {
        true
    }
}

/// What readiness depends on, and what there is to say of all that runs beside the requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReadyChecks {
    /// Where the process is between its start and its end.
    pub lifecycle: Lifecycle,
    /// Whether the store can be used.
    pub store: StoreCheck,
    /// The views, from which lists and reads are answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub views: Option<ViewsStatus>,
    /// The comparison of the views with the events; absent if it is switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrub: Option<ScrubStatus>,
    /// What orders do by themselves; not there on a replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timers: Option<TimersStatus>,
    /// Where events are relayed to, by the name of each broker; not there if there is none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    pub relays: BTreeMap<String, FollowerStatus>,
    /// How a replica follows its primary; not there if this is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaStatus>,
}

/// Where a process is between its start and its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// Its store is being opened.
    #[default]
    Starting,
    /// Requests are served.
    Serving,
    /// No more should come; what is under way is finished.
    Draining,
}

/// Whether the store can be used, in a word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StoreCheck {
    /// It is being opened.
    #[default]
    Opening,
    /// It can.
    Ok,
    /// It has more work than it can take.
    Overloaded,
    /// It cannot be reached.
    Unavailable,
    /// There is no space left to write to.
    StorageFull,
    /// It is not what was written.
    Corrupt,
    /// A newer release wrote what this one cannot read.
    NewerReleaseNeeded,
}

impl From<&Result<(), StoreError>> for StoreCheck {
    fn from(checked: &Result<(), StoreError>) -> Self {
        match checked {
            Ok(()) => Self::Ok,
            Err(StoreError::Overloaded) => Self::Overloaded,
            Err(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_) | StoreError::DamagedView(_)) => {
                Self::Unavailable
            }
            Err(StoreError::StorageFull) => Self::StorageFull,
            Err(StoreError::Corrupt(_)) => Self::Corrupt,
            Err(StoreError::NewerRelease(_)) => Self::NewerReleaseNeeded,
        }
    }
}

/// While views are repaired or rebuilt, what adds up is served.
impl ReadyDetails for Arc<dyn ViewRepair> {
    fn add_to(&self, checks: &mut ReadyChecks) {
        checks.views = Some(self.views());
    }
}

/// Whatever the scrubber finds, it is no reason to send no traffic here.
impl ReadyDetails for watch::Receiver<ScrubStatus> {
    fn add_to(&self, checks: &mut ReadyChecks) {
        checks.scrub = Some(self.borrow().clone());
    }
}

/// Timers that are late are no reason to send no traffic here.
impl ReadyDetails for watch::Receiver<TimersStatus> {
    fn add_to(&self, checks: &mut ReadyChecks) {
        checks.timers = Some(self.borrow().clone());
    }
}

/// A replica is ready once it has caught up. From then on what it has is worth reading, even while its broker is away; but
/// not when it cannot go on by itself: then it falls behind for good, or is no copy of its primary.
impl ReadyDetails for watch::Receiver<ReplicaStatus> {
    fn add_to(&self, checks: &mut ReadyChecks) {
        checks.replica = Some(self.borrow().clone());
    }

    fn is_ready(&self) -> bool {
        let status = self.borrow();
        status.has_caught_up && !status.state.is_at_its_end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Position;
    use crate::follower::FollowerState;
    use crate::ports::event_log::StoreError;
    use crate::ports::view_repair::ViewsState;
    use crate::replica::ReplicaState;
    use crate::scrubber::ScrubState;

    fn shown(details: &dyn ReadyDetails) -> String {
        let mut checks = ReadyChecks::default();
        details.add_to(&mut checks);
        of_checks(&checks)
    }

    /// What comes after what every process has to say.
    fn of_checks(checks: &ReadyChecks) -> String {
        let text = serde_json::to_string(checks).unwrap();
        let rest = text.strip_prefix(r#"{"lifecycle":"starting","store":"opening""#).unwrap();
        format!("{{{}", rest.trim_start_matches(','))
    }

    #[test]
    fn where_nothing_runs_beside_the_requests_there_is_nothing_to_say() {
        assert_eq!(of_checks(&ReadyChecks::default()), "{}");
    }

    struct Store(ViewsStatus);

    #[async_trait::async_trait]
    impl ViewRepair for Store {
        async fn repair_views(
            &self,
            _: &[order_domain::OrderId],
            _: &[Position],
            _: &str,
        ) -> Result<(), StoreError> {
            Ok(())
        }

        fn views(&self) -> ViewsStatus {
            self.0.clone()
        }
    }

    #[test]
    fn readiness_shows_how_far_the_views_are() {
        let shown = |status| shown(&(Arc::new(Store(status)) as Arc<dyn ViewRepair>));
        assert_eq!(shown(ViewsStatus::default()), r#"{"views":{"state":"current"}}"#);
        let rebuilding = ViewsStatus {
            state: ViewsState::Rebuilding,
            done: Some(3),
            total: Some(10),
            detail: Some("a page of \"orders\"".to_owned()),
        };
        let expected =
            r#"{"views":{"state":"rebuilding","done":3,"total":10,"detail":"a page of \"orders\""}}"#;
        assert_eq!(shown(rebuilding), expected);
    }

    #[test]
    fn readiness_shows_how_far_the_scrubber_is_and_what_it_found() {
        let (_sender, receiver) = watch::channel(ScrubStatus {
            state: ScrubState::Unavailable,
            position: Position(120),
            of: Position(300),
            faults_in_pass: 2,
            faults: 5,
            passes: 1,
            detail: Some("away".to_owned()),
        });
        let expected = r#"{"scrub":{"state":"unavailable","position":120,"of":300,"faults_in_pass":2,"faults":5,"passes":1,"detail":"away"}}"#;
        assert_eq!((shown(&receiver), receiver.is_ready()), (expected.to_owned(), true));
    }

    #[test]
    fn a_replica_is_ready_once_it_has_caught_up() {
        let (sender, receiver) = watch::channel(ReplicaStatus::default());
        let connecting = r#"{"replica":{"state":"connecting","position":0,"skipped":0}}"#;
        assert_eq!((shown(&receiver), receiver.is_ready()), (connecting.to_owned(), false));
        sender.send_replace(ReplicaStatus {
            state: ReplicaState::CatchingUp,
            position: Position(123),
            behind: Some(7),
            has_caught_up: true,
            skipped: 2,
            detail: Some("no \"such\" host".to_owned()),
        });
        let behind = r#"{"replica":{"state":"catching_up","position":123,"behind":7,"skipped":2,"detail":"no \"such\" host"}}"#;
        assert_eq!((shown(&receiver), receiver.is_ready()), (behind.to_owned(), true));
    }

    #[test]
    fn a_replica_that_cannot_go_on_is_not_ready() {
        for (state, is_ready) in [
            (ReplicaState::Following, true),
            (ReplicaState::Unavailable, true),
            (ReplicaState::Missing, false),
            (ReplicaState::OtherLog, false),
        ] {
            let (_sender, receiver) =
                watch::channel(ReplicaStatus { state, has_caught_up: true, ..ReplicaStatus::default() });
            assert_eq!(receiver.is_ready(), is_ready, "{state:?}");
        }
    }

    #[test]
    fn readiness_shows_each_relay_by_its_name() {
        let mut checks = ReadyChecks::default();
        let refused = FollowerStatus {
            state: FollowerState::Refused,
            position: Position(7),
            lag: 3,
            detail: Some("too large".to_owned()),
        };
        checks.relays.insert("nats/orders".to_owned(), refused);
        let expected =
            r#"{"relays":{"nats/orders":{"state":"refused","position":7,"lag":3,"detail":"too large"}}}"#;
        assert_eq!(of_checks(&checks), expected);
    }
}
