//! Pieces of work that are recorded.

use std::borrow::Cow;
use std::cell::LazyCell;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use order_domain::Timestamp;
use uuid::Uuid;

use super::sampler::Sampler;
use super::{SpanId, TraceContext, TraceId, TraceParent};
use crate::ports::clock::Clock;

/// Takes spans that are over.
pub trait SpanSink: Send + Sync + 'static {
    /// Takes one. It MUST NOT wait: what there is no room for is dropped.
    fn take(&self, span: RecordedSpan);
}

/// A span that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedSpan {
    /// Its trace, and its own id.
    pub context: TraceContext,
    /// The span that it is a part of.
    pub parent: Option<SpanId>,
    /// Whether that is another service's.
    pub parent_is_remote: bool,
    /// What was done, in words of which there are only few.
    pub name: Cow<'static, str>,
    /// What role this service had.
    pub kind: SpanKind,
    /// When it began.
    pub began: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What else is known of it.
    pub attributes: Vec<(&'static str, SpanValue)>,
    /// Other spans that it is because of.
    pub links: Vec<TraceParent>,
    /// Whether it failed, for a reason that lies here.
    pub failed: bool,
}

/// The role that the service has in a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// It answers a request.
    Server,
    /// It sends messages.
    Producer,
    /// It does something for itself.
    Internal,
}

/// Something known of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanValue {
    /// A text.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
}

/// Makes spans of what is recorded. Cheap to clone.
#[derive(Clone)]
pub struct Tracer(Arc<TracerParts>);

struct TracerParts {
    sampler: Sampler,
    sink: Arc<dyn SpanSink>,
    clock: Arc<dyn Clock>,
}

impl Tracer {
    /// Records what this sampler wants, into this sink.
    pub fn new(sampler: Sampler, sink: Arc<dyn SpanSink>, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(TracerParts { sampler, sink, clock }))
    }

    /// The span of a request, if it is recorded. Most are not, and cost a few random bytes at most.
    pub fn request(&self, caller: Option<&TraceContext>, name: impl FnOnce() -> String) -> Option<Span> {
        let random = LazyCell::new(RandomIds::new);
        let parent = caller.map(|caller| caller.parent);
        if !self.0.sampler.records(parent, || random.end_of_trace_id()) {
            return None;
        }
        let place = match parent {
            Some(parent) => parent.sampled_with(RandomIds::new().span_id()),
            None => random.new_trace(),
        };
        let state = caller.and_then(|caller| caller.state.clone());
        let mut span =
            RecordedSpan::new(TraceContext { parent: place, state }, Cow::Owned(name()), SpanKind::Server);
        (span.parent, span.parent_is_remote) = (parent.map(|parent| parent.span_id), parent.is_some());
        Some(self.begin(span))
    }

    /// A span of a trace of its own, for what the service does because of others that were recorded. Without any there is no
    /// span.
    pub fn because_of(&self, links: Vec<TraceParent>, name: &'static str, kind: SpanKind) -> Option<Span> {
        if links.is_empty() || !self.0.sampler.is_on() {
            return None;
        }
        let context = TraceContext { parent: RandomIds::new().new_trace(), state: None };
        let span = RecordedSpan::new(context, Cow::Borrowed(name), kind);
        Some(self.begin(RecordedSpan { links, ..span }))
    }

    fn begin(&self, mut span: RecordedSpan) -> Span {
        span.began = self.0.clock.now();
        let (tracer, context, since) = (self.clone(), span.context.clone(), Instant::now());
        Span { tracer, context, since, recorded: Mutex::new(Some(Box::new(span))) }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tracer").field(&self.0.sampler).finish()
    }
}

impl RecordedSpan {
    fn new(context: TraceContext, name: Cow<'static, str>, kind: SpanKind) -> Self {
        Self {
            context,
            parent: None,
            parent_is_remote: false,
            name,
            kind,
            began: Timestamp::from_micros(0),
            took: Duration::ZERO,
            attributes: Vec::new(),
            links: Vec::new(),
            failed: false,
        }
    }
}

/// A span that is not over yet. It is over when it is dropped.
#[derive(Debug)]
pub struct Span {
    tracer: Tracer,
    context: TraceContext,
    since: Instant,
    recorded: Mutex<Option<Box<RecordedSpan>>>,
}

impl Span {
    /// Its place, for what belongs under it.
    pub fn context(&self) -> &TraceContext {
        &self.context
    }

    /// The span of a part of this one's work.
    pub fn child(&self, name: &'static str) -> Self {
        let parent = self.context.parent.sampled_with(RandomIds::new().span_id());
        let context = TraceContext { parent, state: self.context.state.clone() };
        let span = RecordedSpan::new(context, Cow::Borrowed(name), SpanKind::Internal);
        self.tracer.begin(RecordedSpan { parent: Some(self.context.parent.span_id), ..span })
    }

    /// Notes something. What is noted leaves the service: no secrets, and nothing of customers.
    pub fn note(&self, name: &'static str, value: impl Into<SpanValue>) {
        self.change(|span| span.attributes.push((name, value.into())));
    }

    /// Notes that it failed.
    pub fn fail(&self) {
        self.change(|span| span.failed = true);
    }

