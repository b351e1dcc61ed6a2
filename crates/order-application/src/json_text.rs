//! Texts as JSON.

/// Writes a text as a JSON string, quotes included. Small answers are put together by hand: an id needs no serialiser.
pub fn push_string(out: &mut String, text: &str) {
    if is_plain(text) {
        out.reserve(text.len() + 2);
        out.push('"');
        out.push_str(text);
        out.push('"');
        return;
    }
    match serde_json::to_string(text) {
        Ok(escaped) => out.push_str(&escaped),
        Err(e) => unreachable!("invariant: every text can be written as a JSON string: {e}"),
    }
}

/// Whether JSON has the text as it stands. Looks at every byte, whatever the others are, so that the compiler can have many
/// looked at at once.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |plain, byte| plain & (byte >= b' ') & (byte != b'"') & (byte != b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_reserves_is_escaped() {
        for text in ["", "plain", "ü🙂", "\"", "a\\b", "\0\u{1f}\n", "</script>"] {
            let mut out = String::new();
            push_string(&mut out, text);
            assert_eq!(out, serde_json::to_string(text).unwrap());
        }
    }
}
