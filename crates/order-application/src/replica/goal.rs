use crate::event::Position;

/// What there is to be had before a replica has caught up: all that the broker had at one moment. More comes meanwhile,
/// so the end of it all is never reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// The broker was not asked yet.
    Unknown,
    /// So many messages have to be delivered.
    Delivered(u64),
    /// All up to here has to be applied.
    Applied(Position),
    /// There is nothing left of it.
    Reached,
}

impl Goal {
    /// The broker has so many messages more than were delivered. It may have counted some that are not there, such as
    /// those that somebody deleted, and finds out later.
    pub(super) fn set(&mut self, delivered: u64, behind: u64) {
        match self {
            Self::Unknown => *self = Self::Delivered(delivered + behind),
            Self::Delivered(count) => *count = (*count).min(delivered + behind),
            Self::Applied(_) | Self::Reached => {}
        }
    }

    /// Looks again. `highest` is the highest position that was delivered.
    pub(super) fn is_reached(&mut self, delivered: u64, highest: Position, applied: Position) -> bool {
        if let Self::Delivered(count) = *self
            && delivered >= count
        {
            *self = Self::Applied(highest);
        }
        if let Self::Applied(position) = *self
            && applied >= position
        {
            *self = Self::Reached;
        }
        *self == Self::Reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_later_is_not_waited_for() {
        let mut goal = Goal::Unknown;
        assert!(!goal.is_reached(0, Position(0), Position(0)), "nobody knows yet");
        goal.set(2, 3);
        assert!(!goal.is_reached(4, Position(4), Position(4)));
        goal.set(4, 900);
        assert!(!goal.is_reached(5, Position(5), Position(4)), "not all is applied");
        assert!(goal.is_reached(7, Position(7), Position(5)));
    }

    #[test]
    fn messages_that_turn_out_not_to_be_there_are_not_waited_for() {
        let mut goal = Goal::Unknown;
        goal.set(0, 10);
        goal.set(6, 0);
        assert!(goal.is_reached(6, Position(6), Position(6)));
    }
}
