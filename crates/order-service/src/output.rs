//! Standard output of the commands that do not serve.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};

use anyhow::Context;

/// Whether whoever reads it reads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    Present,
    /// It has seen enough, which is no failure.
    Gone,
}

/// Writes text as it is.
///
/// # Errors
/// Standard output cannot be written to: a full disk, perhaps.
pub(crate) fn write(text: &str) -> anyhow::Result<Reader> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
        written => written.map(|()| Reader::Present).context("cannot write to standard output"),
    }
}

/// Writes a line.
///
/// # Errors
/// As [`write()`].
pub(crate) fn print(line: &str) -> anyhow::Result<()> {
    write(&format!("{line}\n")).map(|_| ())
}

/// Writes a line to standard error, and waits until it is there.
///
/// # Errors
/// Standard error cannot be written to.
pub(crate) fn print_aside(line: &str) -> anyhow::Result<()> {
    writeln!(io::stderr().lock(), "{line}").context("cannot write to standard error")
}

/// A text that came from elsewhere, for a terminal: what would move the cursor, change colours or turn the direction of writing
/// stands as `\u{1b}`.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            // To write to a string cannot fail.
            let _ = write!(shown, "{}", c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown.into()
}

/// Control characters, and those that order others (Unicode's Bidi_Control).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(shown("ord-1 Grüße"), "ord-1 Grüße");
        assert_eq!(shown("\u{1b}[2Jgone\n"), "\\u{1b}[2Jgone\\u{a}");
        assert_eq!(shown("a\u{202e}b"), "a\\u{202e}b");
    }
}
