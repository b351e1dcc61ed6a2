//! One connection: HTTP/1.1, or HTTP/2 with prior knowledge, told apart by the first bytes.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use order_api::HeadFault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::head_timer::HeadTimer;

/// Longest request head, in bytes; beyond it the answer is 431.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// How long, and how much, is read on after a head was refused.
const MAX_LINGER: Duration = Duration::from_secs(2);
const MAX_LINGER_BYTES: usize = 1024 * 1024;
/// What every HTTP/2 connection begins with (RFC 9113, 3.4). All of it is waited for here: once a connection is taken for
/// HTTP/2, nothing bounds how long its preface takes.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longest time between two looks at a preface that comes in pieces.
const MAX_PEEK_PAUSE: Duration = Duration::from_millis(250);
/// How long an idle HTTP/2 client may take to answer a ping, at most.
const MAX_PING_WAIT: Duration = Duration::from_secs(20);

/// Serves a connection until it ends, or until `close` fires and what is in flight is answered.
pub(crate) async fn serve<S>(stream: TcpStream, service: S, idle_timeout: Duration, close: &CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: std::error::Error + Send + Sync,
{
    // Answers are written whole; waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let mut first = [0; HTTP2_PREFACE.len()];
    let peeked = tokio::select! {
        peeked = tokio::time::timeout(idle_timeout, peek(&stream, &mut first)) => peeked,
        () = close.cancelled() => return,
    };
    let Ok(Ok(length)) = peeked else { return };
    let outcome = if first[..length] == *HTTP2_PREFACE {
        serve_http2(stream, service, idle_timeout, close).await
    } else {
        serve_http1(stream, service, idle_timeout, close).await
    };
    if let Err(error) = outcome {
        // Clients that hang up or talk nonsense are no fault of ours.
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Looks at the first bytes and leaves them there. Answers with fewer once they cannot be the preface.
async fn peek(stream: &TcpStream, first: &mut [u8]) -> io::Result<usize> {
    let mut pause = Duration::from_millis(1);
    loop {
        let length = stream.peek(first).await?;
        if length == first.len() || length == 0 || !HTTP2_PREFACE.starts_with(&first[..length]) {
            return Ok(length);
        }
        // A part of the preface: there is no telling when the rest comes but to look again, ever more seldom, so that
        // thousands of connections that hang here cost nothing.
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PEEK_PAUSE);
    }
}

async fn serve_http1<S>(
    stream: TcpStream,
    service: S,
    idle_timeout: Duration,
    close: &CancellationToken,
) -> hyper::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<Body>>,
    S::Error: std::error::Error + Send + Sync + 'static,
{
    let head_timer = HeadTimer::default();
    let mut builder = http1::Builder::new();
    builder.timer(head_timer.clone()).header_read_timeout(idle_timeout).max_header_size(MAX_HEAD_BYTES);
    // Answers are small: to copy head and body together costs less than to have the kernel gather them.
    builder.writev(false);
    let mut connection = builder
        .serve_connection(WithoutBareRefusals { stream: TokioIo::new(stream), refused: false }, service);
    let served = async {
        tokio::select! {
            outcome = &mut connection => outcome,
            () = close.cancelled() => {
                Pin::new(&mut connection).graceful_shutdown();
                (&mut connection).await
            }
        }
    };
    let outcome = tokio::select! {
        outcome = served => outcome,
        never = head_timer.wake_when_due(idle_timeout) => match never {},
    };
    let Err(error) = outcome else { return Ok(()) };
    let parts = connection.into_parts();
    let stream = parts.io.stream.into_inner();
    if error.is_timeout() || error.is_parse() {
        // An idle connection just closes; a request that was begun gets an answer.
        let is_begun = error.is_parse() || !parts.read_buf.is_empty();
        let answer = is_begun.then(|| fault(&error).answer());
        let _ = tokio::time::timeout(MAX_LINGER, end(stream, &answer.unwrap_or_default())).await;
    }
    Err(error)
}

/// What is wrong with the head that a connection ended with.
fn fault(error: &hyper::Error) -> HeadFault {
    if error.is_timeout() {
        HeadFault::TooSlow
    } else if error.is_parse_too_large() {
        HeadFault::TooLarge
    } else {
        HeadFault::Malformed
    }
}

/// Writes the last answer and reads on for a while. To close at once, while the client is still sending, would reset the
/// connection, and the client would never see the answer.
async fn end(mut stream: TcpStream, answer: &[u8]) -> io::Result<()> {
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    let mut sink = [0; 4096];
    let mut read = 0;
    while read < MAX_LINGER_BYTES {
        match stream.read(&mut sink).await? {
            0 => break,
            length => read += length,
        }
    }
    Ok(())
}

async fn serve_http2<S>(
    stream: TcpStream,
    service: S,
    idle_timeout: Duration,
    close: &CancellationToken,
) -> hyper::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<Body>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: std::error::Error + Send + Sync,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .keep_alive_interval(idle_timeout)
        .keep_alive_timeout(idle_timeout.min(MAX_PING_WAIT));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = close.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

/// Leaves out the bare 400, 414 or 431 with which hyper refuses a head that it cannot read, and keeps the connection open
/// for the problem document that takes its place when hyper has ended.
struct WithoutBareRefusals {
    stream: TokioIo<TcpStream>,
    refused: bool,
}

/// The service itself answers neither 414 nor 431, and its 400 has a document.
fn is_bare_refusal(bytes: &[u8]) -> bool {
    let Some(answer) = bytes.strip_prefix(b"HTTP/1.1 ") else { return false };
    let has_document = || answer.windows(13).any(|window| window == b"content-type:");
    answer.starts_with(b"431 ")
        || answer.starts_with(b"414 ")
        || answer.starts_with(b"400 ") && !has_document()
}

impl Read for WithoutBareRefusals {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for WithoutBareRefusals {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if is_bare_refusal(bytes) {
            self.refused = true;
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.refused {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
