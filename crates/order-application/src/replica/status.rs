use serde::Serialize;
use utoipa::ToSchema;

use crate::event::Position;

/// How a replica goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReplicaStatus {
    /// What it is doing.
    pub state: ReplicaState,
    /// Everything up to here has been applied, and nothing beyond.
    #[schema(value_type = u64)]
    pub position: Position,
    /// Messages that the broker has, or that are held here, beyond that, as of the last look; absent: not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind: Option<u64>,
    /// Whether it has had everything that the broker had at some moment since its start.
    #[serde(skip)]
    pub has_caught_up: bool,
    /// Messages that are not events of this service.
    pub skipped: u64,
    /// What is wrong, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What a replica is doing: `connecting`, `catching_up`, `following` (up to date), `missing` (the broker does not have the next
/// event any more), `other_log` (the broker has another log's events: somebody has to put that right), `unavailable` (the broker
/// or the own store is away) or `misconfigured` (somebody has to change a setting).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaState {
    /// On its way to the broker.
    #[default]
    Connecting,
    /// Reading what it has missed.
    CatchingUp,
    /// Up to date, or as good as.
    Following,
    /// The broker does not have the next position any more, so nothing after it can be applied. Published again, or added from
    /// a file, it is found.
    Missing,
    /// The broker has another log's events. Somebody has to put that right and start the replica again.
    OtherLog,
    /// The broker is away, or the replica's own store cannot write; it tries again.
    Unavailable,
    /// Somebody has to change a setting; it tries again from time to time.
    Misconfigured,
}

impl ReplicaState {
    /// Whether somebody has to put something right before anything more can be applied.
    pub(crate) fn is_at_its_end(self) -> bool {
        match self {
            Self::Missing | Self::OtherLog => true,
            Self::Connecting
            | Self::CatchingUp
            | Self::Following
            | Self::Unavailable
            | Self::Misconfigured => false,
        }
    }
}

impl ReplicaStatus {
    pub(super) fn log(&self) {
        let Self { state, position, detail, .. } = self;
        let why = detail.as_deref().unwrap_or_default();
        match state {
            ReplicaState::Connecting => tracing::debug!(position = position.0, "connecting to the broker"),
            ReplicaState::CatchingUp => tracing::info!(position = position.0, "catching up with the broker"),
            ReplicaState::Following => tracing::info!(position = position.0, "following the broker"),
            ReplicaState::Unavailable | ReplicaState::Misconfigured => {
                tracing::warn!(position = position.0, why, "nothing new comes from the broker");
            }
            ReplicaState::Missing | ReplicaState::OtherLog => {
                tracing::error!(position = position.0, why, "the replica cannot go on");
            }
        }
    }
}
