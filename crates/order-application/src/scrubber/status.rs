use serde::Serialize;
use utoipa::ToSchema;

use crate::event::Position;

/// How a scrubber goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ScrubStatus {
    /// What it is doing.
    pub state: ScrubState,
    /// Everything up to here has been compared in this pass.
    #[schema(value_type = u64)]
    pub position: Position,
    /// Where this pass ends.
    #[schema(value_type = u64)]
    pub of: Position,
    /// What was found to differ in this pass. The service's output names it, and it is repaired.
    pub faults_in_pass: u64,
    /// What was found to differ since the start of this process.
    pub faults: u64,
    /// Passes that have ended since the start of this process.
    pub passes: u64,
    /// Why it does not go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What a scrubber is doing: `starting`, `scrubbing` (at work), `resting` (until the next pass), `waiting` (the views are being
/// rebuilt, or are a newer release's), `standby` (another instance is at work) or `unavailable` (it is tried again).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScrubState {
    /// It has not done anything yet.
    #[default]
    Starting,
    /// At work.
    Scrubbing,
    /// A pass has ended, and the next begins soon.
    Resting,
    /// The views are being rebuilt, or are a newer release's.
    Waiting,
    /// Another instance is at work.
    Standby,
    /// The store could not answer; it tries again.
    Unavailable,
}
