//! An answer's body, cut into pieces that are counted until the client has taken them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use super::activity::{Activity, Asking, Kept, Open};

/// Longest piece of an answer that is handed over at once.
pub(super) const MAX_PIECE_BYTES: usize = 16 * 1024;
/// What an answer counts for besides its body: its head, and what the protocol keeps for it.
const HTTP1_ANSWER_BYTES: usize = 512;
const HTTP2_ANSWER_BYTES: usize = 2 * 1024;

/// Which protocol an answer is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Answers one after the other, each copied into a buffer for the socket.
    Http1,
    /// Many at once, each as far as its client lets it.
    Http2,
}

/// An answer's room, which is reserved before the request is looked at.
pub(crate) struct Room {
    protocol: Protocol,
    open: Open,
    kept: Kept,
}

impl Room {
    /// Waits for others to take their answers if there is none.
    pub(crate) async fn reserve(activity: &Arc<Activity>, protocol: Protocol) -> Self {
        let open = Open::begin(Arc::clone(activity));
        let bytes = match protocol {
            Protocol::Http1 => HTTP1_ANSWER_BYTES,
            Protocol::Http2 => HTTP2_ANSWER_BYTES,
        };
        let kept = Arc::clone(activity).keep(bytes).await;
        Self { protocol, open, kept }
    }

    /// The answer that has this room.
    pub(crate) fn of(self, body: Body) -> Answer {
        let Self { protocol, open, kept } = self;
        let kept = match protocol {
            Protocol::Http1 => {
                kept.given_until_flushed();
                None
            }
            Protocol::Http2 => Some(kept),
        };
        Answer { body, rest: Bytes::new(), protocol, asking: Asking::default(), open, _kept: kept }
    }
}

/// The body.
pub(crate) struct Answer {
    body: Body,
    /// What is left of the piece that the body came with.
    rest: Bytes,
    protocol: Protocol,
    asking: Asking,
    open: Open,
    _kept: Option<Kept>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        while this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        // The same each time until there is room: nothing else changes the rest.
        let length = this.rest.len().min(MAX_PIECE_BYTES);
        let kept = ready!(this.asking.poll(cx, this.open.activity(), length));
        let piece = this.rest.split_to(length);
        let piece = match this.protocol {
            Protocol::Http1 => {
                kept.given_until_flushed();
                piece
            }
            Protocol::Http2 => Bytes::from_owner(Piece { piece, _kept: kept.given() }),
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + rest);
        }
        whole
    }
}

/// A piece that counts until HTTP/2 lets go of it.
struct Piece {
    piece: Bytes,
    _kept: Kept,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}
