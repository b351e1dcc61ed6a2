//! One keep-alive connection with at most one request on its way.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::response::{Head, parse_head};

/// Holds every answer of the base workflow whole; grows for longer ones.
const RECEIVE_BUFFER_BYTES: usize = 16 * 1024;
/// No answer that a benchmark asks for is longer.
const ANSWER_LIMIT_BYTES: usize = 16 * 1024 * 1024;

pub(crate) struct Connection {
    stream: TcpStream,
    /// What the socket did not take at once: only long requests leave anything here.
    unsent: Vec<u8>,
    received: Vec<u8>,
    received_bytes: usize,
    head: Option<Head>,
    /// Where the body of the last answer still lies.
    body: Range<usize>,
    sent_at: Instant,
    awaits_answer: bool,
}

impl Connection {
    /// Connects (waiting for it, the server is on this machine) and registers for edge-triggered readiness.
    pub(crate) fn open(address: SocketAddr, registry: &Registry, token: Token) -> Result<Self> {
        let stream =
            std::net::TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            stream,
            unsent: Vec::new(),
            received: vec![0; RECEIVE_BUFFER_BYTES],
            received_bytes: 0,
            head: None,
            body: 0..0,
            sent_at: Instant::now(),
            awaits_answer: false,
        })
    }

    /// When the request was handed over, that is, when its latency began.
    pub(crate) fn sent_at(&self) -> Instant {
        self.sent_at
    }

    /// Sends a request; what the socket does not take now is kept for [`flush`](Self::flush).
    pub(crate) fn send(&mut self, request: &[u8], now: Instant) -> Result<()> {
        debug_assert!(!self.awaits_answer, "one request at a time");
        self.sent_at = now;
        self.awaits_answer = true;
        let sent = write_some(&mut self.stream, request)?;
        self.unsent.extend_from_slice(&request[sent..]);
        Ok(())
    }

    /// Goes on sending after the socket has become writable again.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if !self.unsent.is_empty() {
            let sent = write_some(&mut self.stream, &self.unsent)?;
            self.unsent.drain(..sent);
        }
        Ok(())
    }

    /// Reads what has arrived, and says whether the answer is complete; [`body`](Self::body) is its body then.
    ///
    /// # Errors
    ///
    /// When the answer is not 2xx (with its text), not HTTP, or the server closed the connection.
    pub(crate) fn receive(&mut self) -> Result<bool> {
        loop {
            let free = &mut self.received[self.received_bytes..];
            let free_bytes = free.len();
            let read_bytes = match self.stream.read(free) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(read_bytes) => read_bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("read an answer"),
            };
            self.received_bytes += read_bytes;
            if self.is_answered()? {
                return Ok(true);
            }
            // A read that leaves room has emptied the socket: the next bytes raise a new event (epoll(7)), and the
            // call that would only learn "nothing yet" is saved.
            if read_bytes < free_bytes {
                return Ok(false);
            }
            let longer = self.received.len() * 2;
            if longer > ANSWER_LIMIT_BYTES {
                bail!("an answer of more than {ANSWER_LIMIT_BYTES} bytes");
            }
            self.received.resize(longer, 0);
        }
    }

    /// The body of the answer that was complete last, until more is received.
    pub(crate) fn body(&self) -> &[u8] {
        &self.received[self.body.clone()]
    }

    fn is_answered(&mut self) -> Result<bool> {
        if !self.awaits_answer {
            bail!("the server sent bytes that nothing asked for");
        }
        let arrived = &self.received[..self.received_bytes];
        if self.head.is_none() {
            self.head = parse_head(arrived)?;
        }
        let Some(head) = self.head else { return Ok(false) };
        if arrived.len() < head.answer_bytes() {
            return Ok(false);
        }
        if !head.is_success() {
            bail!("answered with {}: {}", head.status, String::from_utf8_lossy(&arrived[head.head_bytes..]));
        }
        if arrived.len() > head.answer_bytes() {
            bail!("the server sent more than Content-Length says");
        }
        self.head = None;
        self.received_bytes = 0;
        self.body = head.head_bytes..head.answer_bytes();
        self.awaits_answer = false;
        Ok(true)
    }
}

