//! An answer's body, cut into pieces that are counted until the client has taken them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, Request, Response, Uri};
use hyper::body::{Frame, SizeHint};
use order_api::LiveFeed;
use tokio_util::sync::CancellationToken;

use super::activity::{Asking, InService, Kept, Open};
use super::answer_budget::Waiting;
use crate::metrics::GivenUp;

/// Longest piece of an answer that is handed over at once.
pub(super) const MAX_PIECE_BYTES: usize = 16 * 1024;
/// As much memory may be held by a piece of it.
const MOST_HELD_BYTES: usize = 2 * MAX_PIECE_BYTES;
/// Longest body that counts as a whole when it is there as a whole; less than the least budget.
const MAX_WHOLE_BYTES: usize = 8 * 1024 * 1024;
/// What an answer counts for besides its body: its head, and what the protocol keeps for it.
const HTTP1_ANSWER_BYTES: usize = 512;
const HTTP2_ANSWER_BYTES: usize = 4 * 1024;
/// What a field of a request's head takes besides its name and its value, about.
const FIELD_BYTES: usize = 256;
/// What a request's head takes over HTTP/2 besides its fields: it is a part of the buffer that its frames came in, and holds all of
/// it.
const HTTP2_HEAD_BYTES: usize = 16 * 1024;

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

/// Room that was asked for with a request's head. Until it is there, the head is what the request takes.
pub(crate) struct AskedRoom {
    protocol: Protocol,
    open: Open,
    bytes: usize,
    kept: Result<Kept, Waiting>,
    /// Its connection ends, and of its head nothing is left: it is never granted room.
    is_cut_off: bool,
}

impl AskedRoom {
    /// Asks at once: a request may be looked at much later than it has come.
    pub(crate) fn new<B>(open: Open, protocol: Protocol, request: &mut Request<B>) -> Self {
        let head = head_bytes(request);
        let bytes = match protocol {
            Protocol::Http1 => HTTP1_ANSWER_BYTES + head,
            Protocol::Http2 => HTTP2_ANSWER_BYTES + HTTP2_HEAD_BYTES + head,
        };
        let activity = open.activity();
        let mut is_cut_off = false;
        let kept = activity.try_keep(bytes).map(|kept| kept.of(open.stream())).ok_or_else(|| {
            if activity.is_room_crowded() {
                // It asks for more than its own, which others wait for.
                activity.cut_off(GivenUp::Room);
                is_cut_off = true;
                *request.headers_mut() = HeaderMap::new();
            }
            activity.wait(bytes)
        });
        Self { protocol, open, bytes, kept, is_cut_off }
    }

    /// Waits for others to take their answers if there is no room, but no longer than until it is `over`.
    ///
    /// # Errors
    /// It is over, and there is still none: what is left is to say so.
    pub(crate) async fn granted(
        self,
        in_service: &InService,
        over: &CancellationToken,
    ) -> Result<Room, NoRoom> {
        let Self { protocol, open, bytes, kept, is_cut_off } = self;
        let kept = match kept {
            Ok(kept) => kept,
            Err(_) if is_cut_off => {
                over.cancelled().await;
                return Err(NoRoom { protocol, open });
            }
            Err(waiting) => {
                // Whoever has taken of what all share waits for itself.
                let _own_turn = open.activity().takes_room_of_all().then(|| in_service.set_aside());
                let keeping = Arc::clone(open.activity()).keep_after(waiting, bytes);
                match over.run_until_cancelled(keeping).await {
                    Some(kept) => kept.of(open.stream()),
                    None => return Err(NoRoom { protocol, open }),
                }
            }
        };
        Ok(Room { protocol, open, kept })
    }
}

/// What is left of a request that was not given room before it was too late.
pub(crate) struct NoRoom {
    protocol: Protocol,
    open: Open,
}

impl NoRoom {
    /// A short answer, which has room although there is none: those who waited for room are not many.
    pub(crate) fn answer(self, response: Response<Body>) -> Response<Answer> {
        let Self { protocol, open } = self;
        let keep = |bytes| open.activity().keep_anyhow(bytes).of(open.stream());
        let kept = keep(HTTP1_ANSWER_BYTES);
        let in_advance = response.body().size_hint().exact().map(|bytes| keep(bytes as usize));
        let room = Room { protocol, open, kept };
        response.map(|body| room.of(body, in_advance, false))
    }
}

