//! Text that clients give: ids, names, metadata. A value of one of these types is valid wherever it is.
//!
//! All are cheap to clone (a reference count), since an id travels from the command to events, ledgers and views.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Most characters of an id or a name.
pub const MAX_TEXT_CHARS: usize = 128;
/// Most characters of a reason.
pub const MAX_REASON_CHARS: usize = 1_000;
/// Most pairs in an order's metadata.
pub const MAX_METADATA_PAIRS: usize = 50;
/// Most characters of the key of a pair.
pub const MAX_METADATA_KEY_CHARS: usize = 40;
/// Most characters of the value of a pair.
pub const MAX_METADATA_VALUE_CHARS: usize = 500;

/// Why a text is not an id, a name or a metadata pair.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// No character at all.
    #[error("must not be empty")]
    Empty,
    /// More characters than allowed.
    #[error("must have at most {max_chars} characters")]
    TooLong {
        /// The most characters that are allowed.
        max_chars: usize,
    },
    /// A control character (Unicode category Cc), NUL and newlines among them.
    #[error("must not contain control characters")]
    ControlCharacter,
    /// White space at the beginning or the end: a retry that trims it would name something else.
    #[error("must not begin or end with white space")]
    WhiteSpaceAtEnd,
    /// Nothing that people can see.
    #[error("must have something visible in it")]
    Invisible,
    /// A character that cannot stand in a path segment unescaped, or the segments `.` and `..`.
    #[error("must be made of A-Z a-z 0-9 . _ ~ : - and must not be '.' or '..'")]
    NotPathSafe,
    /// More metadata pairs than allowed.
    #[error("must have at most {MAX_METADATA_PAIRS} pairs")]
    TooManyPairs,
}

fn check_length(text: &str, max_chars: usize) -> Result<(), TextError> {
    // Bytes bound characters from above, so the common short ASCII text needs no count.
    if text.len() > max_chars && text.chars().count() > max_chars {
        return Err(TextError::TooLong { max_chars });
    }
    Ok(())
}

/// A name that people read and programs compare.
fn check_name(text: &str, max_chars: usize) -> Result<(), TextError> {
    check_length(text, max_chars)?;
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    // The common text is made of letters, digits and punctuation of ASCII, and needs no closer look.
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    if text.chars().any(char::is_control) {
        return Err(TextError::ControlCharacter);
    }
    if text.trim() != text {
        return Err(TextError::WhiteSpaceAtEnd);
    }
    if text.chars().all(is_invisible) {
        return Err(TextError::Invisible);
    }
    Ok(())
}

/// White space, and what Unicode says to draw nothing for (`Default_Ignorable_Code_Point` in DerivedCoreProperties.txt of
/// Unicode 17), or draws empty (U+2800).
const fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

fn check_text(text: &str) -> Result<(), TextError> {
    check_name(text, MAX_TEXT_CHARS)
}

fn check_reason(text: &str) -> Result<(), TextError> {
    check_name(text, MAX_REASON_CHARS)
}

/// Ids that travel in paths: unreserved characters of RFC 3986 and `:`, so that no client has to escape them.
fn check_path_id(text: &str) -> Result<(), TextError> {
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    let safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b':' | b'-');
    if !text.bytes().all(safe) || text == "." || text == ".." {
        return Err(TextError::NotPathSafe);
    }
    if text.len() > MAX_TEXT_CHARS {
        return Err(TextError::TooLong { max_chars: MAX_TEXT_CHARS });
    }
    Ok(())
}

/// The value of a metadata pair: notes may have more than one line.
fn check_note(text: &str) -> Result<(), TextError> {
    check_length(text, MAX_METADATA_VALUE_CHARS)?;
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(TextError::ControlCharacter);
    }
    Ok(())
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident checked by $check:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks the text.
            ///
            /// # Errors
            /// A [`TextError`] that says what is wrong with it.
            pub fn new(text: impl AsRef<str>) -> Result<Self, TextError> {
                text.as_ref().parse()
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                $check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &self.0)
            }
        }
    };
}

text_type!(
    /// Names an order, and its stream: 1 to 128 of `A-Z a-z 0-9 . _ ~ : -`, not `.` or `..`.
    OrderId checked by check_path_id
);
text_type!(
    /// Who ordered: 1 to 128 characters, none of them a control character, no white space at either end, something visible
    /// in it, as are the ids below.
    CustomerId checked by check_text
);
text_type!(
    /// The client's name for one payment of an order.
    PaymentId checked by check_text
);
text_type!(
    /// The client's name for one void of a payment.
    VoidId checked by check_text
);
text_type!(
    /// The client's name for one capture.
    CaptureId checked by check_text
);
text_type!(
    /// The client's name for one refund.
    RefundId checked by check_text
);
text_type!(
    /// The client's name for one reservation of an order.
    ReservationId checked by check_text
);
text_type!(
    /// The client's name for one cancellation of units.
    CancellationId checked by check_text
);
text_type!(
    /// The client's name for one return: it travels in paths, as an [`OrderId`] does.
    ReturnId checked by check_path_id
);
text_type!(
    /// Why something was done, for people: 1 to 1,000 characters.
    Reason checked by check_reason
);
text_type!(
    /// The carrier's name for a parcel.
    TrackingNumber checked by check_text
);
text_type!(
    /// Who carries a parcel.
    Carrier checked by check_text
);
text_type!(
    /// What is sold, by the shop's stock keeping unit.
    Sku checked by check_text
);
text_type!(
    /// What an adjustment is called on the bill.
    Label checked by check_text
);