/// Writes until everything is taken or the socket is full; how much was taken.
fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(taken) => sent += taken,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("send a request"),
        }
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream as Peer};
    use std::time::Duration;

    use mio::{Events, Poll};

    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

    /// A connection that has sent a request, and the server's end of it.
    struct Pair {
        poll: Poll,
        connection: Connection,
        server: Peer,
    }

    impl Pair {
        fn asked(request: &[u8]) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let poll = Poll::new().unwrap();
            let address = listener.local_addr().unwrap();
            let mut connection = Connection::open(address, poll.registry(), Token(0)).unwrap();
            let (server, _) = listener.accept().unwrap();
            server.set_nodelay(true).unwrap();
            connection.send(request, Instant::now()).unwrap();
            Self { poll, connection, server }
        }

        /// Lets the server send, and the connection read until the answer is complete or all of this has arrived.
        fn answer(&mut self, bytes: &[u8]) -> Result<bool> {
            let before = self.connection.received_bytes;
            self.server.write_all(bytes).unwrap();
            loop {
                self.await_event();
                let complete = self.connection.receive()?;
                if complete || self.connection.received_bytes == before + bytes.len() {
                    return Ok(complete);
                }
            }
        }

        fn await_event(&mut self) {
            let mut events = Events::with_capacity(8);
            self.poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            assert!(!events.is_empty(), "the socket becomes ready");
        }
    }

    #[test]
    fn an_answer_split_at_any_byte_is_put_together() {
        for split in 1..OK.len() {
            let mut pair = Pair::asked(b"GET");
            assert!(!pair.answer(&OK[..split]).unwrap(), "after {split} bytes");
            assert!(pair.answer(&OK[split..]).unwrap(), "after the rest of {split}");
            assert_eq!(pair.connection.body(), b"hello");
        }
    }

    #[test]
    fn the_next_answer_begins_anew() {
        let mut pair = Pair::asked(b"GET");
        assert!(pair.answer(OK).unwrap());
        pair.connection.send(b"GET", Instant::now()).unwrap();
        assert!(pair.answer(OK).unwrap());
    }

    #[test]
    fn an_answer_longer_than_the_buffer_arrives_whole() {
        let body = vec![b'x'; 5 * RECEIVE_BUFFER_BYTES];
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        let mut pair = Pair::asked(b"GET");
        assert!(!pair.answer(head.as_bytes()).unwrap());
        assert!(pair.answer(&body).unwrap());
    }

    #[test]
    fn a_refusal_is_an_error_with_its_text() {
        let mut pair = Pair::asked(b"GET");
        let refusal = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 10\r\n\r\noverloaded";
        let error = pair.answer(refusal).unwrap_err().to_string();
        assert_eq!(error, "answered with 503: overloaded");
    }

    #[test]
    fn a_closed_connection_is_an_error() {
        let mut pair = Pair::asked(b"GET");
        pair.server.shutdown(std::net::Shutdown::Write).unwrap();
        let error = loop {
            pair.await_event();
            if let Err(error) = pair.connection.receive() {
                break error.to_string();
            }
        };
        assert_eq!(error, "the server closed the connection");
    }

    #[test]
    fn a_request_longer_than_the_sockets_buffers_is_sent_in_parts() {
        let request = vec![b'x'; 32 * 1024 * 1024];
        let mut pair = Pair::asked(&request);
        assert!(!pair.connection.unsent.is_empty(), "longer than what the sockets hold");
        let mut server = pair.server.try_clone().unwrap();
        let reader = std::thread::spawn(move || server.read_exact(&mut vec![0; request.len()]));
        while !pair.connection.unsent.is_empty() {
            pair.await_event();
            pair.connection.flush().unwrap();
        }
        reader.join().unwrap().unwrap();
    }
}