impl Room {
    /// The answer that has this room. A body that is there as a whole counts as a whole. If there is no room for that, it waits
    /// piece by piece; or, where it `may_be_refused`, it waits for its turn to have room, and another answer is given if there is none.
    pub(crate) async fn answer(
        self,
        response: Response<Body>,
        may_be_refused: bool,
        uri: &Uri,
    ) -> Response<Answer> {
        let activity = self.open.activity();
        let bytes = response.body().size_hint().exact().unwrap_or(0) as usize;
        let mut in_advance = None;
        if bytes > MAX_PIECE_BYTES && bytes <= MAX_WHOLE_BYTES {
            in_advance = activity.try_keep_whole(bytes);
            if in_advance.is_none() && may_be_refused {
                // It is seldom needed, and nobody else is to have room for its state.
                in_advance = Box::pin(activity.keep_whole(bytes)).await;
                if in_advance.is_none() {
                    return order_api::no_room(uri.path()).map(|refusal| self.of(refusal, None, false));
                }
            }
        }
        let in_advance = in_advance.map(|kept| kept.of(self.open.stream()));
        let is_endless = response.extensions().get::<LiveFeed>().is_some();
        response.map(|body| self.of(body, in_advance, is_endless))
    }

    fn of(self, body: Body, in_advance: Option<Kept>, is_endless: bool) -> Answer {
        let Self { protocol, open, mut kept } = self;
        // The request's head is gone.
        let kept = match protocol {
            Protocol::Http1 => {
                kept.split(HTTP1_ANSWER_BYTES).into_iter().for_each(Kept::given_until_flushed);
                open.activity().set_endless(is_endless);
                None
            }
            Protocol::Http2 => kept.split(HTTP2_ANSWER_BYTES),
        };
        Answer {
            body,
            rest: Bytes::new(),
            rest_of: 0,
            protocol,
            in_advance,
            asking: Asking::default(),
            pieces: 0,
            is_over: false,
            is_endless,
            making: None,
            open,
            _kept: kept,
        }
    }
}

/// What a request's head takes until it is answered.
fn head_bytes<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let target = uri.path_and_query().map_or(0, |target| target.as_str().len());
    let line = request.method().as_str().len() + uri.authority().map_or(0, |at| at.as_str().len()) + target;
    let fields = request.headers().iter();
    line + fields.map(|(name, value)| FIELD_BYTES + name.as_str().len() + value.len()).sum::<usize>()
}

/// The body.
pub(crate) struct Answer {
    body: Body,
    /// What is left of the piece that the body came with.
    rest: Bytes,
    /// How long the memory is that this is a part of.
    rest_of: usize,
    protocol: Protocol,
    /// Room for what comes next.
    in_advance: Option<Kept>,
    asking: Asking,
    /// How many pieces have been handed over.
    pieces: usize,
    /// Whether there are no more.
    is_over: bool,
    is_endless: bool,
    /// While the next piece is being made.
    making: Option<InService>,
    open: Open,
    _kept: Option<Kept>,
}

