//! The opaque cursor of a list: where the next page begins, and of which list.

use std::borrow::Cow;
use std::fmt::Write as _;

use order_application::{OrderFilter, Position, Sort, SortKey};

/// What is said of a cursor that was never handed out for the list that is asked for.
pub(crate) const NOT_OURS: &str =
    "must be taken from the link of an earlier page of the same list, with the same filters and sort";

/// Bytes of a filter's fingerprint that tell a list from another: enough to notice a mistake.
const FINGERPRINT_BYTES: usize = 4;

/// The cursor of what follows a place in a list.
pub(crate) fn after(place: Position, filter: &OrderFilter, sort: Sort) -> String {
    let mark = match sort.by {
        SortKey::Placed => "p",
        SortKey::Updated => "u",
    };
    let direction = if sort.descending { "-" } else { "" };
    let mut cursor = format!("{direction}{mark}{:x}", place.0);
    if !filter.is_empty() {
        cursor.push('.');
        for byte in &filter.fingerprint().as_bytes()[..FINGERPRINT_BYTES] {
            let _ = write!(cursor, "{byte:02x}");
        }
    }
    cursor
}

/// Reads a cursor back.
pub(crate) fn read(text: &str, filter: &OrderFilter, sort: Sort) -> Result<Position, Cow<'static, str>> {
    // Written back, so that there is one cursor for one place in one list: no sign, no leading zero, no other filter.
    place(text).filter(|place| after(*place, filter, sort) == text).ok_or(NOT_OURS.into())
}

/// Reads a cursor of a list that is not known, since something else in its request is at fault.
pub(crate) fn read_any(text: &str) -> Result<Position, Cow<'static, str>> {
    place(text).ok_or(NOT_OURS.into())
}

fn place(text: &str) -> Option<Position> {
    let marked = text.split_once('.').map_or(text, |(place, _)| place);
    let hex = marked.strip_prefix('-').unwrap_or(marked).strip_prefix(['p', 'u'])?;
    u64::from_str_radix(hex, 16).ok().map(Position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_for_its_list_and_for_no_other() {
        let all = OrderFilter::default();
        let held = OrderFilter { on_hold: Some(true), ..all.clone() };
        let lists: Vec<_> =
            [&all, &held].into_iter().flat_map(|filter| Sort::ALL.map(|sort| (filter, sort))).collect();
        for (index, (filter, sort)) in lists.iter().enumerate() {
            for place in [0, 1, u64::MAX].map(Position) {
                let cursor = after(place, filter, *sort);
                for (other, (filter, sort)) in lists.iter().enumerate() {
                    let read = read(&cursor, filter, *sort);
                    assert_eq!(read.ok(), (index == other).then_some(place), "{cursor}");
                }
            }
        }
    }

    #[test]
    fn what_was_never_handed_out_is_no_cursor() {
        let (all, sort) = (OrderFilter::default(), Sort::default());
        assert_eq!(after(Position(31), &all, sort), "p1f");
        for other in
            ["", "p", "1", "p01", "p+1", "pG", "q1", "pp1", "p1.", "p1.00000000", "p10000000000000000"]
        {
            assert!(read(other, &all, sort).is_err(), "{other}");
        }
    }
}
