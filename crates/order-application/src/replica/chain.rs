//! Whether messages continue the log that this replica is a copy of: each names the event before it.

use uuid::Uuid;

use super::OtherLog;
use crate::cloud_event::PublishedEvent;
use crate::event::{Position, RecordedEvent};

/// Events that continue the log, as far as their messages tell.
pub(super) struct Chain {
    /// The position before the first of them.
    pub(super) after: Position,
    pub(super) links: Vec<Link>,
    /// What is wrong with the event after the last of them, which is left out with all that follow on it.
    pub(super) broken: Option<OtherLog>,
}

/// An event of a chain.
pub(super) struct Link {
    pub(super) event: RecordedEvent,
    /// Whether its message names the event before it. If so, it is of this log whatever else it says.
    pub(super) is_proved: bool,
}

impl Chain {
    /// Takes messages without a gap between them, the first right after `after`, where the replica has the event with the
    /// id `id`; `None` at the start of the log.
    pub(super) fn of(messages: Vec<PublishedEvent>, after: Position, id: Option<Uuid>) -> Self {
        let mut chain = Self { after, links: Vec::with_capacity(messages.len()), broken: None };
        let mut before = id;
        for PublishedEvent { event, previous_id } in messages {
            if previous_id.is_some() && previous_id != before {
                chain.broken = Some(OtherLog::another_event_before(event.position, previous_id, before));
                break;
            }
            // Nothing comes before the first position, so nothing is named there.
            let is_proved = previous_id == before;
            before = Some(event.id);
            chain.links.push(Link { event, is_proved });
        }
        chain
    }
}
