//! HTTP/1's side of a socket: what hyper buffers of requests is counted here, small answers are written at once, and the end of what
//! a client says is kept from hyper while the client still has an answer to get.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::ReadBuf;

use super::activity::{Asking, Kept};
use super::transport::Transport;

/// Most bytes that are read at once.
const MAX_READ_BYTES: usize = 16 * 1024;
/// As much of head and body together is copied: that costs less than to have the kernel gather them.
const COPIED_BYTES: usize = 4 * 1024;
/// As much of a head that is not finished needs no room that others might want: it lies in the buffer that each connection has.
const FREE_HEAD_BYTES: usize = 8 * 1024;
/// The same of what comes between two chunks of a body, or after the last. Nobody has much to say there.
const FREE_TRAILER_BYTES: usize = 1024;
/// What it counts for then: hyper has all of it twice.
const TRAILER_ROOM_BYTES: usize = 2 * MAX_READ_BYTES;

/// See the module. Besides, it leaves out the bare 400, 414 or 431 with which hyper refuses a head that it cannot read, and
/// keeps the connection open for the problem document that takes its place when hyper has ended.
pub(super) struct Http1Transport {
    transport: Transport,
    is_refused: bool,
    /// How many requests and pieces of bodies have been made of what came, so far.
    arrivals: usize,
    /// What may have been read since.
    unused_bytes: usize,
    last_read: usize,
    /// The room for it.
    unused_room: Vec<Kept>,
    asking: Asking,
    /// Whoever reads the body has been given its turn before the end is passed on.
    has_waited_for_reader: bool,
}

impl Http1Transport {
    pub(super) fn new(transport: Transport) -> Self {
        Self {
            transport,
            is_refused: false,
            arrivals: 0,
            unused_bytes: 0,
            last_read: 0,
            unused_room: Vec::new(),
            asking: Asking::default(),
            has_waited_for_reader: false,
        }
    }

    pub(super) fn into_inner(self) -> Transport {
        self.transport
    }

    /// Waits until there is room for more of a long head, or of trailers.
    fn poll_unused_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let activity = self.transport.activity();
        let is_in_chunks = activity.are_chunks_read();
        if !is_in_chunks && (activity.is_open() || activity.is_body_read()) {
            // Of a body whose length is known all that comes is used. Otherwise hyper reads no more than a buffer full until the
            // request is answered.
            return Poll::Ready(());
        }
        let arrivals = activity.arrivals();
        if arrivals != self.arrivals {
            self.arrivals = arrivals;
            // Nobody knows how much of it belongs to what has arrived.
            self.unused_bytes = if is_in_chunks { self.last_read } else { 0 };
            self.unused_room.clear();
        }
        let (free, step) = match is_in_chunks {
            true => (FREE_TRAILER_BYTES, TRAILER_ROOM_BYTES),
            false => (FREE_HEAD_BYTES, MAX_READ_BYTES),
        };
        if self.unused_bytes > free + step * self.unused_room.len() {
            let room = ready!(self.asking.poll(cx, activity, step));
            self.unused_room.push(room);
        }
        Poll::Ready(())
    }
}

/// Whether these are the bytes that hyper writes by itself when it cannot read a head: the service answers neither 414 nor 431,
/// and its 400 has a document. What is in the middle of an answer may look the same.
fn is_bare_refusal(bytes: &[u8]) -> bool {
    let Some(answer) = bytes.strip_prefix(b"HTTP/1.1 ") else { return false };
    let has_document = || answer.windows(13).any(|window| window == b"content-type:");
    answer.starts_with(b"431 ")
        || answer.starts_with(b"414 ")
        || answer.starts_with(b"400 ") && !has_document()
}

impl Read for Http1Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // Whoever says no more now has not finished, and gets no answer.
        let awaits_body = self.transport.activity().awaits_body();
        ready!(self.poll_unused_room(cx));
        // By way of a buffer of our own, which tells how much was read; that is copied.
        let mut bytes = [MaybeUninit::uninit(); MAX_READ_BYTES];
        let length = buffer.remaining().min(MAX_READ_BYTES);
        let mut read = ReadBuf::uninit(&mut bytes[..length]);
        ready!(self.transport.poll_read_into(cx, &mut read))?;
        let is_end = read.filled().is_empty() && length > 0;
        if is_end && !awaits_body && self.transport.activity().will_have_answered() {
            // A client that says no more may still listen. Whoever waits in vain is looked for from outside. Where an answer has no
            // end, there is only one way to be done with it, which is to leave.
            self.transport.activity().note_half_close();
            return Poll::Pending;
        }
        if is_end && awaits_body && !self.has_waited_for_reader {
            // Or the last of it has just come, and whoever waits for it does not know.
            self.has_waited_for_reader = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.last_read = read.filled().len();
        self.unused_bytes += self.last_read;
        buffer.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Http1Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if is_bare_refusal(bytes) && !self.transport.activity().is_answering() {
            self.is_refused = true;
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = ready!(Pin::new(&mut self.transport).poll_write(cx, bytes))?;
        if written < bytes.len() {
            self.transport.activity().wrote_a_part();
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        if length <= COPIED_BYTES {
            let mut bytes = [MaybeUninit::uninit(); COPIED_BYTES];
            let mut gathered = ReadBuf::uninit(&mut bytes);
            pieces.iter().for_each(|piece| gathered.put_slice(piece));
            return self.poll_write(cx, gathered.filled());
        }
        let written = ready!(Pin::new(&mut self.transport).poll_write_vectored(cx, pieces))?;
        if written < length {
            self.transport.activity().wrote_a_part();
        }
        Poll::Ready(Ok(written))
    }

    /// hyper flushes the socket when it has written all that it had.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.transport).poll_flush(cx))?;
        let activity = self.transport.activity();
        activity.flushed();
        if activity.is_half_closed() && !activity.is_answering() {
            // Now hyper may hear that there will be no further request.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_refused {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}
