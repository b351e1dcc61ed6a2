//! What adapters remember in checkpoints and bookmarks, as JSON.

use serde::Serialize;

/// For types of numbers, texts, ids, and lists and maps of them.
pub(crate) fn to_json(value: &impl Serialize) -> Box<str> {
    match serde_json::to_string(value) {
        Ok(text) => text.into_boxed_str(),
        Err(error) => unreachable!("invariant: evidence and bookmarks can be written as JSON: {error}"),
    }
}
