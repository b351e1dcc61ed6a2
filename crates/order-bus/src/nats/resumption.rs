//! Where to go on, by what a stream shows and what it would have to show.

use order_application::{Checkpoint, Position};
use uuid::Uuid;

use super::evidence::NatsEvidence;
use crate::send_window::AcknowledgedEvent;

/// A stream as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) created: i64,
    pub(super) last_sequence: u64,
    /// The last of our events in it.
    pub(super) last_event: Option<LastEvent>,
}

/// An event in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastEvent {
    pub(super) sequence: u64,
    pub(super) position: Position,
    pub(super) id: Uuid,
}

/// Where publication goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NatsResumption {
    pub(super) after: Position,
    /// The last event that the stream had acknowledged by the checkpoint.
    pub(super) acknowledged: Option<AcknowledgedEvent>,
    /// Something to tell whoever runs this.
    pub(super) notice: Option<String>,
}

/// Compares a stream with the checkpoint.
///
/// Messages that were purged or have grown too old are not missing: the stream's last sequence stays.
pub(super) fn resume(checkpoint: &Checkpoint, found: Found) -> NatsResumption {
    let from_checkpoint = |notice| NatsResumption { after: checkpoint.position, acknowledged: None, notice };
    let Some(text) = &checkpoint.evidence else { return from_checkpoint(None) };
    let Ok(evidence) = serde_json::from_str::<NatsEvidence>(text) else {
        let notice = "is not compared with the checkpoint, whose evidence cannot be read".to_owned();
        return from_checkpoint(Some(notice));
    };
    let Some(missing) = evidence.missing(found.created, found.last_sequence) else {
        // What was acknowledged after the checkpoint was saved is not published again. A message that was there before
        // says nothing: the checkpoint may have been set back.
        let later = found
            .last_event
            .filter(|last| last.sequence > evidence.sequence && last.position > checkpoint.position);
        let after = later.map_or(checkpoint.position, |last| last.position);
        return NatsResumption { after, acknowledged: evidence.event, notice: None };
    };
    let last = found.last_event.map_or(Position::START, |last| last.position);
    let after = last.min(checkpoint.position);
    let notice = format!(
        "has lost messages ({missing}): publishing again what comes after the event {after}, instead of after {}",
        checkpoint.position
    );
    NatsResumption { after, acknowledged: evidence.event, notice: Some(notice) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CREATED: i64 = 1_767_225_600_123_456_789;

    fn checkpoint(position: u64, sequence: u64) -> Checkpoint {
        let evidence = NatsEvidence { created: CREATED, sequence, event: None };
        Checkpoint { position: Position(position), evidence: Some(json!(evidence).to_string().into()) }
    }

    fn found(last_sequence: u64, last_position: Option<u64>) -> Found {
        let last_event = last_position.map(|position| LastEvent {
            sequence: last_sequence,
            position: Position(position),
            id: Uuid::nil(),
        });
        Found { created: CREATED, last_sequence, last_event }
    }

    fn after(checkpoint: &Checkpoint, found: Found) -> (u64, bool) {
        let resumption = resume(checkpoint, found);
        (resumption.after.0, resumption.notice.is_some())
    }

    #[test]
    fn a_stream_that_has_all_goes_on_after_its_last_event() {
        assert_eq!(after(&checkpoint(70, 70), found(70, Some(70))), (70, false));
        assert_eq!(
            after(&checkpoint(70, 70), found(80, Some(80))),
            (80, false),
            "acknowledged, not yet saved"
        );
        assert_eq!(after(&checkpoint(70, 90), found(90, None)), (70, false), "purged, or somebody else's");
        let before_others = LastEvent { sequence: 93, position: Position(73), id: Uuid::nil() };
        let found_before_others = Found { last_event: Some(before_others), ..found(99, None) };
        assert_eq!(after(&checkpoint(70, 90), found_before_others), (73, false));
        assert_eq!(
            after(&checkpoint(0, 90), found(90, Some(90))),
            (0, false),
            "set back, and nothing sent yet"
        );
        assert_eq!(
            after(&checkpoint(70, 90), found(91, Some(40))),
            (70, false),
            "published by somebody else"
        );
    }

    #[test]
    fn a_stream_that_lost_messages_is_given_them_again() {
        assert_eq!(after(&checkpoint(70, 70), found(60, Some(60))), (60, true));
        assert_eq!(after(&checkpoint(70, 70), found(0, None)), (0, true));
        let anew = |found| Found { created: CREATED + 1, ..found };
        assert_eq!(after(&checkpoint(70, 70), anew(found(0, None))), (0, true));
        assert_eq!(after(&checkpoint(70, 70), anew(found(500, Some(90)))), (70, true));
        assert_eq!(after(&checkpoint(70, 70), anew(found(30, Some(30)))), (30, true));
    }

    #[test]
    fn without_evidence_all_after_the_checkpoint_is_published() {
        let checkpoint = Checkpoint { position: Position(20), evidence: None };
        assert_eq!(after(&checkpoint, found(500, Some(500))), (20, false));
    }

    #[test]
    fn evidence_that_cannot_be_read_is_none() {
        let checkpoint = Checkpoint { position: Position(20), evidence: Some("{}".into()) };
        assert_eq!(after(&checkpoint, found(500, Some(500))), (20, true));
    }
}
