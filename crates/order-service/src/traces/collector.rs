//! The collector that spans are sent to, over gRPC or HTTP. TLS is the one that this project uses everywhere.

use std::fs;

use anyhow::{Context, bail};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};
use http_body_util::Full;
use hyper::body::Bytes;
use opentelemetry::KeyValue;
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use prost::Message;
use tokio_rustls::TlsConnector;

use super::settings::{Protocol, TraceSettings};
use crate::client;

/// A collector, connected to when there is something to send.
pub(super) enum Collector {
    Grpc(Box<SpanExporter>),
    Http(HttpCollector),
}

impl Collector {
    /// # Errors
    /// The authorities' file cannot be read any more.
    pub(super) fn new(settings: &TraceSettings) -> anyhow::Result<Self> {
        let attributes = settings.resource.iter();
        let attributes = attributes.map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
        let resource = Resource::builder().with_attributes(attributes).build();
        Ok(match settings.protocol {
            Protocol::Grpc => Self::Grpc(Box::new(over_grpc(settings, &resource)?)),
            Protocol::HttpProtobuf => Self::Http(HttpCollector::new(settings, &resource)?),
        })
    }

    /// Hands it spans.
    ///
    /// # Errors
    /// It does not take them, or not all.
    pub(super) async fn take(&self, spans: Vec<SpanData>) -> anyhow::Result<()> {
        match self {
            Self::Grpc(exporter) => Ok(exporter.export(spans).await?),
            Self::Http(collector) => collector.take(spans).await,
        }
    }
}

fn over_grpc(settings: &TraceSettings, resource: &Resource) -> anyhow::Result<SpanExporter> {
    let headers: HeaderMap = settings.headers.iter().cloned().collect();
    let mut exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(settings.endpoint.to_string())
        .with_timeout(settings.timeout)
        .with_metadata(MetadataMap::from_headers(headers));
    if settings.is_encrypted() {
        let tls = match &settings.authorities {
            Some(file) => {
                let certificates = fs::read(file).with_context(|| file.display().to_string())?;
                ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificates))
            }
            None => ClientTlsConfig::new().with_native_roots(),
        };
        exporter = exporter.with_tls_config(tls);
    }
    let mut exporter = exporter.build()?;
    exporter.set_resource(resource);
    Ok(exporter)
}

/// OTLP/HTTP (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>): a connection for each batch, of which there are a few a second
/// at most. OpenTelemetry's own exporter would bring another client.
pub(super) struct HttpCollector {
    endpoint: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    tls: Option<TlsConnector>,
    resource: ResourceAttributesWithSchema,
}

impl HttpCollector {
    fn new(settings: &TraceSettings, resource: &Resource) -> anyhow::Result<Self> {
        let tls = settings.is_encrypted().then(|| client::connector(settings.authorities.as_ref()));
        Ok(Self {
            endpoint: settings.endpoint.clone(),
            headers: settings.headers.clone(),
            tls: tls.transpose()?,
            resource: resource.into(),
        })
    }

    async fn take(&self, spans: Vec<SpanData>) -> anyhow::Result<()> {
        let resource_spans = group_spans_by_resource_and_scope(spans, &self.resource);
        let spans = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let answer = client::exchange(self.request(spans)?, self.tls.as_ref()).await?;
        let status = answer.status();
        if !status.is_success() {
            bail!("it answers {status}");
        }
        client::body(answer).await?;
        Ok(())
    }

    fn request(&self, spans: Vec<u8>) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request = Request::post(&self.endpoint)
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .body(Full::new(spans.into()))?;
        request.headers_mut().extend(self.headers.iter().cloned());
        Ok(request)
    }
}
