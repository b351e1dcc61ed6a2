use std::fmt::{self, Write};

use tokio::sync::watch;

use crate::event::Position;
use crate::json_text::push_string;
use crate::ready_details::ReadyDetails;

/// How a replica goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// What it is doing.
    pub state: ReplicaState,
    /// Everything up to here has been applied, and nothing beyond.
    pub position: Position,
    /// Messages that the broker has, or that are held here, beyond that, as of the last look. `None`: not known.
    pub behind: Option<u64>,
    /// Whether it has had everything that the broker had at some moment since its start.
    pub has_caught_up: bool,
    /// Messages that are not events of this service.
    pub skipped: u64,
    /// What is wrong, and what to do about it.
    pub detail: Option<String>,
}

/// What a replica is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReplicaState {
    /// On its way to the broker.
    #[default]
    Connecting,
    /// Reading what it has missed.
    CatchingUp,
    /// Up to date, or as good as.
    Following,
    /// The broker does not have this position any more, so nothing after it can be applied. Published again, or added from a file, it is
    /// found.
    Missing {
        /// The first position that is not there.
        position: Position,
    },
    /// The broker has another log's events. Somebody has to put that right and start the replica again.
    OtherLog {
        /// Where this was noticed.
        position: Position,
    },
    /// The broker is away, or the replica's own store cannot write; it tries again.
    Unavailable,
    /// Somebody has to change a setting; it tries again from time to time.
    Misconfigured,
}

impl fmt::Display for ReplicaState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::CatchingUp => "catching_up",
            Self::Following => "following",
            Self::Missing { .. } => "missing",
            Self::OtherLog { .. } => "other_log",
            Self::Unavailable => "unavailable",
            Self::Misconfigured => "misconfigured",
        })
    }
}

impl ReplicaStatus {
    pub(super) fn log(&self) {
        let Self { state, position, detail, .. } = self;
        let why = detail.as_deref().unwrap_or_default();
        match state {
            ReplicaState::Connecting => tracing::debug!(%position, "connecting to the broker"),
            ReplicaState::CatchingUp => tracing::info!(%position, "catching up with the broker"),
            ReplicaState::Following => tracing::info!(%position, "following the broker"),
            ReplicaState::Unavailable | ReplicaState::Misconfigured => {
                tracing::warn!(%position, why, "no news from the broker");
            }
            ReplicaState::Missing { .. } | ReplicaState::OtherLog { .. } => {
                tracing::error!(%position, why, "the replica cannot go on");
            }
        }
    }

    fn json(&self) -> String {
        let Self { state, position, behind, skipped, detail, .. } = self;
        // Writing to a String cannot fail.
        let mut out = format!(r#"{{"state":"{state}","position":{position}"#);
        if let Some(behind) = behind {
            let _ = write!(out, r#","behind":{behind}"#);
        }
        if *skipped > 0 {
            let _ = write!(out, r#","skipped":{skipped}"#);
        }
        if let Some(detail) = detail {
            out.push_str(r#","detail":"#);
            push_string(&mut out, detail);
        }
        out.push('}');
        out
    }
}

/// A replica's word in readiness: no, until it has caught up once. From then on what it has is worth reading, even while
/// nothing new comes; `checks` tells how it goes.
pub struct ReplicaReadiness(watch::Receiver<ReplicaStatus>);

impl ReplicaReadiness {
    /// Speaks for the replica whose status this is.
    pub fn new(status: watch::Receiver<ReplicaStatus>) -> Self {
        Self(status)
    }
}

impl ReadyDetails for ReplicaReadiness {
    fn checks(&self) -> Vec<(String, String)> {
        vec![("replica".to_owned(), self.0.borrow().json())]
    }

    fn is_ready(&self) -> bool {
        self.0.borrow().has_caught_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_shows_how_the_replica_goes() {
        let (sender, receiver) = watch::channel(ReplicaStatus::default());
        let readiness = ReplicaReadiness::new(receiver);
        let shown = || (readiness.is_ready(), readiness.checks().remove(0).1);
        assert_eq!(shown(), (false, r#"{"state":"connecting","position":0}"#.to_owned()));
        let following = ReplicaStatus {
            state: ReplicaState::Following,
            position: Position(123),
            behind: Some(0),
            has_caught_up: true,
            ..ReplicaStatus::default()
        };
        sender.send_replace(following.clone());
        assert_eq!(shown(), (true, r#"{"state":"following","position":123,"behind":0}"#.to_owned()));
        let detail = Some("no \"such\" host".to_owned());
        sender.send_replace(ReplicaStatus {
            state: ReplicaState::Unavailable,
            behind: None,
            skipped: 2,
            detail,
            ..following
        });
        let unavailable = r#"{"state":"unavailable","position":123,"skipped":2,"detail":"no \"such\" host"}"#;
        assert_eq!(shown(), (true, unavailable.to_owned()));
    }
}
