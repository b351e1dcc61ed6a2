//! HTTP/2 with prior knowledge.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper_util::rt::TokioTimer;
use tokio_util::sync::CancellationToken;

use super::activity::StreamExecutor;
use super::answer::Answer;
use super::http2_transport::Http2Transport;
use super::transport::Transport;

/// Requests at once on one connection: as many as clients begin with before they have heard of a limit (RFC 9113, 6.5.2),
/// since more would be refused.
const MAX_STREAMS: u32 = 100;
/// Longest request head, in bytes, as HTTP/2 reckons them.
const MAX_HEAD_BYTES: u32 = 16 * 1024;
/// What a connection counts for among what clients have not taken: this much more memory than HTTP/1 it needs, about, idle as it
/// may be.
const CONNECTION_BYTES: usize = 16 * 1024;
/// How much of requests' bodies a client may send ahead, for each request and for all of a connection.
const WINDOW_BYTES: u32 = 64 * 1024;
/// How much of an answer is handed over before its client takes it.
const MAX_SEND_BYTES: usize = 16 * 1024;
/// Requests that a client has taken back and we have not seen yet: whoever takes back more than there can be does nothing else ("rapid
/// reset"), and is hung up on.
const MAX_RESET_STREAMS: usize = MAX_STREAMS as usize;
/// Frames that come for requests which are over, as long as a connection lasts, and other faults of single requests. An upload that is
/// refused while its body is under way may be one; so a gateway has many of them. Each costs less than a request does.
const MAX_FAULTY_STREAMS: usize = 10_000;
/// How long an idle client may take to answer a ping, at most.
const MAX_PING_WAIT: Duration = Duration::from_secs(20);

pub(super) async fn serve<S>(
    transport: Transport,
    service: S,
    idle_timeout: Duration,
    close: &CancellationToken,
) -> hyper::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<Answer>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: std::error::Error + Send + Sync,
{
    let keeping = transport.activity().keep_connection(CONNECTION_BYTES);
    let Some(_kept) = close.run_until_cancelled(keeping).await else { return Ok(()) };
    transport.activity().note_http2();
    let mut builder = http2::Builder::new(StreamExecutor(Arc::clone(transport.activity())));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD_BYTES)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_send_buf_size(MAX_SEND_BYTES)
        .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
        .max_local_error_reset_streams(MAX_FAULTY_STREAMS)
        .keep_alive_interval(idle_timeout)
        .keep_alive_timeout(idle_timeout.min(MAX_PING_WAIT));
    let transport = Http2Transport::new(transport);
    let mut connection = pin!(builder.serve_connection(transport, service));
    tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = close.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}
