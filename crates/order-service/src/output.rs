//! Standard output of the commands that do not serve.

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
