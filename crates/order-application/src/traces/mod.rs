//! Where a request belongs among the requests of other services: distributed tracing.
//!
//! A caller that is traced says so with W3C's headers `traceparent` and `tracestate`. They are kept with the events that its
//! command leads to, so that whoever gets those, however late, can tell which trace they come from.
//!
//! | file | holds |
//! |---|---|
//! | `trace_parent.rs`, `trace_state.rs` | the two headers as values |
//! | `sampler.rs` | which requests are recorded here |
//! | `span.rs` | pieces of work that are recorded, and the port that takes them |
//!
//! Nobody has to record anything: without a [`Tracer`] there are no spans, and what callers say is kept all the same. Whether
//! a request is recorded is decided when it comes. One that is not has no span, and nothing is made for it.

mod sampler;
mod span;
mod trace_parent;
mod trace_state;

use std::sync::Arc;

pub use sampler::{Sampler, Share};
pub use span::{RecordedSpan, Span, SpanKind, SpanSink, SpanValue, Tracer};
pub use trace_parent::{SpanId, TRACE_PARENT, TraceId, TraceParent};
pub use trace_state::{TRACE_STATE, TraceState};

/// A place in a trace, as it is handed on from one service to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace, and the span that what comes next belongs under.
    pub parent: TraceParent,
    /// What the tracing systems on the way have to say to each other.
    pub state: Option<TraceState>,
}

impl TraceContext {
    /// What a caller says with these headers. A `tracestate` that cannot be used is left out; without a `traceparent` that can
    /// be there is nothing.
    pub fn read<'a>(parent: &str, states: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let parent = TraceParent::parse(parent)?;
        Some(Self { parent, state: TraceState::parse(states) })
    }
}

/// The spans of a commit of so many appends together: one for each command that is recorded. They are over when they are dropped.
pub fn commit<'a>(commands: impl Iterator<Item = &'a CommandTrace>, appends: usize) -> Vec<Box<Span>> {
    let spans: Vec<_> = commands.filter_map(|command| command.part("commit")).collect();
    spans.iter().for_each(|span| span.note("order.batch.appends", SpanValue::Number(appends as i64)));
    spans
}

/// Whether an attribute of an event is one of the two headers, with a value that may stand in one.
pub fn is_header(name: &str, value: &str) -> bool {
    match name {
        TRACE_PARENT => TraceParent::parse(value).is_some(),
        TRACE_STATE => TraceState::parse([value]).is_some_and(|state| state.as_str() == value),
        _ => false,
    }
}

/// The trace that a command belongs to.
#[derive(Debug, Clone, Default)]
pub enum CommandTrace {
    /// None that is known.
    #[default]
    None,
    /// Its caller's, of which nothing is recorded here.
    Callers(Box<TraceContext>),
    /// One that is recorded here, with this span.
    Recorded(Arc<Span>),
}

impl CommandTrace {
    /// The place in it that the command's events have.
    pub fn context(&self) -> Option<&TraceContext> {
        match self {
            Self::None => None,
            Self::Callers(context) => Some(context),
            Self::Recorded(span) => Some(span.context()),
        }
    }

    /// The span of a part of the command's work, if it is recorded.
    // Boxed, since it is kept while the command waits, and is mostly not there.
    pub fn part(&self, name: &'static str) -> Option<Box<Span>> {
        match self {
            Self::None | Self::Callers(_) => None,
            Self::Recorded(span) => Some(Box::new(span.child(name))),
        }
    }
}
