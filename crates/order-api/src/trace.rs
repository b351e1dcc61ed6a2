//! What ties a request to others: the trace that it belongs to, as W3C's Trace Context has it, and its correlation id. What
//! cannot be read is ignored: it is no reason to refuse a request.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use order_application::traces::{
    CommandTrace, Span, SpanValue, TRACE_PARENT, TRACE_STATE, TraceContext, TraceId, TraceParent, Tracer,
};

static TRACEPARENT: HeaderName = HeaderName::from_static(TRACE_PARENT);
static TRACESTATE: HeaderName = HeaderName::from_static(TRACE_STATE);
static X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
/// Longest correlation id that is taken over.
const MAX_CORRELATION_ID_CHARS: usize = 128;

/// Records requests.
#[derive(Clone)]
pub(crate) struct Recorder {
    tracer: Tracer,
    scheme: &'static str,
}

impl Recorder {
    pub(crate) fn new(tracer: Tracer, is_encrypted: bool) -> Self {
        Self { tracer, scheme: if is_encrypted { "https" } else { "http" } }
    }
}

/// The span of a request, which goes with it where it is recorded.
#[derive(Clone)]
pub(crate) struct RequestSpan(Arc<Span>);

impl RequestSpan {
    /// Begins one, if the request is to be recorded. What clients write themselves is left out, all but the ids of orders: a path
    /// that is no route's, a query, and the name that they call the service by may hold anything.
    pub(crate) fn begin(recorder: &Recorder, request: &mut Request, route: Option<&str>) -> Option<Self> {
        let (method, caller) = (known_method(request.method()), callers(request.headers()));
        let name = || route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
        let span = Arc::new(recorder.tracer.request(caller.as_ref(), name)?);
        span.note("http.request.method", method);
        if let Some(route) = route {
            span.note("http.route", route.to_owned());
        }
        span.note("url.scheme", recorder.scheme);
        span.note("network.protocol.version", protocol_version(request.version()));
        request.extensions_mut().insert(Self(Arc::clone(&span)));
        Some(Self(span))
    }

    /// Notes which order it is about.
    pub(crate) fn is_about(&self, order_id: &str) {
        self.0.note("order.id", order_id.to_owned());
    }

    pub(crate) fn answered(&self, status: StatusCode) {
        self.0.note("http.response.status_code", SpanValue::Number(status.as_u16().into()));
        if status.is_server_error() {
            self.0.note("error.type", status.as_str().to_owned());
            self.0.fail();
        }
    }
}

/// As the conventions want it, which have one name for all that is not known.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        _ => "_OTHER",
    }
}

fn protocol_version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

/// What a command's events are to say of it.
pub(crate) fn of_command(parts: &Parts) -> CommandTrace {
    match parts.extensions.get() {
        Some(RequestSpan(span)) => CommandTrace::Recorded(Arc::clone(span)),
        None => callers(&parts.headers)
            .map_or(CommandTrace::None, |context| CommandTrace::Callers(Box::new(context))),
    }
}

/// What the caller says. Two of them that say different things say nothing.
fn callers(headers: &HeaderMap) -> Option<TraceContext> {
    let parent = only(headers, &TRACEPARENT)?.to_str().ok()?;
    let states: Result<Vec<_>, _> = headers.get_all(&TRACESTATE).iter().map(HeaderValue::to_str).collect();
    TraceContext::read(parent, states.unwrap_or_default())
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// The correlation id that a request comes with. One that is unusable is ignored: it is only a label.
pub(crate) fn correlation_id(headers: &HeaderMap) -> Option<&str> {
    usable(headers.get(&X_CORRELATION_ID)?)
}

fn usable(correlation_id: &HeaderValue) -> Option<&str> {
    let text = correlation_id.to_str().ok()?;
    let is_usable = (1..=MAX_CORRELATION_ID_CHARS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_usable.then_some(text)
}

/// The same for the log, until it is known whether anything is to be logged.
pub(crate) struct Ties {
    correlation_id: Option<HeaderValue>,
    trace_parent: Option<HeaderValue>,
}

impl Ties {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let [correlation_id, trace_parent] =
            [headers.get(&X_CORRELATION_ID), only(headers, &TRACEPARENT)].map(Option::<&_>::cloned);
        Self { correlation_id, trace_parent }
    }

    pub(crate) fn correlation_id(&self) -> Option<&str> {
        usable(self.correlation_id.as_ref()?)
    }

    /// The trace that it is recorded in, or else its caller's.
    pub(crate) fn trace_id(&self, recorded: Option<&RequestSpan>) -> Option<TraceId> {
        let callers = || TraceParent::parse(self.trace_parent.as_ref()?.to_str().ok()?);
        let parent = recorded.map(|RequestSpan(span)| span.context().parent).or_else(callers)?;
        Some(parent.trace_id)
    }
}
