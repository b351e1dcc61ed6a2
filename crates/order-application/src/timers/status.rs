use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

/// How it goes with what orders do by themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TimersStatus {
    /// In a word.
    pub state: TimersState,
    /// How many timers did something since this process began.
    pub fired: u64,
    /// How many orders have a timer that their state refuses for good; they wait for people.
    pub set_aside: usize,
    /// Orders that were due at the last look, without those that are set aside. Of the next two only metrics tell.
    #[serde(skip)]
    #[schema(ignore)]
    pub due: u64,
    /// For how long the first of them had been due.
    #[serde(skip)]
    #[schema(ignore)]
    pub late: Duration,
    /// What is in the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What timers are doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimersState {
    /// Another instance fires them, or this one is about to.
    #[default]
    Standby,
    /// They fire when they are due.
    Running,
    /// The clock has jumped, and may be wrong: nothing fires for a while. Or it is known to be wrong: nothing fires here.
    Paused,
    /// The store is away.
    Unavailable,
}

impl TimersStatus {
    pub(super) fn log(&self) {
        let detail = self.detail.as_deref();
        match self.state {
            TimersState::Standby => tracing::debug!("another instance fires the timers"),
            TimersState::Running => tracing::info!("timers fire"),
            TimersState::Paused => tracing::warn!(detail, "timers pause"),
            TimersState::Unavailable => tracing::warn!(detail, "timers cannot fire"),
        }
    }
}
