//! As much of HTTP/1.1 as a load generator must read: the status and where the answer ends.

use anyhow::{Context, Result, bail};

/// The head of an answer that has fully arrived.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Status line and header fields with the empty line that ends them.
    pub(crate) head_bytes: usize,
    pub(crate) body_bytes: usize,
}

impl Head {
    /// The whole answer.
    pub(crate) fn answer_bytes(&self) -> usize {
        self.head_bytes + self.body_bytes
    }

    /// Whether the answer counts.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// Reads the head at the beginning of `bytes`; `None` while its end has not arrived.
///
/// # Errors
///
/// When the bytes are no HTTP/1.1 answer, or one without `Content-Length`: chunked answers are not understood.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Option<Head>> {
    let mut lines = Lines { bytes, at: 0 };
    let Some(status_line) = lines.next() else { return Ok(None) };
    let status = parse_status(status_line)?;
    let mut body_bytes = None;
    while let Some(line) = lines.next() {
        if line.is_empty() {
            let Some(body_bytes) = body_bytes.or((status == 204).then_some(0)) else {
                bail!("an answer without Content-Length");
            };
            return Ok(Some(Head { status, head_bytes: lines.at, body_bytes }));
        }
        if let Some(value) = value_of(line, b"content-length:") {
            let value = std::str::from_utf8(value).context("Content-Length")?;
            body_bytes = Some(value.trim().parse().with_context(|| format!("Content-Length {value:?}"))?);
        }
    }
    Ok(None)
}

/// The lines that have arrived whole, without their CR LF.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        self.at += end + 1;
        let line = &rest[..end];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

fn parse_status(line: &[u8]) -> Result<u16> {
    match line {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'1', b' ', a @ b'1'..=b'5', b, c, ..]
            if b.is_ascii_digit() && c.is_ascii_digit() =>
        {
            Ok([a, b, c].into_iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0')))
        }
        _ => bail!("not an HTTP/1.1 status line: {:?}", String::from_utf8_lossy(line)),
    }
}

fn value_of<'a>(line: &'a [u8], lower_case_name: &[u8]) -> Option<&'a [u8]> {
    let (name, value) = line.split_at_checked(lower_case_name.len())?;
    name.eq_ignore_ascii_case(lower_case_name).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACED: &[u8] = b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 22\r\n\
        etag: \"1\"\r\n\r\n{\"order_id\":\"ord-001\"}";

    #[test]
    fn a_whole_answer_ends_where_content_length_says() {
        let head = parse_head(PLACED).unwrap().unwrap();
        assert_eq!(head.status, 201);
        assert_eq!(head.answer_bytes(), PLACED.len());
        assert!(head.is_success());
    }

    #[test]
    fn however_the_head_is_split_it_is_awaited() {
        let head_bytes = PLACED.len() - 22;
        for arrived in 0..head_bytes {
            assert_eq!(parse_head(&PLACED[..arrived]).unwrap(), None, "after {arrived} bytes");
        }
        for arrived in head_bytes..=PLACED.len() {
            let head = parse_head(&PLACED[..arrived]).unwrap().unwrap();
            assert_eq!((head.head_bytes, head.body_bytes), (head_bytes, 22));
        }
    }

    #[test]
    fn the_header_name_is_read_in_any_case() {
        let head = parse_head(b"HTTP/1.1 200 OK\r\nCONTENT-Length:5\r\n\r\n").unwrap().unwrap();
        assert_eq!(head.body_bytes, 5);
    }

    #[test]
    fn no_content_has_no_body() {
        let head = parse_head(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap();
        assert_eq!(head.answer_bytes(), head.head_bytes);
    }

    #[test]
    fn refusals_and_faults_are_no_success() {
        for status in ["199", "300", "404", "503"] {
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
            assert!(!parse_head(answer.as_bytes()).unwrap().unwrap().is_success(), "{status}");
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for answer in [
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\n",
            "HTTP/1.1 2x0 OK\r\n\r\n",
            "SSH-2.0-server\r\n",
        ] {
            assert!(parse_head(answer.as_bytes()).is_err(), "{answer}");
        }
    }
}
