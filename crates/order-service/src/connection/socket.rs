//! A client's socket, with or without TLS.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use order_api::HeadFault;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::activity::Activity;
use super::ciphertext::Ciphertext;
use crate::tls::Tls;

/// How long a client may take, from its first byte on, until it is agreed how to encrypt.
const MAX_HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Most bytes, encrypted, that a connection keeps until the system takes them. Nobody counts them, so they are few.
const MAX_ENCRYPTED_BYTES: usize = 16 * 1024;
/// What a client's first byte is when it speaks TLS: a record of the handshake (RFC 8446, 5.1).
const HANDSHAKE_RECORD: u8 = 22;
/// How long, and how much, is read on after a connection's last answer.
pub(super) const MAX_LINGER: Duration = Duration::from_secs(2);
pub(super) const MAX_LINGER_BYTES: usize = 1024 * 1024;

/// So many records are read before it is another connection's turn, however little is in each.
const MAX_RECORDS_AT_ONCE: usize = 64;

/// What a client is read from and written to.
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<Ciphertext>>),
}

/// How a socket was opened.
pub(super) enum Opened {
    Socket(Socket),
    /// The client has left, or says too little.
    Left,
    /// It says something that is not taken here, and was told so.
    Refused(HeadFault),
}

impl Socket {
    /// Agrees with the client how to encrypt, if TLS is spoken here.
    pub(super) async fn open(
        mut tcp: TcpStream,
        tls: Option<&Tls>,
        activity: &Arc<Activity>,
        idle_timeout: Duration,
    ) -> io::Result<Opened> {
        let Some(tls) = tls else { return Ok(Opened::Socket(Self::Plain(tcp))) };
        let mut first = [0];
        // Who says nothing yet is idle.
        let begins = tokio::time::timeout(idle_timeout, tcp.peek(&mut first)).await.unwrap_or(Ok(0))?;
        if begins == 0 {
            return Ok(Opened::Left);
        }
        if first[0] != HANDSHAKE_RECORD {
            let fault = HeadFault::NotEncrypted;
            end(&mut tcp, &fault.answer()).await;
            return Ok(Opened::Refused(fault));
        }
        let bounded =
            |session: &mut rustls::ServerConnection| session.set_buffer_limit(Some(MAX_ENCRYPTED_BYTES));
        let address = order_api::Connection::address(&**activity);
        let handshake = Box::pin(async {
            let ciphertext = Ciphertext::new(tcp, Arc::clone(activity)).await;
            let accepting = tls.acceptor().accept_with(ciphertext, bounded);
            tls.in_turns(address, accepting, |accepting| accepting.get_ref().map(Ciphertext::tcp)).await
        });
        let Ok(Some(agreed)) = tokio::time::timeout(MAX_HANDSHAKE_TIME, handshake).await else {
            return Ok(Opened::Left);
        };
        let mut stream = Box::new(agreed?);
        stream.get_mut().0.made_sense();
        Ok(Opened::Socket(Self::Tls(stream)))
    }

    /// The socket under it.
    pub(super) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0.tcp(),
        }
    }
}

/// Writes the last answer and reads on for a while. To close at once, while the client is still sending, would reset the
/// connection, and the client would never see the answer.
pub(super) async fn end(socket: &mut (impl AsyncRead + AsyncWrite + Unpin), answer: &[u8]) {
    let ending = async {
        socket.write_all(answer).await?;
        socket.shutdown().await?;
        // On the heap: it would be a part of each connection's task for as long as that lasts.
        let mut sink = vec![0; 4096];
        let mut read = 0;
        while read < MAX_LINGER_BYTES {
            match socket.read(&mut sink).await? {
                0 => break,
                length => read += length,
            }
        }
        io::Result::Ok(())
    };
    // Whoever has left wants no answer.
    let _ = tokio::time::timeout(MAX_LINGER, ending).await;
}

/// Reads what comes decrypted, record by record: each of them has made sense.
fn poll_read_records(
    tls: &mut TlsStream<Ciphertext>,
    cx: &mut Context<'_>,
    buffer: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let before = buffer.filled().len();
    for _ in 0..MAX_RECORDS_AT_ONCE {
        let length = match Pin::new(&mut *tls).poll_fill_buf(cx) {
            Poll::Ready(Ok(decrypted)) => {
                let length = decrypted.len().min(buffer.remaining());
                buffer.put_slice(&decrypted[..length]);
                length
            }
            // What went wrong is found again when more is asked for.
            _ if buffer.filled().len() > before => break,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        };
        if length == 0 {
            break;
        }
        Pin::new(&mut *tls).consume(length);
        tls.get_mut().0.made_sense();
    }
    Poll::Ready(Ok(()))
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Self::Tls(tls) => poll_read_records(tls, cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, pieces),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
