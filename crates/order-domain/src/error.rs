//! Why an order refuses a command. Nothing happened when one of these is answered.

use crate::values::money::{Cents, MoneyError};

/// A refusal. The text is meant for the client; the variant is what programs go by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// There is no such order.
    #[error("no such order")]
    NotFound,
    /// The order has no such return.
    #[error("the order has no such return")]
    ReturnNotFound,
    /// The client's id was used before, with other content.
    #[error("the {id} is already taken by a request with other content")]
    IdReused {
        /// Which of its ids, as bodies name it.
        id: &'static str,
    },
    /// The order's state forbids it.
    #[error(transparent)]
    InTheWay(#[from] Obstacle),
    /// More money than is due and not covered.
    #[error("{requested} is more than the {available} that is due and not covered yet")]
    AmountExceedsDue {
        /// What was asked for.
        requested: Cents,
        /// What would be allowed.
        available: Cents,
    },
    /// More money than open authorisations stand for.
    #[error("{requested} is more than the {available} that is authorised and still open")]
    AmountExceedsAuthorized {
        /// What was asked for.
        requested: Cents,
        /// What would be allowed.
        available: Cents,
    },
    /// More money than was captured and not refunded.
    #[error("{requested} is more than the {available} that is captured and not refunded yet")]
    AmountExceedsCaptured {
        /// What was asked for.
        requested: Cents,
        /// What would be allowed.
        available: Cents,
    },
    /// More units than there are.
    #[error("{}", units_exceed(*requested, *available))]
    QuantityExceedsAvailable {
        /// What was asked for.
        requested: u64,
        /// What would be allowed.
        available: u64,
    },
    /// Something that the order does not have. Its name may be a customer's, and whoever asked knows it: the text is without.
    #[error("the order has no {}", unknown_part(part, name))]
    UnknownReference {
        /// What kind of part.
        part: &'static str,
        /// Its name, as the command gave it.
        name: String,
    },
    /// An amount of nothing where something is to be paid.
    #[error("an amount of 0 is only allowed for an order whose total is 0")]
    ZeroAmount,
    /// The order had more than one parcel, and the command does not say which is meant.
    #[error("the order had more than one parcel, so the tracking number is needed")]
    WhichParcel,
    /// Lines and adjustments do not add up to a valid total.
    #[error("{0}")]
    InvalidTotal(&'static str),
}

/// A line is named by its number, which is nobody's.
fn unknown_part(part: &str, name: &str) -> String {
    if part == "line" { format!("line {name}") } else { format!("{part} of that name") }
}

fn units_exceed(requested: u64, available: u64) -> String {
    let units = if requested == 1 { "unit is" } else { "units are" };
    let are = if available == 1 { "is" } else { "are" };
    format!("{requested} {units} more than the {available} that {are} available")
}

/// What in an order's state stands in a command's way. Each command has its own as constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Obstacle {
    /// What programs tell apart.
    pub kind: ObstacleKind,
    /// A sentence without its full stop.
    text: &'static str,
}

/// The kinds of [`Obstacle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObstacleKind {
    /// What was asked for does not fit what happened to the order.
    State,
    /// The order is held back.
    OnHold,
    /// Everything that could be cancelled has been shipped.
    AlreadyShipped,
    /// The order has as many entries as it may have.
    Full,
}

impl Obstacle {
    /// The order is held back.
    pub const ON_HOLD: Self = Self {
        kind: ObstacleKind::OnHold,
        text: "the order is on hold, which stops reserving, shipping, capturing and completing",
    };

    /// There is no room for another event, or none for an event that does not lead to the order's end.
    pub const HISTORY_FULL: Self = Self::full("the order has as many events as an order may have");

    /// What would happen has too many parts.
    pub const EVENT_FULL: Self = Self::full("what would happen is more than one event may hold");

    pub(crate) const fn state(text: &'static str) -> Self {
        Self { kind: ObstacleKind::State, text }
    }

    pub(crate) const fn full(text: &'static str) -> Self {
        Self { kind: ObstacleKind::Full, text }
    }

    pub(crate) const fn already_shipped(text: &'static str) -> Self {
        Self { kind: ObstacleKind::AlreadyShipped, text }
    }
}

impl From<MoneyError> for OrderError {
    fn from(_: MoneyError) -> Self {
        Self::InvalidTotal("lines and adjustments must add up to at most 9007199254740991 minor units")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_unit_is_and_more_are() {
        let text =
            |requested, available| OrderError::QuantityExceedsAvailable { requested, available }.to_string();
        assert_eq!(text(1, 0), "1 unit is more than the 0 that are available");
        assert_eq!(text(2, 1), "2 units are more than the 1 that is available");
        assert_eq!(text(8, 7), "8 units are more than the 7 that are available");
    }
}
