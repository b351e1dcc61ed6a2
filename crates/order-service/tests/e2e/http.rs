//! A small blocking HTTP/1.1 client that hides nothing: what was sent, what came back, and where it broke off.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// No answer takes this long.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// One keep-alive connection.
pub(crate) struct Client<S = TcpStream> {
    stream: S,
    received: Vec<u8>,
}

/// A complete response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("bodies are UTF-8")
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The `code` of a problem document.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The order's version, from the `ETag`.
    pub(crate) fn version(&self) -> Option<u64> {
        self.header("etag")?.trim_matches('"').parse().ok()
    }

    /// Whether the server announces that it closes the connection.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

impl Client {
    pub(crate) fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        stream.set_write_timeout(Some(READ_TIMEOUT))?;
        Ok(Self::over(stream))
    }

    /// For writing from one thread while another reads.
    pub(crate) fn writing_end(&self) -> TcpStream {
        self.stream.try_clone().expect("a socket can be cloned")
    }
}

impl<S: Read + Write> Client<S> {
    /// One that is connected already, by a socket or by what encrypts.
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, received: Vec::new() }
    }

    pub(crate) fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: e2e\r\n\r\n").as_bytes())?;
        self.answer()
    }

    pub(crate) fn post(&mut self, path: &str, body: &str) -> io::Result<Answer> {
        self.send(post(path, body).as_bytes())?;
        self.answer()
    }

    /// Bytes as they are, right or wrong.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next complete response; interim ones (1xx) are passed over. An error of kind [`ErrorKind::UnexpectedEof`] says
    /// that the connection ended before its last byte.
    pub(crate) fn answer(&mut self) -> io::Result<Answer> {
        loop {
            let (status, headers) = self.head()?;
            let mut answer = Answer { status, headers, body: Vec::new() };
            if (100..200).contains(&status) {
                continue;
            }
            if let Some(length) = answer.header("content-length") {
                let length = length.parse().map_err(|_| broken("content-length"))?;
                answer.body = self.take(length)?;
            } else if answer.header("transfer-encoding").is_some() {
                while let Some(chunk) = self.chunk()? {
                    answer.body.extend(chunk);
                }
            }
            return Ok(answer);
        }
    }

    /// Status and headers of the next response.
    pub(crate) fn head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let head = self.take_until(b"\r\n\r\n")?;
        let head = String::from_utf8(head).map_err(|_| broken("head"))?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let header = |line: &str| line.split_once(':').map(|(n, v)| (n.to_owned(), v.trim().to_owned()));
        Ok((status.ok_or_else(|| broken("status line"))?, lines.filter_map(header).collect()))
    }

    /// The next piece of a chunked body; `None` after the last.
    pub(crate) fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let size = self.take_until(b"\r\n")?;
        let size = std::str::from_utf8(&size).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        let mut chunk = self.take(size.ok_or_else(|| broken("chunk size"))? + 2)?;
        chunk.truncate(chunk.len() - 2);
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    /// Waits until the server closes the connection, and answers with what it sent before.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = std::mem::take(&mut self.received);
        self.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }

    fn take_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.received.windows(end.len()).position(|window| window == end) {
                let mut taken: Vec<u8> = self.received.drain(..at + end.len()).collect();
                taken.truncate(at);
                return Ok(taken);
            }
            self.receive()?;
        }
    }

    fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.received.len() < length {
            self.receive()?;
        }
        Ok(self.received.drain(..length).collect())
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            read => {
                self.received.extend_from_slice(&buffer[..read]);
                Ok(())
            }
        }
    }
}

/// The bytes of a JSON request.
pub(crate) fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: e2e\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// The same under an `Idempotency-Key`.
pub(crate) fn post_under(key: &str, path: &str, body: &str) -> String {
    post(path, body).replacen("\r\n", &format!("\r\nidempotency-key: \"{key}\"\r\n"), 1)
}

fn broken(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("the response's {what} cannot be read"))
}
