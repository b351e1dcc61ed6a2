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
    /// It has more messages than one may look at that are no events: its last event may be behind them.
    pub(super) has_unseen: bool,
    /// Where the last event was that was acknowledged, there is another message.
    pub(super) is_replaced: bool,
}

/// An event in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastEvent {
    pub(super) sequence: u64,
    pub(super) position: Position,
    pub(super) id: Uuid,
}

/// An event, and its sequence if that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) event: AcknowledgedEvent,
    pub(super) sequence: Option<u64>,
}

/// What a checkpoint tells of its stream.
#[derive(Debug)]
pub(super) enum Evidence {
    None,
    Unreadable,
    Known(NatsEvidence),
}

impl Evidence {
    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        let Some(text) = &checkpoint.evidence else { return Self::None };
        serde_json::from_str(text).map_or(Self::Unreadable, Self::Known)
    }

    pub(super) fn known(&self) -> Option<&NatsEvidence> {
        if let Self::Known(evidence) = self { Some(evidence) } else { None }
    }
}

/// Where publication goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NatsResumption {
    pub(super) after: Position,
    /// The last event that the stream had acknowledged by the checkpoint.
    pub(super) acknowledged: Option<AcknowledgedEvent>,
    /// The last event that it has now; without any, the one that it had.
    pub(super) last: Option<Placed>,
    /// Something to tell whoever runs this.
    pub(super) notice: Option<String>,
}

/// Compares a stream with the checkpoint's position and evidence.
///
/// Messages that were purged or have grown too old are not missing: the stream's last sequence stays. A stream takes each of
/// our events behind the one before it and nowhere else, so its last one tells of all before it.
pub(super) fn resume(checkpoint: Position, evidence: Evidence, found: Found) -> NatsResumption {
    let last = found.last_event.map(|last| Placed {
        event: AcknowledgedEvent::new(last.position, last.id),
        sequence: Some(last.sequence),
    });
    let evidence = match evidence {
        Evidence::Known(evidence) => evidence,
        Evidence::None => {
            let (after, notice) = without_evidence(checkpoint, &found);
            return NatsResumption { after, acknowledged: None, last, notice };
        }
        Evidence::Unreadable => {
            let (after, notice) = with_unreadable_evidence(checkpoint, &found);
            return NatsResumption { after, acknowledged: None, last, notice };
        }
    };
    let acknowledged = evidence.event;
    // Whoever has moved a checkpoint forward has not published anything by that.
    let saved = checkpoint;
    let checkpoint = acknowledged.map_or(saved, |event| event.position().min(saved));
    let had = acknowledged.map(|event| Placed { event, sequence: evidence.event_sequence });
    let last = last.or(had);
    let replaced =
        || found.is_replaced.then(|| "it has another message where it had its last event".to_owned());
    let missing = evidence.missing(found.created, found.last_sequence).or_else(replaced);
    let Some(missing) = missing else {
        // What was acknowledged after the checkpoint was saved is not published again. A message that was there before says
        // nothing, and none does if the checkpoint was set back: what it had acknowledged is to come again.
        let is_set_back = acknowledged.is_some_and(|event| event.position() > checkpoint);
        let later = found
            .last_event
            .filter(|last| !is_set_back && last.sequence > evidence.sequence && last.position > checkpoint);
        let after = later.map_or(checkpoint, |last| last.position);
        let ahead = || {
            format!(
                "had acknowledged events up to {checkpoint} only, when its checkpoint was at {saved}: publishing what comes \
                 after {after}"
            )
        };
        return NatsResumption { after, acknowledged, last, notice: (after < saved).then(ahead) };
    };
    let after = found.last_event.map_or(Position::START, |last| last.position).min(checkpoint);
    let notice = Some(again(&missing, after, saved));
    NatsResumption { after, acknowledged, last, notice }
}

/// A stream that never had a message has nothing of what was published, and one whose last event is an earlier one lacks what
/// comes after that. One whose messages were all removed may have had everything.
fn without_evidence(checkpoint: Position, found: &Found) -> (Position, Option<String>) {
    let (after, missing) = match found.last_event {
        None if found.last_sequence == 0 => (Position::START, "it never had any"),
        None => (checkpoint, ""),
        Some(last) => (last.position.min(checkpoint), "its last event is an earlier one"),
    };
    (after, (after < checkpoint).then(|| again(missing, after, checkpoint)))
}

