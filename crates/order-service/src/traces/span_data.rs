//! A span as OpenTelemetry has it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use order_application::traces::{self, RecordedSpan, SpanValue, TraceParent};
use order_domain::Timestamp;

/// What recorded it.
const SCOPE: &str = "order-service";

pub(super) fn of(span: RecordedSpan) -> SpanData {
    let began = time(span.began);
    let state = span.context.state.as_ref().and_then(|state| state.as_str().parse().ok());
    let mut links = SpanLinks::default();
    links.links =
        span.links.iter().map(|link| Link::new(context(*link, None, true), Vec::new(), 0)).collect();
    SpanData {
        span_context: context(span.context.parent, state, false),
        parent_span_id: span.parent.map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.bytes())),
        parent_span_is_remote: span.parent_is_remote,
        span_kind: match span.kind {
            traces::SpanKind::Server => SpanKind::Server,
            traces::SpanKind::Producer => SpanKind::Producer,
            traces::SpanKind::Internal => SpanKind::Internal,
        },
        name: span.name,
        start_time: began,
        end_time: began + span.took,
        attributes: span
            .attributes
            .into_iter()
            .map(|(name, value)| KeyValue::new(name, of_value(value)))
            .collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        status: if span.failed { Status::error("") } else { Status::Unset },
        instrumentation_scope: InstrumentationScope::builder(SCOPE).build(),
    }
}

fn context(place: TraceParent, state: Option<TraceState>, is_remote: bool) -> SpanContext {
    let trace_id = TraceId::from_bytes(place.trace_id.bytes());
    let span_id = SpanId::from_bytes(place.span_id.bytes());
    let flags = TraceFlags::default().with_sampled(place.is_sampled());
    SpanContext::new(trace_id, span_id, flags, is_remote, state.unwrap_or_default())
}

fn of_value(value: SpanValue) -> Value {
    match value {
        SpanValue::Text(text) => Value::String(text.into()),
        SpanValue::Number(number) => Value::I64(number),
    }
}

/// What a clock says that is set before 1970 is shown as then.
fn time(time: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or_default())
}
