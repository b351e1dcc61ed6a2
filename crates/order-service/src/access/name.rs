//! Names that stand in events (`actor`), and in the output.

use order_domain::{Reason, TextError};

/// Holds a name to the rules of all text that clients give.
pub(super) fn check(name: &str, max_chars: usize) -> Result<(), TextError> {
    if name.chars().count() > max_chars {
        return Err(TextError::TooLong { max_chars });
    }
    // Of what has these rules, this has the most room.
    Reason::new(name).map(drop)
}