impl Answer {
    /// The next piece of the body as it comes. When room is short, nothing is made for which there is none.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let activity = self.open.activity();
        // A small answer finds room in what the connection has for itself.
        let is_small =
            self.body.size_hint().exact().is_some_and(|bytes| activity.has_own_room(bytes as usize));
        let is_short = self.asking.is_waiting() || activity.is_room_short();
        if self.in_advance.is_none() && is_short && !is_small {
            let kept = ready!(self.asking.poll(cx, activity, MAX_PIECE_BYTES));
            self.in_advance = Some(kept.of(self.open.stream()));
        }
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_pending() {
            // It may take long, and others could use the room.
            self.in_advance = None;
            // A feed that has nothing to say is not at work.
            if !self.is_endless {
                self.making.get_or_insert_with(|| InService::at_work(activity));
            }
        } else {
            self.making = None;
        }
        polled
    }

    /// Only what is not taken counts, and every piece of a long memory holds all of it: once half of it was taken, what is left is
    /// copied. Feeds share what they say, and count for it.
    fn let_go_of_what_was_taken(&mut self) {
        let is_long = self.rest_of > MOST_HELD_BYTES;
        if is_long && !self.is_endless && self.rest.len() <= self.rest_of / 2 {
            self.rest = Bytes::copy_from_slice(&self.rest);
            self.rest_of = self.rest.len();
        }
    }

    fn poll_room(&mut self, cx: &mut Context<'_>, bytes: usize) -> Poll<Kept> {
        match self.in_advance.as_mut().and_then(|kept| kept.split(bytes)) {
            Some(kept) => Poll::Ready(kept),
            None => {
                self.in_advance = None;
                let kept = ready!(self.asking.poll(cx, self.open.activity(), bytes));
                Poll::Ready(kept.of(self.open.stream()))
            }
        }
    }

    /// Whether its end waits until the client has taken the rest: an answer of which HTTP/2 has all, and nobody else anything, cannot
    /// be ended without its connection. One of a single piece is not worth it.
    fn has_end_waiting(&self) -> bool {
        self.pieces > 1 && self.open.stream().is_some_and(|stream| stream.has_untaken())
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        while this.rest.is_empty() && !this.is_over {
            if this.body.is_end_stream() {
                this.is_over = true;
                break;
            }
            match ready!(this.poll_body(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        this.rest_of = data.len();
                        this.rest = data;
                    }
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => this.is_over = true,
            }
        }
        if this.is_over {
            if let Some(stream) = this.open.stream().filter(|_| this.pieces > 1) {
                ready!(stream.poll_taken());
            }
            return Poll::Ready(None);
        }
        // The same each time until there is room: nothing else changes the rest.
        let length = this.rest.len().min(MAX_PIECE_BYTES);
        let kept = ready!(this.poll_room(cx, length));
        let piece = this.rest.split_to(length);
        this.let_go_of_what_was_taken();
        this.pieces += 1;
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
        self.rest.is_empty() && self.body.is_end_stream() && !self.has_end_waiting()
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::{FutureExt, stream};

    use super::*;
    use crate::connection::{Activity, AnswerBudget};

    /// The room that there is for a request.
    fn granted(room: AskedRoom, in_service: &InService) -> Room {
        let room = room.granted(in_service, &CancellationToken::new()).now_or_never();
        room.expect("there is room").ok().expect("it is not over")
    }

    fn answer_at_once(room: Room, response: Response<Body>) -> Response<Answer> {
        room.answer(response, true, &Uri::from_static("/")).now_or_never().expect("it waits for nothing")
    }

    /// An answer to a request that is over for the service but for this, and of which nothing comes yet.
    fn silent_answer(activity: &Arc<Activity>, is_feed: bool) -> Answer {
        let (in_service, open) = InService::begin(activity, Protocol::Http1);
        let room = granted(AskedRoom::new(open, Protocol::Http1, &mut Request::new(())), &in_service);
        let mut response = Response::new(Body::from_stream(stream::pending::<Result<Bytes, axum::Error>>()));
        if is_feed {
            response.extensions_mut().insert(LiveFeed);
        }
        answer_at_once(room, response).into_body()
    }

    fn poll(answer: &mut Answer) {
        let polled = Pin::new(answer).poll_frame(&mut Context::from_waker(std::task::Waker::noop()));
        assert!(polled.is_pending());
    }

    #[test]
    fn while_the_next_piece_is_made_its_client_is_not_waited_for_but_a_feed_may_have_nothing_to_say() {
        for (is_feed, is_in_service) in [(false, true), (true, false)] {
            let activity = Activity::in_test(&Arc::new(AnswerBudget::new(1 << 20)));
            let mut answer = silent_answer(&activity, is_feed);
            assert!(!activity.is_in_service());
            poll(&mut answer);
            assert_eq!(activity.is_in_service(), is_in_service);
            drop(answer);
            assert!(!activity.is_in_service());
        }
    }

    #[test]
    fn a_request_whose_head_is_thrown_away_in_a_crowd_is_never_served() {
        let budget = Arc::new(AnswerBudget::new(0));
        let activity = Activity::in_test(&budget);
        let crowd: Vec<_> =
            std::iter::from_fn(|| (!activity.is_room_crowded()).then(|| activity.waits_for(1)))
                .take(1 << 20)
                .collect();
        let (in_service, open) = InService::begin(&activity, Protocol::Http2);
        let room = AskedRoom::new(open, Protocol::Http2, &mut Request::new(()));
        // Now there would be room.
        drop(crowd);
        budget.give_back(1 << 20);
        assert!(room.granted(&in_service, &CancellationToken::new()).now_or_never().is_none());
    }

    /// Bytes that note when their memory is given back.
    struct Noted(Vec<u8>, Arc<AtomicBool>);

    impl AsRef<[u8]> for Noted {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl Drop for Noted {
        fn drop(&mut self) {
            self.1.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_last_of_a_long_answer_holds_nothing_of_what_was_taken_before() {
        let budget = Arc::new(AnswerBudget::new(1 << 20));
        let activity = Activity::in_test(&budget);
        let (in_service, open) = InService::begin(&activity, Protocol::Http2);
        let room = granted(AskedRoom::new(open, Protocol::Http2, &mut Request::new(())), &in_service);
        let is_given_back = Arc::new(AtomicBool::new(false));
        let long: Vec<u8> = (0..10 * MAX_PIECE_BYTES).map(|index| (index % 251) as u8).collect();
        let body = Bytes::from_owner(Noted(long.clone(), Arc::clone(&is_given_back)));
        let response = Response::new(Body::from(body));
        let mut answer = answer_at_once(room, response).into_body();
        let mut taken = Vec::new();
        while taken.len() < long.len() {
            let Poll::Ready(Some(Ok(piece))) =
                Pin::new(&mut answer).poll_frame(&mut Context::from_waker(std::task::Waker::noop()))
            else {
                panic!("there is room for all of it")
            };
            taken.extend_from_slice(piece.data_ref().unwrap());
            drop(piece);
            assert_eq!(is_given_back.load(Ordering::Relaxed), taken.len() >= long.len() / 2);
        }
        assert_eq!(taken, long);
    }

    #[tokio::test]
    async fn an_answer_that_is_there_as_a_whole_waits_for_its_turn_but_not_where_its_network_has_most() {
        const BYTES: usize = 1024 * 1024;
        let budget = Arc::new(AnswerBudget::new(BYTES));
        let [others, activity] = [(); 2].map(|()| Activity::in_test(&budget));
        let status = async || {
            let (in_service, open) = InService::begin(&activity, Protocol::Http1);
            let room = granted(AskedRoom::new(open, Protocol::Http1, &mut Request::new(())), &in_service);
            let response = Response::new(Body::from(vec![0; BYTES / 10]));
            room.answer(response, true, &Uri::from_static("/")).await.status().as_u16()
        };
        let taken = others.try_keep(BYTES);
        let mut waiting = Box::pin(status());
        assert_eq!((&mut waiting).now_or_never(), None);
        drop(taken);
        assert_eq!(waiting.await, 200);
        let _taken = others.try_keep(BYTES);
        assert_eq!(status().await, 503, "nobody waits for ever");
        budget.set_have_most([activity.network()].into());
        assert_eq!(status().now_or_never(), Some(503));
    }

    #[test]
    fn a_feed_that_has_nothing_to_say_lets_go_of_room_that_it_waited_for() {
        let budget = Arc::new(AnswerBudget::new(2 * MAX_PIECE_BYTES));
        let [others, activity] = [(); 2].map(|()| Activity::in_test(&budget));
        let taken = others.try_keep(2 * MAX_PIECE_BYTES);
        let mut waiting = Box::pin(Arc::clone(&others).keep(MAX_PIECE_BYTES));
        assert!((&mut waiting).now_or_never().is_none());
        let mut feed = silent_answer(&activity, true);
        poll(&mut feed);
        assert_eq!(budget.waiting(), 2, "room is short, and the feed waits for some");
        drop((taken, waiting));
        poll(&mut feed);
        assert_eq!(budget.waiting(), 0);
        assert!(others.try_keep(2 * MAX_PIECE_BYTES).is_some());
    }
}
