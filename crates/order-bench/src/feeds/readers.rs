//! Readers that only drain and count: the kernel throws away what they take, so that they leave the machine to the server.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use mio::{Events, Interest, Poll, Token};
use rustix::net::{RecvFlags, recv};

use crate::interrupt;
use crate::process::thread_cpu;

/// Bytes that are taken at once.
const TAKEN_AT_ONCE: usize = 1024 * 1024;
const POLL_TIMEOUT: Duration = Duration::from_millis(10);
/// What a feed says now and then of where it is, at most, and how often. It is shorter than any event.
const PLACE_BYTES: u64 = 32;
const PLACE_EVERY: Duration = Duration::from_secs(15);
/// How long readers wait for what they were told that there is.
const READ_LIMIT: Duration = Duration::from_secs(120);
/// Without bounds of chunks in it, what two readers get is the same, byte for byte, however it was cut.
const REQUEST: &[u8] = b"GET /events?after=0 HTTP/1.0\r\nhost: bench\r\naccept: text/event-stream\r\n\r\n";

/// Open feeds from the beginning of the log.
pub(crate) struct Readers {
    poll: Poll,
    readers: Vec<Reader>,
}

struct Reader {
    stream: mio::net::TcpStream,
    /// Bytes of the body.
    taken: u64,
    is_over: bool,
}

/// What readers took.
pub(crate) struct Drained {
    /// When the last of them had everything.
    pub(crate) at: Instant,
    /// CPU time of the readers' thread.
    pub(crate) cpu: Duration,
}

/// How much each reader is to get, once it is known.
#[derive(Clone, Default)]
pub(crate) struct Watched(Arc<AtomicU64>);

impl Watched {
    /// From now on it is known.
    pub(crate) fn expect(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    fn expected(&self) -> Option<u64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }
}

impl Readers {
    /// Opens so many feeds.
    pub(crate) fn open(address: SocketAddr, count: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let mut readers = Vec::new();
        for number in 0..count {
            let (stream, taken) = open(address)?;
            stream.set_nonblocking(true)?;
            let mut stream = mio::net::TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(number), Interest::READABLE)?;
            readers.push(Reader { stream, taken, is_over: false });
        }
        Ok(Self { poll, readers })
    }

    /// Drains until each reader has all that is expected, and not a byte more.
    pub(crate) fn drain(mut self, watched: &Watched) -> Result<Drained> {
        let (begun, cpu_at_begin) = (Instant::now(), thread_cpu());
        let mut sink = vec![0; TAKEN_AT_ONCE];
        let mut events = Events::with_capacity(self.readers.len());
        loop {
            interrupt::check()?;
            match self.poll.poll(&mut events, Some(POLL_TIMEOUT)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                Ok(()) | Err(_) => {}
            }
            for event in &events {
                self.readers[event.token().0].take(&mut sink)?;
            }
            if let Some(expected) = watched.expected() {
                if self.readers.iter().all(|reader| reader.taken >= expected) {
                    let most = self.readers.iter().map(|reader| reader.taken).max().unwrap_or_default();
                    let places = PLACE_BYTES * (begun.elapsed().as_secs() / PLACE_EVERY.as_secs());
                    ensure!(most <= expected + places, "a reader got {most} bytes, and there are {expected}");
                    return Ok(Drained { at: Instant::now(), cpu: thread_cpu() - cpu_at_begin });
                }
                ensure!(
                    begun.elapsed() < READ_LIMIT
                        && !self.readers.iter().any(|reader| reader.is_cut_off(expected)),
                    "a reader did not get all that there is"
                );
            }
        }
    }
}

impl Reader {
    fn take(&mut self, sink: &mut [u8]) -> Result<()> {
        loop {
            match recv(&self.stream, &mut *sink, RecvFlags::TRUNC) {
                Ok((_, 0)) => {
                    self.is_over = true;
                    return Ok(());
                }
                Ok((_, bytes)) => self.taken += bytes as u64,
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("read a feed"),
            }
        }
    }

    fn is_cut_off(&self, expected: u64) -> bool {
        self.is_over && self.taken < expected
    }
}

/// Asks for a feed and reads its head; the bytes that have come of its body.
fn open(address: SocketAddr) -> Result<(TcpStream, u64)> {
    let (stream, body) = open_with_body(address)?;
    Ok((stream, body.len() as u64))
}

fn open_with_body(address: SocketAddr) -> Result<(TcpStream, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("connect to {address}"))?;
    stream.set_read_timeout(Some(READ_LIMIT))?;
    stream.write_all(REQUEST)?;
    let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") {
            let body = head.split_off(end + 4);
            let is_ok = head.starts_with(b"HTTP/1.0 200 ") || head.starts_with(b"HTTP/1.1 200 ");
            ensure!(is_ok, "a feed was answered with {}", String::from_utf8_lossy(&head));
            return Ok((stream, body));
        }
        match stream.read(&mut buffer)? {
            0 => bail!("the server closed the connection"),
            bytes => head.extend_from_slice(&buffer[..bytes]),
        }
    }
}

/// Reads a feed until the event at a position, and looks whether each position comes once and in its turn. All its bytes.
pub(crate) fn whole_feed(address: SocketAddr, last: u64) -> Result<Vec<u8>> {
    let (mut stream, mut feed) = open_with_body(address)?;
    let (mut next, mut looked_at) = (1, 0);
    let mut buffer = vec![0; 256 * 1024];
    while next <= last {
        while let Some(length) = feed[looked_at..].windows(2).position(|window| window == b"\n\n") {
            let frame = std::str::from_utf8(&feed[looked_at..looked_at + length])?;
            looked_at += length + 2;
            let (id, data) = frame.split_once('\n').unwrap_or((frame, ""));
            // A place comes without data.
            if data.is_empty() {
                continue;
            }
            let id: u64 =
                id.strip_prefix("id: ").and_then(|id| id.parse().ok()).ok_or_else(|| anyhow!("{id:?}"))?;
            ensure!(id == next, "position {id} came where {next} should");
            next += 1;
        }
        if next <= last {
            let bytes = stream.read(&mut buffer)?;
            ensure!(bytes > 0, "the feed ended before position {next}");
            feed.extend_from_slice(&buffer[..bytes]);
        }
    }
    ensure!(looked_at == feed.len() && next == last + 1, "the feed goes on beyond {last}");
    Ok(feed)
}
