//! What a relay records of publishing: a span for each page with events whose requests were recorded, with links to them.

use std::collections::VecDeque;

use crate::event::{Position, RecordedEvent};
use crate::traces::{Span, SpanKind, SpanValue, TraceParent, Tracer};

/// Most links of a span: what OpenTelemetry's SDKs keep unless told otherwise.
const MAX_LINKS: usize = 128;

/// What makes the spans of one relay.
#[derive(Clone)]
pub(super) struct Recorder {
    pub(super) tracer: Tracer,
    /// The relay's name.
    pub(super) relay: String,
}

impl Recorder {
    /// The span of publishing these events, if it is recorded.
    pub(super) fn begin(&self, events: &[RecordedEvent]) -> Option<Span> {
        let span = self.tracer.because_of(recorded(events), "publish", SpanKind::Producer)?;
        span.note("messaging.operation.type", "send");
        span.note("messaging.batch.message_count", SpanValue::Number(events.len() as i64));
        span.note("order.relay", self.relay.clone());
        Some(span)
    }
}

/// The spans of the requests that these events come from, of those that were recorded.
fn recorded(events: &[RecordedEvent]) -> Vec<TraceParent> {
    let mut links = Vec::new();
    let recorded = events.iter().filter_map(|event| event.context.trace_parent());
    for link in recorded.filter(|link| link.is_sampled()) {
        // The events of one command stand one after the other.
        if links.last() != Some(&link) && links.len() < MAX_LINKS {
            links.push(link);
        }
    }
    links
}

/// Spans of pages that the broker has not acknowledged yet.
#[derive(Default)]
pub(super) struct UnderWay(VecDeque<(Position, Span)>);

impl UnderWay {
    /// Waits for the acknowledgement of everything up to this position.
    pub(super) fn wait_for(&mut self, last: Position, span: Span) {
        self.0.push_back((last, span));
    }

    /// Everything up to this position is acknowledged.
    pub(super) fn acknowledged(&mut self, up_to: Position) {
        while self.0.front().is_some_and(|(last, _)| *last <= up_to) {
            self.0.pop_front();
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.iter().for_each(|(_, span)| span.fail());
    }
}
