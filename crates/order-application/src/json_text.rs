//! Texts as JSON.

/// Writes a text as a JSON string, quotes included. Small answers are put together by hand: an id needs no serialiser.
pub fn push_string(out: &mut String, text: &str) {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
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
