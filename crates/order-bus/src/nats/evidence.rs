//! What a stream would have to show for a checkpoint.

use serde::{Deserialize, Serialize};

use super::resumption::LastEvent;
use crate::send_window::AcknowledgedEvent;

/// What the stream had when the checkpoint was saved: the form of a checkpoint's evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NatsEvidence {
    /// When the stream was made, in nanoseconds since 1970: another stream of the same name was made at another time.
    pub(super) created: i64,
    /// The last sequence that was acknowledged.
    pub(super) sequence: u64,
    /// The last event that was acknowledged.
    pub(super) event: Option<AcknowledgedEvent>,
    /// Its sequence, if it is known.
    pub(super) event_sequence: Option<u64>,
}

impl NatsEvidence {
    /// The last event that was acknowledged, if it is known where it is.
    pub(super) fn last_event(&self) -> Option<LastEvent> {
        let event = self.event?;
        Some(LastEvent { sequence: self.event_sequence?, position: event.position(), id: event.id() })
    }

    /// What is missing in a stream, if anything is.
    pub(super) fn missing(&self, created: i64, last_sequence: u64) -> Option<String> {
        if self.created != created {
            Some("it was made anew".to_owned())
        } else if last_sequence < self.sequence {
            Some(format!("it ends at its message {last_sequence}, and had {} acknowledged", self.sequence))
        } else {
            None
        }
    }
}
