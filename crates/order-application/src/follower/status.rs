use serde::Serialize;
use utoipa::ToSchema;

use crate::event::Position;

/// How a follower goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct FollowerStatus {
    /// What it is doing.
    pub state: FollowerState,
    /// Everything up to here is done; for a relay, acknowledged by its broker.
    #[schema(value_type = u64)]
    pub position: Position,
    /// Events in the log beyond that, as of the last look.
    pub lag: u64,
    /// What is wrong, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What a follower is doing: `connecting`, `following` (at work), `standby` (another instance is at work), `unavailable` (the
/// other side or the store is away), `misconfigured` (somebody has to change a setting) or `refused` (the other side does not
/// take an event). The last three are tried again by themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FollowerState {
    /// On its way to the other side.
    #[default]
    Connecting,
    /// At work.
    Following,
    /// Another instance is at work.
    Standby,
    /// The other side is away, or the store; it tries again.
    Unavailable,
    /// Somebody has to change a setting; it tries again from time to time.
    Misconfigured,
    /// The other side does not take an event; it tries again from time to time.
    Refused,
}

impl FollowerState {
    /// Whether somebody has to do something about it.
    pub(super) fn is_stuck(self) -> bool {
        matches!(self, Self::Misconfigured | Self::Refused)
    }
}

impl FollowerStatus {
    pub(super) fn log(&self, follower: &str) {
        let Self { state, position, detail, .. } = self;
        match state {
            FollowerState::Connecting => tracing::debug!(follower, "connecting"),
            FollowerState::Following => tracing::info!(follower, position = position.0, "events are relayed"),
            FollowerState::Standby => tracing::info!(follower, "another instance follows the log"),
            FollowerState::Unavailable | FollowerState::Misconfigured | FollowerState::Refused => {
                let why = detail.as_deref().unwrap_or_default();
                tracing::warn!(
                    follower,
                    position = position.0,
                    why,
                    "cannot go on for now; events wait in the log"
                );
            }
        }
    }
}
