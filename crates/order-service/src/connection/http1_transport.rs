//! HTTP/1's side of a socket: what hyper buffers is counted here, small answers are written at once, and the end of what a client
//! says is kept from hyper while the client still has an answer to get.

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
/// As much of a head needs no room that others might want.
const FREE_HEAD_BYTES: usize = 8 * 1024;

/// See the module. Besides, it leaves out the bare 400, 414 or 431 with which hyper refuses a head that it cannot read, and
/// keeps the connection open for the problem document that takes its place when hyper has ended.
pub(super) struct Http1Transport {
    transport: Transport,
    is_refused: bool,
    /// How many requests have been heard of so far.
    requests: usize,
    /// What has been read since.
    head_bytes: usize,
    /// The room for it.
    head_room: Vec<Kept>,
    asking: Asking,
}

impl Http1Transport {
    pub(super) fn new(transport: Transport) -> Self {
        Self {
            transport,
            is_refused: false,
            requests: 0,
            head_bytes: 0,
            head_room: Vec::new(),
            asking: Asking::default(),
        }
    }

    pub(super) fn into_inner(self) -> Transport {
        self.transport
    }

    /// Waits until there is room for more of a long head.
    fn poll_head_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let activity = self.transport.activity();
        let requests = activity.requests();
        if requests != self.requests {
            self.requests = requests;
            self.head_bytes = 0;
            self.head_room.clear();
        }
        // While there is a request, it is its body that is read; it may be answered before that is over.
        let is_head = !activity.is_open() && !activity.is_body_read();
        if is_head && self.head_bytes > FREE_HEAD_BYTES + MAX_READ_BYTES * self.head_room.len() {
            let room = ready!(self.asking.poll(cx, activity, MAX_READ_BYTES));
            self.head_room.push(room);
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
        if self.transport.activity().awaits_body() {
            // Whoever says no more now has not finished, and gets no answer.
            return Pin::new(&mut self.transport).poll_read(cx, buffer);
        }
        ready!(self.poll_head_room(cx));
        // By way of a buffer of our own, which tells how much was read; that is copied.
        let mut bytes = [MaybeUninit::uninit(); MAX_READ_BYTES];
        let length = buffer.remaining().min(MAX_READ_BYTES);
        let mut read = ReadBuf::uninit(&mut bytes[..length]);
        ready!(self.transport.poll_read_into(cx, &mut read))?;
        let is_end = read.filled().is_empty() && length > 0;
        if is_end && self.transport.activity().will_have_answered() {
            // A client that says no more may still listen. Whoever waits in vain is looked for from outside. Where an answer has no
            // end, there is only one way to be done with it, which is to leave.
            self.transport.activity().note_half_close();
            return Poll::Pending;
        }
        self.head_bytes += read.filled().len();
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