    fn change(&self, change: impl FnOnce(&mut RecordedSpan)) {
        if let Some(span) = &mut *self.recorded.lock().unwrap_or_else(PoisonError::into_inner) {
            change(span);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let took = self.since.elapsed();
        if let Some(span) = self.recorded.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            self.tracer.0.sink.take(RecordedSpan { took, ..*span });
        }
    }
}

impl From<&'static str> for SpanValue {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for SpanValue {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<i64> for SpanValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// Ids of spans and traces, from the randomness of UUIDs of version 4. They say nothing, and nothing depends on them.
struct RandomIds([u8; 16]);

impl RandomIds {
    #[expect(clippy::disallowed_methods, reason = "tests need not know the ids of spans beforehand")]
    fn new() -> Self {
        Self(Uuid::new_v4().into_bytes())
    }

    /// The second half of a trace's id. Samplers decide by it: it must be as random as can be, which the bytes of the UUID that
    /// have its version and variant are not.
    fn end_of_trace_id(&self) -> u64 {
        let [first, _, _, _, _, _, _, _, _, end @ ..] = self.0;
        let [b1, b2, b3, b4, b5, b6, b7] = end;
        u64::from_be_bytes([first, b1, b2, b3, b4, b5, b6, b7])
    }

    fn new_trace(&self) -> TraceParent {
        let (start, span_id) = (Self::new(), Self::new().span_id());
        let id = u128::from(start.end_of_trace_id()) << 64 | u128::from(self.end_of_trace_id());
        let trace_id = TraceId::new(id.to_be_bytes());
        // One in 2^128.
        trace_id.map_or_else(|| self.new_trace(), |trace_id| TraceParent::sampled(trace_id, span_id))
    }

    fn span_id(&self) -> SpanId {
        SpanId::new(self.end_of_trace_id().to_be_bytes()).unwrap_or_else(|| Self::new().span_id())
    }
}

#[cfg(test)]
mod tests {
    use super::super::sampler::Share;
    use super::*;

    #[derive(Default)]
    struct Sink(Mutex<Vec<RecordedSpan>>);

    impl SpanSink for Sink {
        fn take(&self, span: RecordedSpan) {
            self.0.lock().unwrap().push(span);
        }
    }

    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(43_200_000_000)
        }
    }

    fn tracer(follows_caller: bool, others: Share) -> (Tracer, Arc<Sink>) {
        let sink = Arc::new(Sink::default());
        (Tracer::new(Sampler { follows_caller, others }, sink.clone(), Arc::new(Noon)), sink)
    }

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03";

    #[test]
    fn a_request_is_part_of_its_callers_trace_and_its_own_parts_are_part_of_it() {
        let (tracer, sink) = tracer(true, Share::None);
        let caller = TraceContext::read(CALLER, ["a=1"]).unwrap();
        let request = tracer.request(Some(&caller), || "POST /orders".to_owned()).unwrap();
        drop(request.child("decide"));
        request.note("http.route", "/orders");
        request.fail();
        let context = request.context().clone();
        assert_eq!((context.parent.trace_id, &context.state), (caller.parent.trace_id, &caller.state));
        assert_ne!(context.parent.span_id, caller.parent.span_id);
        assert!(context.parent.to_string().ends_with("-03"));
        assert_eq!(sink.0.lock().unwrap().len(), 1, "it is not over");
        drop(request);
        let [child, request] = sink.0.lock().unwrap().clone().try_into().unwrap();
        assert_eq!((child.parent, child.parent_is_remote), (Some(context.parent.span_id), false));
        assert_eq!(child.context.parent.trace_id, caller.parent.trace_id);
        assert_eq!((request.parent, request.parent_is_remote), (Some(caller.parent.span_id), true));
        assert_eq!((request.context, request.kind, request.failed), (context, SpanKind::Server, true));
        assert_eq!(request.began, Noon.now());
        assert_eq!(request.attributes, [("http.route", SpanValue::from("/orders"))]);
    }

    #[test]
    fn what_is_not_recorded_has_no_span() {
        let (tracer, sink) = tracer(true, Share::None);
        let name = || unreachable!("nobody needs it");
        let caller = TraceContext::read(&CALLER.replace("-03", "-02"), []).unwrap();
        assert!(tracer.request(None, name).is_none() && tracer.request(Some(&caller), name).is_none());
        assert!(tracer.because_of(Vec::new(), "publish", SpanKind::Producer).is_none());
        assert!(sink.0.lock().unwrap().is_empty());
        let (never, _) = self::tracer(false, Share::None);
        assert!(never.because_of(vec![caller.parent], "publish", SpanKind::Producer).is_none());
    }

    #[test]
    fn traces_that_begin_here_have_ids_of_their_own() {
        let (tracer, sink) = tracer(true, Share::All);
        for _ in 0..100 {
            tracer.request(None, || "GET /orders".to_owned()).unwrap();
        }
        let spans = sink.0.lock().unwrap();
        let mut ids: Vec<_> = spans.iter().map(|span| span.context.parent.to_string()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 100);
        assert!(spans.iter().all(|span| span.parent.is_none() && span.context.parent.is_sampled()));
    }

    #[test]
    fn every_hundredth_is_about_every_hundredth() {
        let (tracer, _) = tracer(true, Share::Ratio(0.01));
        let recorded = (0..100_000).filter(|_| tracer.request(None, String::new).is_some()).count();
        // Ten times as far off as one time in three.
        assert!((700..1_300).contains(&recorded), "{recorded}");
    }
}
