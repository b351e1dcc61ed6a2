//! The one layer around every route: it writes problems out, since it knows the request's path, and turns a panic
//! into one. It allocates nothing for a request that goes well, but for what axum needs to have a layer at all.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::extract::Request;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::problem::Problem;
use crate::refusal::Refusal;

/// Wraps a route in [`Edge`].
#[derive(Clone)]
pub(crate) struct EdgeLayer;

/// See the module.
#[derive(Clone)]
pub(crate) struct Edge<S>(S);

/// A problem on its way through the router. Extensions want values that can be cloned; this one is only taken.
#[derive(Clone)]
struct Carried(Arc<Mutex<Option<Problem>>>);

/// A response that stands for a problem until the edge writes it out.
pub(crate) fn carry(problem: Problem) -> Response {
    let mut response = Response::default();
    response.extensions_mut().insert(Carried(Arc::new(Mutex::new(Some(problem)))));
    response
}

fn write_out(mut response: Response, uri: &Uri) -> Response {
    let Some(Carried(problem)) = response.extensions_mut().remove::<Carried>() else { return response };
    let taken = problem.lock().unwrap_or_else(PoisonError::into_inner).take();
    match taken {
        Some(problem) => problem.into_response(uri.path()),
        None => response,
    }
}

impl<S> Layer<S> for EdgeLayer {
    type Service = Edge<S>;

    fn layer(&self, inner: S) -> Edge<S> {
        Edge(inner)
    }
}

impl<S> Service<Request> for Edge<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = EdgeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> EdgeFuture<S::Future> {
        // A Uri is a few reference counts: cheaper than asking ahead whether it will be needed.
        let uri = request.uri().clone();
        EdgeFuture { answering: self.0.call(request), uri }
    }
}

pin_project! {
    /// The answer of a route, with problems written out.
    pub(crate) struct EdgeFuture<F> {
        #[pin]
        answering: F,
        uri: Uri,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for EdgeFuture<F> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // Nothing of the request is looked at again after a panic, so nothing half-changed can be seen.
        let polled = catch_unwind(AssertUnwindSafe(|| this.answering.poll(cx)));
        let response = match polled {
            Ok(poll) => ready!(poll)?,
            Err(panic) => Refusal::Panic(panic).into_response(),
        };
        Poll::Ready(Ok(write_out(response, this.uri)))
    }
}
