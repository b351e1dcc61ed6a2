//! Where a reader begins.

use serde::{Deserialize, Serialize};

/// Where a reader has come to.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Bookmark {
    /// When the stream was made, in nanoseconds since 1970.
    pub(super) created: i64,
    /// The sequence that reading goes on with.
    pub(super) next: u64,
}

impl Bookmark {
    pub(super) fn to_text(&self) -> Box<str> {
        match serde_json::to_string(self) {
            Ok(text) => text.into_boxed_str(),
            Err(error) => unreachable!("invariant: two numbers can be written as JSON: {error}"),
        }
    }
}

/// The sequence to begin with, and what is to be said about it.
pub(super) fn start(bookmark: Option<&str>, created: i64, last_sequence: u64) -> (u64, Option<String>) {
    let Some(text) = bookmark else { return (1, None) };
    let why = match serde_json::from_str::<Bookmark>(text) {
        Err(_) => "the bookmark cannot be read".to_owned(),
        Ok(bookmark) if bookmark.created != created => "it was made anew".to_owned(),
        Ok(bookmark) if bookmark.next > last_sequence + 1 => {
            format!("it ends at its message {last_sequence}, and {} would be the next", bookmark.next)
        }
        Ok(bookmark) => return (bookmark.next.max(1), None),
    };
    (1, Some(format!("{why}: it is read from its beginning")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bookmark_of_another_stream_begins_anew() {
        let bookmark = Bookmark { created: 7, next: 5 }.to_text();
        let start = |created, last_sequence| {
            let (next, notice) = start(Some(&bookmark), created, last_sequence);
            (next, notice.is_some())
        };
        assert_eq!(start(7, 9), (5, false));
        assert_eq!(start(7, 4), (5, false), "all is read");
        assert_eq!(start(7, 3), (1, true), "it has become shorter");
        assert_eq!(start(8, 9), (1, true), "it was made anew");
        assert_eq!(super::start(None, 7, 9), (1, None));
        assert_eq!(super::start(Some("{}"), 7, 9).0, 1);
    }
}
