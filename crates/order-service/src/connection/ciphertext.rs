//! What TLS reads of a client. It keeps what it cannot decrypt yet, part of a handshake or of a record, and that is counted here.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::activity::{Activity, Asking, Kept, KeptForConnection};

/// What an encrypted connection counts for among what clients have not taken. An idle one needs half of it more than one that is
/// not encrypted, and one that sends requests and takes no answers, thrice.
const CONNECTION_BYTES: usize = 24 * 1024;

/// As much of a record, or of a handshake, needs no room that others might want: a whole handshake, as nearly all are.
const FREE_BYTES: usize = 4 * 1024;
/// What a longer one takes, about: a record is no longer than 16 KiB, and its buffer grows by doubling.
const ROOM_BYTES: usize = 32 * 1024;
/// Most bytes of which nothing comes that could be read: a client that has nothing to say but how to encrypt says less.
const MAX_MUTE_BYTES: usize = 24 * 1024;

/// A socket as TLS sees it.
pub(super) struct Ciphertext {
    tcp: TcpStream,
    activity: Arc<Activity>,
    /// Bytes that were read since something of them could be.
    mute_bytes: usize,
    is_agreed: bool,
    records: Records,
    room: Option<Kept>,
    asking: Asking,
    _kept: KeptForConnection,
}

impl Ciphertext {
    /// Once there is room for one more.
    pub(super) async fn new(tcp: TcpStream, activity: Arc<Activity>) -> Self {
        let kept = activity.keep_connection(CONNECTION_BYTES).await;
        Self {
            tcp,
            activity,
            mute_bytes: 0,
            is_agreed: false,
            records: Records::default(),
            room: None,
            asking: Asking::default(),
            _kept: kept,
        }
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Something of what was read has been decrypted, or the handshake is over.
    pub(super) fn made_sense(&mut self) {
        self.mute_bytes = 0;
        self.is_agreed = true;
        self.let_go();
    }

    /// What there is of something unfinished. More may have been read than what was decrypted last.
    fn unfinished(&self) -> usize {
        if self.is_agreed { self.records.unfinished() } else { self.mute_bytes }
    }

    fn let_go(&mut self) {
        if self.unfinished() < FREE_BYTES {
            self.room = None;
        }
    }
}

/// How long a record's head is (RFC 8446, 5.1).
const RECORD_HEAD_BYTES: usize = 5;

/// Where one record ends and the next begins.
#[derive(Default)]
struct Records {
    /// The head of the record that comes, as far as it has.
    head: [u8; RECORD_HEAD_BYTES],
    /// How much of the record there is, and how much is to come after its head.
    length: usize,
    left: usize,
}

impl Records {
    /// Bytes have come. They follow those that came before.
    fn come(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            if self.length < RECORD_HEAD_BYTES {
                self.head[self.length] = *first;
                self.length += 1;
                bytes = rest;
                if self.length == RECORD_HEAD_BYTES {
                    self.left = usize::from(u16::from_be_bytes([self.head[3], self.head[4]]));
                }
            } else {
                let length = bytes.len().min(self.left);
                self.length += length;
                self.left -= length;
                bytes = &bytes[length..];
            }
            if self.length >= RECORD_HEAD_BYTES && self.left == 0 {
                self.length = 0;
            }
        }
    }

    /// How much there is of the record that is not whole.
    fn unfinished(&self) -> usize {
        self.length
    }
}

impl AsyncRead for Ciphertext {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.mute_bytes >= MAX_MUTE_BYTES {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a client that makes no sense",
            )));
        }
        if this.unfinished() >= FREE_BYTES && this.room.is_none() {
            this.room = Some(ready!(this.asking.poll(cx, &this.activity, ROOM_BYTES)));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.tcp).poll_read(cx, buffer))?;
        let read = &buffer.filled()[before..];
        this.mute_bytes += read.len();
        this.records.come(read);
        this.let_go();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Ciphertext {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(length: usize) -> Vec<u8> {
        [&[23, 3, 3, (length >> 8) as u8, length as u8][..], &vec![0xff; length]].concat()
    }

    #[test]
    fn a_record_is_unfinished_until_its_last_byte_is_there_however_the_bytes_come() {
        let whole = [record(0), record(1), record(16_401), record(300)].concat();
        for at_once in [1, 2, 5, 6, 1_000, 100_000] {
            let mut records = Records::default();
            whole.chunks(at_once).for_each(|bytes| records.come(bytes));
            assert_eq!(records.unfinished(), 0, "{at_once} bytes at once");
            record(16_401)[..10_000].chunks(at_once).for_each(|bytes| records.come(bytes));
            assert_eq!(records.unfinished(), 10_000, "{at_once} bytes at once");
        }
    }
}
