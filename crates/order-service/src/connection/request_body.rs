//! A request's body. Each piece that comes is progress; while the next is awaited, it is the client's turn.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};

use super::activity::{BodyTurn, InService};

struct RequestBody {
    body: Incoming,
    turn: Arc<BodyTurn>,
    is_in_chunks: bool,
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
    Body::new(RequestBody { body, turn, is_in_chunks })
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.turn.pass_to_service();
        self.turn.activity().body_over(self.is_in_chunks);
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if polled.is_pending() {
            this.turn.pass_to_client();
        } else {
            this.turn.pass_to_service();
            this.turn.activity().arrived();
        }
        #[cfg(feature = "full-tests")]
        if let (Poll::Ready(Some(Ok(frame))), true) = (&polled, crate::planted_faults::requests_are_told()) {
            tracing::info!(piece = ?frame.data_ref(), "a body");
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