/// It may be another broker's, of a checkpoint with this name: what it says of positions is true only if the stream shows it.
fn with_unreadable_evidence(checkpoint: Position, found: &Found) -> (Position, Option<String>) {
    let after = found.last_event.map_or(Position::START, |last| last.position).min(checkpoint);
    let notice = format!(
        "is not compared with the checkpoint at {checkpoint}, whose evidence cannot be read: publishing what comes after {after}"
    );
    (after, Some(notice))
}

fn again(missing: &str, after: Position, checkpoint: Position) -> String {
    format!(
        "has lost messages ({missing}): publishing again what comes after the event {after}, instead of after {checkpoint}"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CREATED: i64 = 1_767_225_600_123_456_789;

    fn checkpoint(position: u64, sequence: u64) -> Checkpoint {
        let evidence = NatsEvidence { created: CREATED, sequence, event: None, event_sequence: None };
        Checkpoint { position: Position(position), evidence: Some(json!(evidence).to_string().into()) }
    }

    fn found(last_sequence: u64, last_position: Option<u64>) -> Found {
        let last_event = last_position.map(|position| LastEvent {
            sequence: last_sequence,
            position: Position(position),
            id: Uuid::nil(),
        });
        Found { created: CREATED, last_sequence, last_event, has_unseen: false, is_replaced: false }
    }

    fn after(checkpoint: &Checkpoint, found: Found) -> (u64, bool) {
        let resumption = resume(checkpoint.position, Evidence::of(checkpoint), found);
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
        assert_eq!(after(&checkpoint, found(500, None)), (20, false), "they were removed");
    }

    #[test]
    fn without_evidence_a_stream_that_cannot_have_all_is_given_it() {
        let checkpoint = Checkpoint { position: Position(20), evidence: None };
        assert_eq!(after(&checkpoint, found(0, None)), (0, true));
        assert_eq!(after(&checkpoint, found(12, Some(12))), (12, true));
        assert_eq!(after(&Checkpoint::default(), found(0, None)), (0, false), "a new one");
    }

    #[test]
    fn a_stream_that_others_have_filled_up_after_a_loss_is_given_it_again() {
        let filled_up = Found { is_replaced: true, ..found(90, Some(60)) };
        assert_eq!(after(&checkpoint(70, 70), filled_up), (60, true));
    }

    #[test]
    fn what_came_after_a_checkpoint_that_was_set_back_is_published_again_all_the_same() {
        let event = Some(AcknowledgedEvent::new(Position(70), Uuid::nil()));
        let evidence = NatsEvidence { created: CREATED, sequence: 70, event, event_sequence: Some(70) };
        let evidence = Some(json!(evidence).to_string().into());
        let set_back = Checkpoint { position: Position(9), evidence: evidence.clone() };
        assert_eq!(after(&set_back, found(80, Some(80))), (9, false));
        assert_eq!(after(&Checkpoint { position: Position(70), evidence }, found(80, Some(80))), (80, false));
    }

    #[test]
    fn a_checkpoint_that_was_moved_beyond_what_was_acknowledged_is_not_believed() {
        let event = Some(AcknowledgedEvent::new(Position(70), Uuid::nil()));
        let evidence = NatsEvidence { created: CREATED, sequence: 70, event, event_sequence: Some(70) };
        let moved = Checkpoint { position: Position(90), evidence: Some(json!(evidence).to_string().into()) };
        assert_eq!(after(&moved, found(70, Some(70))), (70, true));
        assert_eq!(after(&moved, found(70, None)), (70, true));
        assert_eq!(after(&moved, found(60, Some(60))), (60, true));
        assert_eq!(after(&moved, found(80, Some(80))), (80, true), "acknowledged, not yet saved");
    }

    #[test]
    fn evidence_that_cannot_be_read_says_nothing_of_what_the_stream_has() {
        let checkpoint = Checkpoint { position: Position(20), evidence: Some("{}".into()) };
        assert_eq!(after(&checkpoint, found(500, Some(500))), (20, true));
        assert_eq!(after(&checkpoint, found(12, Some(12))), (12, true));
        for none in [found(0, None), found(500, None)] {
            assert_eq!(after(&checkpoint, none), (0, true), "it may be another broker's");
        }
    }
}
