//! The opaque cursor of a list: where the next page begins.

use std::borrow::Cow;

use order_application::Position;

/// Marks the kind of list that a cursor is for, so that one of another kind is noticed.
const PLACEMENT_ORDER: &str = "p";

/// What is said of a cursor that was never handed out.
pub(crate) const NOT_OURS: &str = "must be taken from the link of an earlier page";

/// The cursor of what follows an order that was placed at this position.
pub(crate) fn after(placed: Position) -> String {
    format!("{PLACEMENT_ORDER}{:x}", placed.0)
}

/// Reads a cursor back.
pub(crate) fn read(text: &str) -> Result<Position, Cow<'static, str>> {
    let position = text.strip_prefix(PLACEMENT_ORDER).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    // Written back, so that there is one cursor for one place: no sign, no leading zero.
    position.map(Position).filter(|position| after(*position) == text).ok_or(NOT_OURS.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_nothing_else_is() {
        for position in [0, 1, u64::MAX] {
            assert_eq!(read(&after(Position(position))), Ok(Position(position)));
        }
        for other in ["", "p", "1", "p01", "p+1", "pG", "q1", "p10000000000000000"] {
            assert!(read(other).is_err(), "{other}");
        }
    }
}
