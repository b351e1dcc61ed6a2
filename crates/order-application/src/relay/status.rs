use std::fmt;

use crate::event::Position;

/// How a relay goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RelayStatus {
    /// What it is doing.
    pub state: RelayState,
    /// Everything up to here has been acknowledged.
    pub position: Position,
    /// Events in the log beyond that, as of the last look.
    pub lag: u64,
    /// What is wrong, and what to do about it.
    pub detail: Option<String>,
}

/// What a relay is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RelayState {
    /// On its way to the broker.
    #[default]
    Connecting,
    /// At work.
    Publishing,
    /// Another instance is at work.
    Standby,
    /// The broker is away, or the store; it tries again.
    Unavailable,
    /// Somebody has to change a setting; it tries again from time to time.
    Misconfigured,
    /// The broker does not take an event; it tries again from time to time.
    Refused,
}

impl fmt::Display for RelayState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::Publishing => "publishing",
            Self::Standby => "standby",
            Self::Unavailable => "unavailable",
            Self::Misconfigured => "misconfigured",
            Self::Refused => "refused",
        })
    }
}

impl RelayStatus {
    pub(super) fn log(&self, relay: &str) {
        let Self { state, position, detail, .. } = self;
        match (state, detail) {
            (RelayState::Connecting, _) => tracing::debug!(relay, "connecting to the broker"),
            (RelayState::Publishing, _) => tracing::info!(relay, %position, "publishing events"),
            (RelayState::Standby, _) => tracing::info!(relay, "another instance publishes events"),
            (RelayState::Unavailable | RelayState::Misconfigured | RelayState::Refused, why) => {
                let why = why.as_deref().unwrap_or_default();
                tracing::warn!(relay, %position, why, "events wait in the log");
            }
        }
    }
}
