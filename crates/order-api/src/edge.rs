//! The one layer around every route: it writes problems out and logs the causes that they hide, since it knows what was
//! asked for, and turns a panic into a problem. It allocates nothing for a request that goes well, but for what axum needs
//! to have a layer at all.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Response};
use pin_project_lite::pin_project;
use tower::layer::layer_fn;
use tower::{Layer, Service};
use tracing::field::{Empty, display};
use tracing::{Level, Span, debug, debug_span};

use crate::body;
use crate::incidents::Incidents;
use crate::metrics::{ActiveRequest, RequestFigures};
use crate::problem::{HiddenCause, Problem};
use crate::refusal::Refusal;
use crate::trace::{Recorder, RequestSpan, Ties};

/// The layer. All routes that it is put around share their incidents. Their requests are counted there, and recorded if
/// there is a recorder.
pub(crate) fn layer<S>(
    requests: Arc<RequestFigures>,
    recorder: Option<Recorder>,
) -> impl Layer<S, Service = Edge<S>> + Clone {
    let incidents = Incidents::default();
    layer_fn(move |route| Edge {
        route,
        incidents: incidents.clone(),
        requests: Arc::clone(&requests),
        recorder: recorder.clone(),
    })
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Edge<S> {
    route: S,
    incidents: Incidents,
    requests: Arc<RequestFigures>,
    recorder: Option<Recorder>,
}

impl<S> Service<Request> for Edge<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = EdgeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.route.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> EdgeFuture<S::Future> {
        body::drain_unread(&mut request);
        let asked = Asked::of(&mut request, self);
        let answering = asked.span.in_scope(|| self.route.call(request));
        EdgeFuture { answering, asked }
    }
}

/// What is known of a request, for its refusal and for the log: a few reference counts.
struct Asked {
    method: Method,
    uri: Uri,
    /// The path as the router has it, with the names of its parameters.
    route: Option<MatchedPath>,
    /// Disabled unless the log is at debug. Whoever reads an order's id or a correlation id records it here.
    span: Span,
    /// What it is recorded with, if it is.
    recorded: Option<RequestSpan>,
    ties: Ties,
    counted: ActiveRequest,
    incidents: Incidents,
}

impl Asked {
    fn of<S>(request: &mut Request, edge: &Edge<S>) -> Self {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let route = request.extensions().get::<MatchedPath>().cloned();
        let name = route.as_ref().map(MatchedPath::as_str);
        let recorded =
            edge.recorder.as_ref().and_then(|recorder| RequestSpan::begin(recorder, request, name));
        let ties = Ties::of(request.headers());
        let span = debug_span!(
            "request",
            %method,
            route = name,
            order_id = Empty,
            correlation_id = Empty,
            trace_id = Empty
        );
        if !span.is_disabled() {
            span.record("correlation_id", ties.correlation_id());
            span.record("trace_id", ties.trace_id(recorded.as_ref()).map(display));
        }
        let counted = ActiveRequest::begin(&edge.requests);
        Self { method, uri, route, span, recorded, ties, counted, incidents: edge.incidents.clone() }
    }

    fn answer(&self, mut response: Response) -> Response {
        if let Some(Refusal(mut problem)) = Refusal::carried(&mut response) {
            self.log(&mut problem);
            response = problem.into_response(self.uri.path());
        }
        let route = self.route.as_ref().map(MatchedPath::as_str);
        let took = self.counted.answered(route, &self.method, response.status());
        if let Some(recorded) = &self.recorded {
            recorded.answered(response.status());
        }
        if !self.span.is_disabled() {
            let (status, micros) = (response.status().as_u16(), took.as_micros() as u64);
            debug!(status, micros, path = self.uri.path(), "answered");
        }
        response
    }

    /// Where a failure is logged, once for all requests that meet it. The answer names the incident that is in the log.
    fn log(&self, Problem { hidden, incident, code, .. }: &mut Problem) {
        let Some(HiddenCause { level, text: cause }) = hidden else { return };
        if let Some(known) = incident.as_ref().and_then(|name| self.incidents.note(code, cause, name)) {
            *incident = Some(known);
            return;
        }
        let incident = incident.as_deref();
        let (method, path) = (&self.method, self.uri.path());
        let route = self.route.as_ref().map(MatchedPath::as_str);
        let correlation_id = self.ties.correlation_id();
        let trace_id = self.ties.trace_id(self.recorded.as_ref()).map(display);
        if *level == Level::ERROR {
            tracing::error!(incident, code, cause, %method, route, path, correlation_id, trace_id, "request failed");
        } else {
            tracing::info!(incident, code, cause, %method, route, path, correlation_id, trace_id, "request refused");
        }
    }
}

pin_project! {
    /// The answer of a route, with problems written out.
    pub(crate) struct EdgeFuture<F> {
        #[pin]
        answering: F,
        asked: Asked,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for EdgeFuture<F> {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _in_span = this.asked.span.enter();
        // Nothing of the request is looked at again after a panic, so nothing half-changed can be seen.
        let polled = catch_unwind(AssertUnwindSafe(|| this.answering.poll(cx)));
        let response = match polled {
            Ok(poll) => ready!(poll)?,
            Err(payload) => Refusal::panic(&*payload, !this.asked.method.is_safe()).into_response(),
        };
        Poll::Ready(Ok(this.asked.answer(response)))
    }
}
