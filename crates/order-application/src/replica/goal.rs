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
    /// The broker has so many messages more than were delivered.
    pub(super) fn set(&mut self, delivered: u64, behind: u64) {
        if *self == Self::Unknown {
            *self = Self::Delivered(delivered + behind);
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