/// The client's own notes on an order: at most 50 pairs, keys to 40 and values to 500 characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata(Vec<(Arc<str>, Arc<str>)>);

impl Metadata {
    /// Checks the pairs; their order is kept.
    ///
    /// # Errors
    /// The [`TextError`] of the first pair that breaks a limit, with its index (0 when there are too many).
    pub fn new<K: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, (usize, TextError)> {
        let mut checked = Vec::new();
        for (index, (key, value)) in pairs.into_iter().enumerate() {
            if index == MAX_METADATA_PAIRS {
                return Err((0, TextError::TooManyPairs));
            }
            let (key, value) = (key.as_ref(), value.as_ref());
            check_name(key, MAX_METADATA_KEY_CHARS).map_err(|e| (index, e))?;
            check_note(value).map_err(|e| (index, e))?;
            checked.push((key.into(), value.into()));
        }
        Ok(Self(checked))
    }

    /// The pairs in the order given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (&**k, &**v))
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both hold the same pairs, in whatever order: JSON objects have none.
    pub fn same_pairs(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().all(|pair| other.0.contains(pair))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_id_is_safe_in_a_path() {
        for good in ["ord-001", "a", "A.b_c~d:e-9", "...", &"x".repeat(128)] {
            assert!(OrderId::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "ä", "a\0", "a%2Fb", &"x".repeat(129)] {
            assert!(OrderId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn other_text_counts_characters_not_bytes_and_has_no_control_characters() {
        assert!(Sku::new("ü".repeat(128)).is_ok());
        assert_eq!(Sku::new("ü".repeat(129)), Err(TextError::TooLong { max_chars: 128 }));
        assert_eq!(Sku::new("a\nb"), Err(TextError::ControlCharacter));
        assert_eq!(Sku::new("a\u{85}b"), Err(TextError::ControlCharacter));
        assert_eq!(Sku::new(""), Err(TextError::Empty));
    }

    #[test]
    fn a_name_has_no_white_space_at_its_ends_and_something_visible_in_it() {
        for good in ["a b", "Müller & Söhne", "\u{2764}\u{fe0f}", "a\u{200d}b", "x\u{a0}y"] {
            assert!(Carrier::new(good).is_ok(), "{good:?}");
        }
        for bad in [" a", "a ", "\u{a0}a", "a\u{3000}", " ", "\u{2003}"] {
            assert_eq!(Carrier::new(bad), Err(TextError::WhiteSpaceAtEnd), "{bad:?}");
        }
        for bad in ["\u{200b}", "\u{ad}\u{2060}", "\u{200d} \u{200d}", "\u{2800}", "\u{e0041}"] {
            assert_eq!(Carrier::new(bad), Err(TextError::Invisible), "{bad:?}");
        }
    }

    #[test]
    fn only_values_of_metadata_have_more_than_one_line() {
        assert!(Metadata::new([("note", "one\r\n\ttwo"), ("empty", "")]).is_ok());
        assert_eq!(Metadata::new([("a\nb", "")]), Err((0, TextError::ControlCharacter)));
        assert_eq!(Metadata::new([("note", "\0")]), Err((0, TextError::ControlCharacter)));
        assert_eq!(Metadata::new([("", "")]), Err((0, TextError::Empty)));
    }

    #[test]
    fn metadata_has_bounds_and_compares_without_order() {
        let pairs = |n: usize| (0..n).map(|i| (format!("k{i}"), "v"));
        assert!(Metadata::new(pairs(50)).is_ok());
        assert_eq!(Metadata::new(pairs(51)), Err((0, TextError::TooManyPairs)));
        assert_eq!(Metadata::new([("k", "v".repeat(501))]), Err((0, TextError::TooLong { max_chars: 500 })));
        let ab = Metadata::new([("a", "1"), ("b", "2")]).unwrap();
        assert!(ab.same_pairs(&Metadata::new([("b", "2"), ("a", "1")]).unwrap()));
        assert!(!ab.same_pairs(&Metadata::new([("b", "2"), ("a", "2")]).unwrap()));
    }
}
