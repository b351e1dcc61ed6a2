//! HTTP/1.1 and 1.0.

use std::time::Duration;

use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use order_api::HeadFault;
use tokio_util::sync::CancellationToken;

use super::EndedEarly;
use super::answer::Answer;
use super::http1_transport::Http1Transport;
use super::socket;
use super::transport::Transport;
use crate::head_fault;
use crate::head_timer::HeadTimer;

/// Longest request head, in bytes; beyond it the answer is 431. An idle connection keeps a buffer of the length of its longest.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Most bytes that hyper gathers, read or to be written, before it waits.
const MAX_BUFFER_BYTES: usize = 16 * 1024;

pub(super) async fn serve<S>(
    transport: Transport,
    service: S,
    idle_timeout: Duration,
    close: &CancellationToken,
) -> Result<(), EndedEarly>
where
    S: Service<Request<Incoming>, Response = Response<Answer>>,
    S::Error: std::error::Error + Send + Sync + 'static,
{
    let head_timer = HeadTimer::default();
    let mut builder = http1::Builder::new();
    builder
        .timer(head_timer.clone())
        .header_read_timeout(idle_timeout)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_BUFFER_BYTES);
    // hyper would copy answers into a buffer that an idle connection keeps.
    builder.writev(true);
    let mut connection = builder.serve_connection(Http1Transport::new(transport), service);
    let served = async {
        tokio::select! {
            outcome = &mut connection => outcome,
            () = close.cancelled() => {
                std::pin::Pin::new(&mut connection).graceful_shutdown();
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
    let mut fault = None;
    if error.is_timeout() || error.is_parse() {
        // An idle connection just closes; a request that was begun gets an answer.
        let is_begun = error.is_parse() || !parts.read_buf.is_empty();
        fault = is_begun.then(|| head_fault::of_error(&error, &parts.read_buf));
        let answer = fault.map(HeadFault::answer).unwrap_or_default();
        let mut transport = parts.io.into_inner();
        socket::end(transport.socket(), &answer).await;
    }
    Err(EndedEarly { error, fault })
}
