//! A request's body. As much of it as is worth waiting for is progress; while the next piece is awaited, it is the client's turn.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::runtime::Handle;

use super::activity::{Activity, BodyTurn, InService};

/// Whoever sends less at a time has not moved: a byte now and then would keep a place for ever, and a server from stopping.
const LEAST_PROGRESS_BYTES: usize = 1024;

/// Over HTTP/2 a body that nobody wants is thrown away so long, as it comes. A client that has read its refusal sends no more of it.
const MAX_UNWANTED_TIME: Duration = Duration::from_secs(2);
/// What the library keeps of a request meanwhile, about.
const UNWANTED_BYTES: usize = 8 * 1024;

struct RequestBody {
    /// `None`: it is over, or thrown away.
    body: Option<Incoming>,
    turn: Arc<BodyTurn>,
    is_in_chunks: bool,
    /// What has come since it last was progress.
    new_bytes: usize,
}

/// The body as the router takes it.
pub(crate) fn watched(body: Incoming, in_service: &mut InService) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    let turn = in_service.body_turn();
    // Over HTTP/1 whoever does not say how long it is sends it in chunks.
    let is_in_chunks = body.size_hint().exact().is_none();
    turn.activity().body_begun(is_in_chunks);
    Body::new(RequestBody { body: Some(body), turn, is_in_chunks, new_bytes: 0 })
}

impl RequestBody {
    fn note_progress(&mut self, polled: &Poll<Option<Result<Frame<Bytes>, hyper::Error>>>) {
        let is_over = !matches!(polled, Poll::Ready(Some(Ok(_)))) || self.is_end_stream();
        if let Poll::Ready(Some(Ok(frame))) = polled {
            self.new_bytes += frame.data_ref().map_or(0, Bytes::len);
        }
        if is_over || self.new_bytes >= LEAST_PROGRESS_BYTES {
            self.new_bytes = 0;
            self.turn.activity().progressed();
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.turn.pass_to_service();
        self.turn.activity().body_over(self.is_in_chunks);
        if let Some(body) = self.body.take() {
            throw_away(body, self.turn.activity());
        }
    }
}

/// The rest of a body that was refused. Over HTTP/2 the client has its answer whatever becomes of the body (RFC 9113, 8.1); but what
/// it has sent before it knows comes all the same, and for requests that the library has forgotten that is a fault, of which it takes
/// a hundred before it hangs up, on all that share the connection.
fn throw_away(mut body: Incoming, activity: &Arc<Activity>) {
    let is_wanted_no_more = activity.speaks_http2() && !body.is_end_stream();
    let Some(runtime) = is_wanted_no_more.then(Handle::try_current).and_then(Result::ok) else { return };
    let Some(kept) = activity.keep_spare(UNWANTED_BYTES) else { return };
    runtime.spawn(async move {
        let rest = async { while let Some(Ok(_)) = body.frame().await {} };
        _ = tokio::time::timeout(MAX_UNWANTED_TIME, rest).await;
        drop(kept);
    });
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
        if polled.is_pending() {
            this.turn.pass_to_client();
        } else {
            this.turn.pass_to_service();
            this.turn.activity().arrived();
            this.note_progress(&polled);
        }
        #[cfg(feature = "full-tests")]
        if let (Poll::Ready(Some(Ok(frame))), true) = (&polled, crate::planted_faults::requests_are_told()) {
            tracing::info!(piece = ?frame.data_ref(), "a body");
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}
