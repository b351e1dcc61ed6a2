//! A client's socket, with the bytes in front that were read to tell the protocol by.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::activity::Activity;
use super::answer::Protocol;
use super::socket::Socket;

/// What every HTTP/2 connection begins with (RFC 9113, 3.4).
pub(super) const HTTP2_PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a client may take from its first byte until it is clear which protocol it speaks.
const MAX_PREFACE_TIME: Duration = Duration::from_secs(5);

/// The socket of one connection.
pub(super) struct Transport {
    socket: TokioIo<Socket>,
    /// What was read already; from `replayed` on it is read again.
    first: [u8; HTTP2_PREFACE.len()],
    length: usize,
    replayed: usize,
    activity: Arc<Activity>,
}

impl Transport {
    pub(super) fn new(socket: Socket, activity: Arc<Activity>) -> Self {
        Self {
            socket: TokioIo::new(socket),
            first: [0; HTTP2_PREFACE.len()],
            length: 0,
            replayed: 0,
            activity,
        }
    }

    /// Reads as much as tells which protocol the client speaks. `None`: it has left, or says too little.
    pub(super) async fn detect(&mut self, idle_timeout: Duration) -> io::Result<Option<Protocol>> {
        // Who says nothing yet is idle.
        if self.read_first(idle_timeout).await? == 0 {
            return Ok(None);
        }
        let telling = async {
            while HTTP2_PREFACE.starts_with(&self.first[..self.length]) {
                if self.length == HTTP2_PREFACE.len() {
                    return Ok(Some(Protocol::Http2));
                }
                if self.read_first(idle_timeout).await? == 0 {
                    return Ok(None);
                }
            }
            Ok(Some(Protocol::Http1))
        };
        tokio::time::timeout(MAX_PREFACE_TIME, telling).await.unwrap_or(Ok(None))
    }

    async fn read_first(&mut self, patience: Duration) -> io::Result<usize> {
        let reading = self.socket.inner_mut().read(&mut self.first[self.length..]);
        let read = tokio::time::timeout(patience, reading).await.unwrap_or(Ok(0))?;
        self.length += read;
        Ok(read)
    }

    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Reads what was read already, and then what there is.
    pub(super) fn poll_read_into(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let first = &self.first[self.replayed..self.length];
        if first.is_empty() {
            return Pin::new(self.socket.inner_mut()).poll_read(cx, buffer);
        }
        let length = first.len().min(buffer.remaining());
        buffer.put_slice(&first[..length]);
        self.replayed += length;
        // Whatever has come since is read in the same go.
        match Pin::new(self.socket.inner_mut()).poll_read(cx, buffer) {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    /// The socket itself.
    pub(super) fn socket(&mut self) -> &mut Socket {
        self.socket.inner_mut()
    }
}

impl Read for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let first = &this.first[this.replayed..this.length];
        if first.is_empty() {
            return Pin::new(&mut this.socket).poll_read(cx, buffer);
        }
        let length = first.len().min(buffer.remaining());
        buffer.put_slice(&first[..length]);
        this.replayed += length;
        Poll::Ready(Ok(()))
    }
}

impl Write for Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        if self.activity.must_reset() {
            // The system would keep what it has not sent, too, for whoever does not take it.
            let _ = self.socket.inner().tcp().set_zero_linger();
        }
        self.activity.flushed();
    }
}
