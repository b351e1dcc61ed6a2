//! HTTP/2's side of a socket: what the library keeps is counted here: a buffer as long as the longest frame, a table for as many
//! requests as there have been at once, and of a request's head that is not finished all that has come, and its fields.

use std::io;
use std::mem::{self, MaybeUninit};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::ReadBuf;
use tokio::time::Sleep;

use super::activity::{Activity, Kept, KeptForConnection};
use super::http2_frames::Frames;
use super::socket::{MAX_LINGER, MAX_LINGER_BYTES};
use super::transport::{HTTP2_PREFACE, Transport};

/// Most bytes that are read at once.
const MAX_READ_BYTES: usize = 16 * 1024;
/// As much of what is not yet known to be one frame is read before it is another connection's turn: there may be a hundred frames in it
/// that ask for nothing, and heads of which a byte stands for a whole field.
const TURN_BYTES: usize = 512;
/// And so many requests are made before one of them asks for room. All connections may have a turn before that, and some KiB a request.
const TURN_HEADS: usize = 1;
/// As long a frame finds room in the buffer that a connection begins with, and for a longer one it grows by so much.
const SHORT_FRAME_BYTES: usize = 8 * 1024;
const LONG_FRAME_BYTES: usize = 16 * 1024;
/// The library's table of requests grows by doubling, and never becomes smaller. So many find room in what a connection begins with;
/// beyond that each takes so many bytes, as measured with 4,000 connections that had 10 and 100 at once.
const FEW_STREAMS: usize = 16;
const STREAM_BYTES: usize = 1024;
/// What a head counts for until it is finished, about as much as the library may take for it: fields of a byte each become many.
const HEAD_ROOM_BYTES: usize = 128 * 1024;
/// Most frames that ask for nothing between two requests, pieces of bodies or of answers that move. A client that takes an answer
/// sixteen bytes at a time needs a thousand.
const MAX_IDLE_FRAMES: usize = 10_000;
/// Most bytes of a head, as it comes. One that is too long is answered, but none that is so long.
const MAX_HEAD_BYTES: usize = 48 * 1024;

/// See the module.
pub(super) struct Http2Transport {
    transport: Transport,
    frames: Frames,
    /// When something last moved, as far as it was seen.
    progress: u64,
    /// What was read and has to wait for the next turn.
    held: Vec<u8>,
    turn: Turn,
    grown: Grown,
    /// The room for a head of which there is more to come. Nearly all heads come in one frame, and are never unfinished.
    unfinished_head: Option<Kept>,
    lingering: Option<Lingering>,
}

/// What is read on, and thrown away, when all is said.
struct Lingering {
    over: Pin<Box<Sleep>>,
    bytes: usize,
}

/// What happens before it is another connection's turn.
struct Turn {
    /// Bytes that were handed on.
    bytes: usize,
    /// Requests' heads that may still be.
    heads: usize,
}

impl Turn {
    const NEW: Self = Self { bytes: 0, heads: TURN_HEADS };
}

/// Room for what a connection takes more than in the beginning, which is kept as long as it lasts.
#[derive(Default)]
struct Grown {
    bytes: usize,
    asking: Option<Pin<Box<dyn Future<Output = KeptForConnection> + Send>>>,
    kept: Vec<KeptForConnection>,
}

impl Grown {
    /// Waits until there is room for so many bytes.
    fn poll_to(&mut self, cx: &mut Context<'_>, bytes: usize, activity: &Arc<Activity>) -> Poll<()> {
        loop {
            if let Some(asking) = &mut self.asking {
                self.kept.push(ready!(asking.as_mut().poll(cx)));
                self.asking = None;
            }
            if bytes <= self.bytes {
                return Poll::Ready(());
            }
            let (more, activity) = (bytes - self.bytes, Arc::clone(activity));
            self.bytes = bytes;
            self.asking = Some(Box::pin(async move { activity.keep_connection(more).await }));
        }
    }
}

impl Http2Transport {
    pub(super) fn new(transport: Transport) -> Self {
        let frames = Frames::after(HTTP2_PREFACE.len());
        Self {
            transport,
            frames,
            progress: 0,
            held: Vec::new(),
            turn: Turn::NEW,
            grown: Grown::default(),
            unfinished_head: None,
            lingering: None,
        }
    }

