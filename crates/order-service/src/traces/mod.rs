//! Traces: what is recorded of requests, relays and timers, sent to a collector by OTLP
//! (<https://opentelemetry.io/docs/specs/otlp/>). Only where the environment names one.
//!
//! | file | holds |
//! |---|---|
//! | `settings.rs` | what the environment says |
//! | `exporter.rs` | the queue of spans, and the thread that sends them |
//! | `span_data.rs` | a span as OpenTelemetry has it |
//! | `collector.rs` | the collector, over gRPC or HTTP |

mod collector;
mod exporter;
mod settings;
mod span_data;

use std::sync::Arc;

use order_api::Metrics;
use order_application::SystemClock;
use order_application::traces::Tracer;

use exporter::Exporter;
pub(crate) use settings::TraceSettings;

/// What the help says of them.
pub(crate) const HELP: &str = "\
Traces are sent by OTLP where the environment says so, in OpenTelemetry's own variables: OTEL_EXPORTER_OTLP_ENDPOINT (without \
it nothing is recorded), OTEL_EXPORTER_OTLP_PROTOCOL (http/protobuf, or grpc), OTEL_EXPORTER_OTLP_HEADERS, \
OTEL_EXPORTER_OTLP_TIMEOUT, OTEL_EXPORTER_OTLP_CERTIFICATE, OTEL_TRACES_SAMPLER (parentbased_always_off unless told otherwise: \
requests whose callers are traced), OTEL_TRACES_SAMPLER_ARG, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_SDK_DISABLED.";

/// Traces that are recorded and sent.
pub(crate) struct Traces {
    /// What makes spans.
    pub(crate) tracer: Tracer,
    exporter: Exporter,
}

impl Traces {
    /// Starts the thread that sends them, and shows in metrics what becomes of them.
    pub(crate) fn start(settings: TraceSettings, metrics: &Metrics) -> anyhow::Result<Self> {
        let sampler = settings.sampler;
        tracing::info!(
            collector = %settings.endpoint,
            protocol = %settings.protocol,
            %sampler,
            "traces are sent to a collector"
        );
        let exporter = Exporter::start(settings)?;
        metrics.add(exporter.figures());
        let tracer = Tracer::new(sampler, exporter.sink(), Arc::new(SystemClock));
        Ok(Self { tracer, exporter })
    }

    /// Sends what is left, as far as the collector takes it soon.
    pub(crate) async fn stop(self) {
        self.exporter.stop().await;
    }
}
