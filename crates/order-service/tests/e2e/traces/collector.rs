//! A collector of traces, as anybody might run one: it takes OTLP over HTTP and over gRPC, or behaves badly.

use std::convert::Infallible;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::server::wait_until;

const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Before each message of gRPC: whether it is compressed, and how long it is.
const GRPC_PREFIX_BYTES: usize = 5;

/// How a collector behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Collecting {
    /// As it should.
    Well,
    /// It takes requests and never answers.
    Hangs,
    /// It answers with an error.
    Refuses,
    /// It answers with what is no HTTP.
    Garbage,
}

/// A running collector, which ends when it is dropped.
pub(crate) struct Collector {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    _stop: DropGuard,
}

/// A request with spans.
#[derive(Clone)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
    pub(crate) spans: ExportTraceServiceRequest,
}

impl Collector {
    pub(crate) fn start(how: Collecting) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (received, stop) = (Arc::<Mutex<Vec<Received>>>::default(), CancellationToken::new());
        let (noted, stopped) = (Arc::clone(&received), stop.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(stopped.run_until_cancelled(serve(listener, how, noted)));
        });
        Self { port, received, _stop: stop.drop_guard() }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// All spans that have come so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let received = self.received();
        let resources = received.into_iter().flat_map(|received| received.spans.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// Waits for a span of this name.
    #[track_caller]
    pub(crate) fn span(&self, name: &str) -> Span {
        wait_until(&format!("the span {name} has come"), || {
            self.spans().into_iter().find(|span| span.name == name)
        })
    }
}

/// The value of an attribute as text.
pub(crate) fn attribute(span: &Span, name: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == name)?;
    let value = found.value.as_ref()?.value.as_ref()?;
    if let Value::StringValue(text) = value {
        return Some(text.clone());
    }
    let Value::IntValue(number) = value else { panic!("{name} is {value:?}") };
    Some(number.to_string())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn serve(listener: TcpListener, how: Collecting, received: Arc<Mutex<Vec<Received>>>) {
    let listener = net::TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let received = Arc::clone(&received);
        tokio::spawn(async move {
            if how == Collecting::Garbage {
                return tokio::io::AsyncWriteExt::write_all(&mut { stream }, b"nonsense\r\n\r\n")
                    .await
                    .unwrap_or_default();
            }
            let answer = service_fn(|request| answer(request, how, Arc::clone(&received)));
            let connections = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            // The other side may go away at any time.
            let _ = connections.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

type Body = BoxBody<Bytes, Infallible>;

async fn answer(
    request: Request<Incoming>,
    how: Collecting,
    received: Arc<Mutex<Vec<Received>>>,
) -> Result<Response<Body>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let is_grpc = parts.uri.path() == GRPC_PATH;
    assert!(is_grpc || parts.uri.path() == "/v1/traces", "{}", parts.uri);
    let bytes = body[if is_grpc { GRPC_PREFIX_BYTES } else { 0 }..].to_vec();
    let spans = ExportTraceServiceRequest::decode(&*bytes).unwrap();
    received.lock().unwrap().push(Received { headers: parts.headers, bytes, spans });
    match how {
        Collecting::Hangs => std::future::pending().await,
        Collecting::Refuses => Ok(Response::builder().status(503).body(Full::default().boxed()).unwrap()),
        Collecting::Well | Collecting::Garbage if is_grpc => Ok(grpc_success()),
        Collecting::Well | Collecting::Garbage => Ok(Response::new(Full::default().boxed())),
    }
}

fn grpc_success() -> Response<Body> {
    let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
    let frames = [Frame::data(Bytes::from_static(&[0; GRPC_PREFIX_BYTES])), Frame::trailers(trailers)];
    let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok::<_, Infallible>)));
    Response::builder().header("content-type", "application/grpc").body(BodyExt::boxed(body)).unwrap()
}