    /// Waits until there is room for long frames, once there was one, and for many requests, once there were as many at once.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let activity = self.transport.activity();
        let long_frames = if self.frames.longest() > SHORT_FRAME_BYTES { LONG_FRAME_BYTES } else { 0 };
        let streams = activity.most_streams();
        let many_streams = if streams > FEW_STREAMS { streams.next_power_of_two() * STREAM_BYTES } else { 0 };
        self.grown.poll_to(cx, long_frames + many_streams, activity)
    }

    /// Until the client has closed as well, or has had the time to take its last answers. It goes on telling what it takes of them, and
    /// a system that has something unread when a connection is closed throws away what it has not sent.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let left = MAX_LINGER.saturating_sub(self.transport.activity().still_for());
        let begin = || Lingering { over: Box::pin(tokio::time::sleep(left)), bytes: 0 };
        let lingering = self.lingering.get_or_insert_with(begin);
        while lingering.bytes < MAX_LINGER_BYTES && lingering.over.as_mut().poll(cx).is_pending() {
            let mut bytes = [MaybeUninit::uninit(); MAX_READ_BYTES];
            let mut read = ReadBuf::uninit(&mut bytes);
            let outcome = ready!(self.transport.poll_read_into(cx, &mut read));
            if outcome.is_err() || read.filled().is_empty() {
                break;
            }
            lingering.bytes += read.filled().len();
        }
        Poll::Ready(())
    }

    /// Bytes have come. How many of them are handed on, the others having to wait for the next turn. An error ends the connection:
    /// there is no room for what it has begun, or it would never be answered.
    fn come(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let handed_on = self.frames.come(bytes, &mut self.turn.heads);
        self.turn.bytes += handed_on;
        self.look_at_frames()?;
        Ok(handed_on)
    }

    fn look_at_frames(&mut self) -> io::Result<()> {
        let progress = self.transport.activity().last_progress();
        if progress != self.progress {
            self.progress = progress;
            self.frames.forget_idle();
        }
        if self.frames.idle() > MAX_IDLE_FRAMES {
            return Err(ended("frames that ask for nothing"));
        }
        let Some(bytes) = self.frames.unfinished_head() else {
            self.unfinished_head = None;
            return Ok(());
        };
        if bytes > MAX_HEAD_BYTES {
            return Err(ended("a head that does not end"));
        }
        if self.unfinished_head.is_none() {
            let room = self.transport.activity().keep_now(HEAD_ROOM_BYTES);
            let no_room = || ended("there is no room for a head that is not finished");
            self.unfinished_head = Some(room.ok_or_else(no_room)?);
        }
        Ok(())
    }
}

fn ended(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::QuotaExceeded, why)
}

impl Read for Http2Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let most = self.frames.left().clamp(TURN_BYTES, MAX_READ_BYTES);
        if self.turn.bytes >= most || self.turn.heads == 0 {
            self.turn = Turn::NEW;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(self.poll_room(cx));
        if !self.held.is_empty() {
            let mut held = mem::take(&mut self.held);
            let handed_on = self.come(&held[..held.len().min(buffer.remaining())])?;
            buffer.put_slice(&held[..handed_on]);
            held.drain(..handed_on);
            self.held = held;
            return Poll::Ready(Ok(()));
        }
        // By way of a buffer of our own, which tells what was read; that is copied.
        let mut bytes = [MaybeUninit::uninit(); MAX_READ_BYTES];
        let length = buffer.remaining().min(most);
        let mut read = ReadBuf::uninit(&mut bytes[..length]);
        let polled = self.transport.poll_read_into(cx, &mut read);
        if polled.is_pending() {
            self.turn = Turn::NEW;
        }
        ready!(polled)?;
        let handed_on = self.come(read.filled())?;
        buffer.put_slice(&read.filled()[..handed_on]);
        self.held.extend_from_slice(&read.filled()[handed_on..]);
        Poll::Ready(Ok(()))
    }
}

impl Write for Http2Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write_vectored(cx, pieces)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingering.is_none() {
            ready!(Pin::new(&mut self.transport).poll_shutdown(cx))?;
        }
        ready!(self.poll_linger(cx));
        Poll::Ready(Ok(()))
    }
}
