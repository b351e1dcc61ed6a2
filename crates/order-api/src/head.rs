//! Answers to requests whose head cannot be read. They never reach the router, so whoever serves connections writes them.

use crate::problem::Problem;
use crate::problem::kind::{HEADERS_TOO_LARGE, REQUEST_TIMEOUT};

/// What is wrong with a request's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadFault {
    /// It is longer than the service takes.
    TooLarge,
    /// It did not arrive in time.
    TooSlow,
}

impl HeadFault {
    /// The whole HTTP/1.1 answer (RFC 9112), after which the connection is closed.
    pub fn answer(self) -> Vec<u8> {
        let (kind, detail) = match self {
            Self::TooLarge => (&HEADERS_TOO_LARGE, "The request line and header fields are too long."),
            Self::TooSlow => (&REQUEST_TIMEOUT, "The request's head did not arrive in time."),
        };
        let document = Problem::new(kind, detail).document(None);
        let head = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            kind.status.as_str(),
            kind.status.canonical_reason().unwrap_or_default(),
            document.len(),
        );
        [head.into_bytes(), document].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_a_problem_document_of_the_length_it_says() {
        for (fault, status, code) in [
            (HeadFault::TooLarge, "HTTP/1.1 431 Request Header Fields Too Large\r\n", "headers-too-large"),
            (HeadFault::TooSlow, "HTTP/1.1 408 Request Timeout\r\n", "request-timeout"),
        ] {
            let answer = String::from_utf8(fault.answer()).unwrap();
            let (head, document) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(status.trim_end()), "{head}");
            assert!(head.contains(&format!("content-length: {}\r\n", document.len())), "{head}");
            let document: serde_json::Value = serde_json::from_str(document).unwrap();
            assert_eq!(document["code"], code);
        }
    }
}
