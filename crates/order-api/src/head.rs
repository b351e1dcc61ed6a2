//! Answers to requests whose head is at fault. They never reach the router, so whoever serves connections gives them.

use axum::response::Response;

use crate::answer;
use crate::problem::Problem;
use crate::problem::kind::{BODY_TOO_LARGE, HEADERS_TOO_LARGE, MALFORMED_REQUEST, REQUEST_TIMEOUT};

/// What is wrong with a request's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadFault {
    /// It is not HTTP.
    Malformed,
    /// It has no `Host` field, or more than one (RFC 9112, 3.2).
    NotOneHost,
    /// Its body comes in another encoding than chunks, or twice in them (RFC 9112, 6.1).
    NotInChunks,
    /// It is longer than the service takes.
    TooLarge,
    /// It announces a body of more bytes than can be counted.
    BodyTooLarge,
    /// It did not arrive in time.
    TooSlow,
    /// It is not encrypted, at an address where TLS is spoken.
    NotEncrypted,
}

impl HeadFault {
    fn problem(self) -> Problem {
        let (kind, detail) = match self {
            Self::Malformed => (&MALFORMED_REQUEST, "The request line or a header field is not HTTP."),
            Self::NotOneHost => (&MALFORMED_REQUEST, "The request must have exactly one Host field."),
            Self::NotInChunks => (&MALFORMED_REQUEST, "The only Transfer-Encoding is chunked, once."),
            Self::BodyTooLarge => (&BODY_TOO_LARGE, "The body is longer than any that is taken."),
            Self::TooLarge => (&HEADERS_TOO_LARGE, "The request line and header fields are too long."),
            Self::NotEncrypted => (&MALFORMED_REQUEST, "This address speaks TLS: use https://."),
            Self::TooSlow => (&REQUEST_TIMEOUT, "The request's head did not arrive in time."),
        };
        Problem::new(kind, detail)
    }

    /// The answer to a request for `path`, whose head could be read all the same.
    pub fn response(self, path: &str) -> Response {
        self.problem().into_response(path)
    }

    /// The whole HTTP/1.1 answer (RFC 9112), after which the connection is closed.
    pub fn answer(self) -> Vec<u8> {
        let problem = self.problem();
        let (status, document) = (problem.kind.status, answer::json_text(&problem));
        let head = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            status.as_str(),
            status.canonical_reason().unwrap_or_default(),
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
            (HeadFault::Malformed, "HTTP/1.1 400 Bad Request\r\n", "malformed-request"),
            (HeadFault::NotEncrypted, "HTTP/1.1 400 Bad Request\r\n", "malformed-request"),
            (HeadFault::BodyTooLarge, "HTTP/1.1 413 Payload Too Large\r\n", "body-too-large"),
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
