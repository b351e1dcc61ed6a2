//! Moments at which everything up to a position was in the topic.
//!
//! When a topic has lost its end, its last messages do not tell where that was: what was under way meanwhile may have come
//! behind the loss, from this relay or from one that was frozen. What does tell is a milestone whose messages are all in their
//! places: from there on it is read what the topic has without a gap (`remains.rs`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::evidence::Mark;

/// How far milestones are apart at least, in positions. So many messages and those that are under way are read, as a rule, when
/// an end is lost.
const APART: u64 = 25_000;

/// A moment at which everything up to a position was in the topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Milestone {
    pub(super) position: u64,
    /// Of each partition with any, a message with which or before which all of its events up to the position lie. What comes
    /// after the position was published behind them.
    pub(super) marks: BTreeMap<i32, Mark>,
}

/// Whether another milestone is due when everything up to this position is acknowledged. They go from the oldest to the newest.
pub(super) fn is_due(milestones: &[Milestone], acknowledged: u64) -> bool {
    acknowledged >= milestones.last().map_or(1, |newest| newest.position.saturating_add(APART))
}

/// Adds a milestone. The further they are back, the fewer are kept: as many as it takes to be at a sixteenth of the way back
/// at the worst.
pub(super) fn add(milestones: &mut Vec<Milestone>, newest: Milestone) {
    let mut kept: Vec<Milestone> = Vec::with_capacity(milestones.len() + 1);
    let mut distances = None;
    for milestone in milestones.drain(..).filter(|older| older.position < newest.position) {
        let distance = ((newest.position - milestone.position) / APART).max(1).ilog(4);
        // Of those that are about as far back, the oldest: another would never become old.
        if distances != Some(distance) {
            kept.push(milestone);
        }
        distances = Some(distance);
    }
    kept.push(newest);
    *milestones = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milestone(position: u64) -> Milestone {
        Milestone { position, marks: BTreeMap::new() }
    }

    #[test]
    fn the_first_is_due_at_once_and_the_next_after_a_while() {
        assert!(!is_due(&[], 0), "nothing is there");
        assert!(is_due(&[], 1));
        assert!(!is_due(&[milestone(7)], 6 + APART));
        assert!(is_due(&[milestone(7)], 7 + APART));
    }

    #[test]
    fn however_far_back_something_is_lost_a_milestone_is_not_much_further() {
        let mut milestones = Vec::new();
        let mut end = 1;
        while end < 100_000_000 {
            if is_due(&milestones, end) {
                add(&mut milestones, milestone(end));
            }
            assert!(milestones.len() <= 9, "{milestones:?}");
            assert!(milestones.is_sorted_by_key(|milestone| milestone.position));
            end += 10_000;
        }
        for lost in [10_000, 300_000, 4_000_000, 60_000_000] {
            let before = milestones.iter().rev().find(|milestone| milestone.position <= end - lost).unwrap();
            let behind = end - before.position;
            assert!(behind <= lost * 16 + 4 * APART, "{lost} lost, {behind} behind");
        }
    }

    #[test]
    fn what_was_published_again_takes_the_place_of_what_came_after_it() {
        let mut milestones = vec![milestone(10), milestone(500)];
        add(&mut milestones, milestone(300));
        assert_eq!(milestones, [milestone(10), milestone(300)]);
    }
}
