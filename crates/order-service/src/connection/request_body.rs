//! A request's body, whose coming is progress, and while whose next piece is waited for it is the client's turn.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};

use super::activity::{Activity, WaitsForClient};

struct RequestBody {
    body: Incoming,
    activity: Arc<Activity>,
    waiting: Option<WaitsForClient>,
}

/// The body as the router takes it.
pub(crate) fn watched(body: Incoming, activity: &Arc<Activity>) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    activity.body_begun();
    Body::new(RequestBody { body, activity: Arc::clone(activity), waiting: None })
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.activity.body_over();
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
            let activity = &this.activity;
            this.waiting.get_or_insert_with(|| WaitsForClient::begin(Arc::clone(activity)));
        } else {
            this.waiting = None;
            this.activity.progressed();
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
