//! A service whose every byte can be foretold.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderName, Method, Request, StatusCode};
use http_body_util::BodyExt;
use order_api::{ApiConfig, router};
use order_application::{
    Clock, EventBus, EventLog, IdSource, OrderService, OrderViews, PageLimit, Position, Receipts,
    ServiceLimits,
};
use order_bus::InProcessBus;
use order_domain::Timestamp;
use order_store::MemoryStore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

use crate::document::Operation;

/// 2025-12-05T06:48:48Z, the second that the contract's examples were written in.
pub(crate) const START_SECONDS: i64 = 1_764_917_328;

/// Most events of an order here: few, and still more than one page.
pub(crate) const ORDER_EVENTS: u64 = 1_600;

/// A store keeps a log with its views, and receipts.
pub(crate) trait Store: EventLog + OrderViews + Receipts {}

impl<S: EventLog + OrderViews + Receipts> Store for S {}

pub(crate) struct Harness {
    pub(crate) router: Router,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) shutdown: CancellationToken,
    clock: Arc<FixedClock>,
}

struct FixedClock(AtomicI64);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// `00000000-0000-7000-8000-000000000001`, …02, …
struct CountedIds(AtomicU64);

impl IdSource for CountedIds {
    fn next(&self) -> Uuid {
        let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        Uuid::from_u128(0x7000_8000_0000_0000_0000 | u128::from(count))
    }
}

impl Harness {
    pub(crate) fn new() -> Self {
        Self::with_config(ApiConfig::default())
    }

    pub(crate) fn with_config(config: ApiConfig) -> Self {
        Self::with_store(config, |bus| Arc::new(MemoryStore::new(bus)))
    }

    pub(crate) fn with_limits(limits: ServiceLimits) -> Self {
        Self::put_together(ApiConfig::default(), |bus| Arc::new(MemoryStore::new(bus)), limits)
    }

    pub(crate) fn with_store(
        config: ApiConfig,
        store: impl FnOnce(Arc<dyn EventBus>) -> Arc<dyn Store>,
    ) -> Self {
        let limits = ServiceLimits { order_events: ORDER_EVENTS, ..ServiceLimits::default() };
        Self::put_together(config, store, limits)
    }

    fn put_together(
        config: ApiConfig,
        store: impl FnOnce(Arc<dyn EventBus>) -> Arc<dyn Store>,
        limits: ServiceLimits,
    ) -> Self {
        let bus: Arc<dyn EventBus> = Arc::new(InProcessBus::new());
        let store = store(Arc::clone(&bus));
        let clock = Arc::new(FixedClock(AtomicI64::new(START_SECONDS * 1_000_000)));
        let ids = Arc::new(CountedIds(AtomicU64::new(0)));
        let service = OrderService::new(
            Arc::clone(&store) as _,
            Arc::clone(&store) as _,
            Arc::clone(&store) as _,
            bus,
            Arc::clone(&clock) as _,
            ids,
            limits,
        );
        let shutdown = config.shutdown.clone();
        Self { router: router(service, config), store, shutdown, clock }
    }

    /// A harness with the order `ord-001` of two times 15.00.
    pub(crate) async fn with_order() -> Self {
        let harness = Self::new();
        harness.place("ord-001").await;
        harness
    }

    pub(crate) async fn place(&self, id: &str) {
        self.post("/orders", &order_body(id)).await.is(201, &format!(r#"{{"order_id":"{id}"}}"#));
    }

    pub(crate) fn advance(&self, time: Duration) {
        self.clock.0.fetch_add(time.as_micros() as i64, Ordering::Relaxed);
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, headers, Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.post_with(path, &[], body).await
    }

    pub(crate) async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut all = vec![("content-type", "application/json")];
        all.extend(headers);
        self.send(Method::POST, path, &all, Body::from(body.to_owned())).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Answer {
        let operation = Operation::find(&method, path);
        let (parts, body) = self.start(method, path, headers, body).await.into_parts();
        // A feed that nobody asked for never ends.
        let body = tokio::time::timeout(Duration::from_secs(60), body.collect()).await.expect("answers end");
        let body = body.expect("answers are whole").to_bytes();
        if let Some(operation) = operation {
            operation.check_body(parts.status, &parts.headers, &body);
        }
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// The answer's head, with its body still to be read.
    pub(crate) async fn start(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> axum::response::Response {
        let operation = Operation::find(&method, path);
        let (sent, body) = known(body).await;
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        if let Some(operation) = operation {
            operation.check_head(response.status(), response.headers());
            if let Some(sent) = sent.filter(|sent| !sent.is_empty() && response.status().is_success()) {
                operation.check_request(&sent);
            }
        }
        response
    }

    /// How many events there are in all.
    pub(crate) async fn event_count(&self) -> usize {
        self.store.read_log(Position::START, PageLimit::events(1_000_000)).await.unwrap().len()
    }
}

/// The bytes of a body whose size is known, so that they are there already, and the body.
async fn known(body: Body) -> (Option<Bytes>, Body) {
    if body.size_hint().exact().is_none() {
        return (None, body);
    }
    let bytes = body.collect().await.unwrap().to_bytes();
    (Some(bytes.clone()), Body::from(bytes))
}

pub(crate) fn order_body(id: &str) -> String {
    format!(
        r#"{{"order_id":"{id}","customer_id":"cust-123","items":[{{"SKU":"sku-1","Quantity":2,"UnitPriceCents":1500}}]}}"#
    )
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body, byte for byte.
    #[track_caller]
    pub(crate) fn is(self, status: u16, body: &str) -> Self {
        assert_eq!((self.status.as_u16(), self.text()), (status, body));
        self
    }

    #[track_caller]
    pub(crate) fn has(self, header: &str, value: &str) -> Self {
        assert_eq!(self.header(header), Some(value), "{header}");
        self
    }

    /// A problem of that kind.
    #[track_caller]
    pub(crate) fn refuses(self, status: u16, code: &str) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["type"], format!("/problems/{code}"), "{problem}");
        self
    }

    /// A `validation-failed` with exactly these places, in any order.
    #[track_caller]
    pub(crate) fn has_faults(self, places: &[&str]) -> Self {
        let answer = self.refuses(422, "validation-failed");
        let problem = answer.json();
        let place = |fault: &serde_json::Value| {
            let place = ["pointer", "parameter", "header"].into_iter().find_map(|kind| fault[kind].as_str());
            place.expect("every fault has a place").to_owned()
        };
        let mut found: Vec<_> = problem["errors"].as_array().unwrap().iter().map(place).collect();
        let mut expected = places.to_vec();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{problem}");
        answer
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name.parse::<HeaderName>().unwrap()).map(|value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }
}
