use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Method;
use order_api::ApiConfig;
use order_application::{
    Append, AppendError, DuePage, DueQuery, EventLog, ListQuery, OrderPage, OrderSummary, OrderView,
    OrderViews, PageBuilder, PageLimit, Position, Receipt, ReceiptAge, ReceiptKey, Receipts, RecordedEvent,
    ServiceLimits, StoreError, Trimmed, Version,
};
use order_domain::{Cents, CustomerId, OrderId, Status, Timestamp};

use crate::harness::{Harness, ORDER_EVENTS, order_body};

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let h = Harness::with_order().await;
    for path in ["/order", "/orders/", "/orders/ord-001/", "/orders/ord-001/refunds", "/docs2"] {
        h.get(path).await.refuses(404, "not-found");
        h.post(path, "{}").await.refuses(404, "not-found");
    }
    h.post("/orders//payment", r#"{"payment_id":"p"}"#).await.refuses(404, "order-not-found");
    for (method, path, allow) in [
        (Method::DELETE, "/orders/ord-001", "GET,HEAD"),
        (Method::PUT, "/orders", "GET,HEAD,POST"),
        (Method::GET, "/orders/ord-001/ship", "POST"),
        (Method::POST, "/health", "GET,HEAD"),
        (Method::POST, "/", "GET,HEAD"),
        (Method::PATCH, "/events", "GET,HEAD"),
    ] {
        let answer = h.send(method, path, &[], Body::from("x")).await.refuses(405, "method-not-allowed");
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
    }
}

#[tokio::test]
async fn a_head_request_is_a_get_without_its_body() {
    let h = Harness::with_order().await;
    let answer = h.send(Method::HEAD, "/orders/ord-001", &[], Body::empty()).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    assert_eq!(answer.header("etag"), Some("\"1\""));
}

#[tokio::test]
async fn commands_take_no_parameters() {
    let h = Harness::with_order().await;
    for step in ["payment", "reserve", "ship"] {
        let answer = h.post(&format!("/orders/ord-001/{step}?x=1&y=2"), r#"{"payment_id":1}"#).await;
        let text = answer.refuses(422, "validation-failed").text().to_owned();
        assert!(
            text.contains(r#"{"parameter":"x","detail":"#) && text.contains(r#"{"parameter":"y","#),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_history_that_is_too_long_takes_no_more() {
    let h = Harness::with_order().await;
    h.post("/orders/ord-001/payment", r#"{"payment_id":"p"}"#).await.is(202, r#"{"status":"accepted"}"#);
    let last_events = ServiceLimits::default().last_events;
    for id in 2..ORDER_EVENTS - last_events {
        let path = if id % 2 == 0 { "/orders/ord-001/hold" } else { "/orders/ord-001/unhold" };
        h.post(path, "{}").await.is(202, r#"{"status":"accepted"}"#);
    }
    let refused = h.post("/orders/ord-001/hold", "{}").await.refuses(409, "order-full").json();
    assert_eq!(refused["detail"], "The order has as many events as an order may have.");
    assert_eq!(refused["version"], ORDER_EVENTS - last_events);
    assert_eq!(refused["allowed_actions"], serde_json::json!(["void", "capture", "cancel"]));
    // What was done is still answered as done, and there is room for the order's end.
    h.post("/orders/ord-001/payment", r#"{"payment_id":"p"}"#).await.is(202, r#"{"status":"accepted"}"#);
    h.post("/orders/ord-001/cancel", "{}").await.is(202, r#"{"status":"accepted"}"#);
}

/// A store that fails as it is told, or whose code is wrong.
struct FailingStore(Failure);

#[derive(Clone)]
enum Failure {
    Error(StoreError),
    AlwaysMovedOn,
    /// The log has an event, which cannot be read.
    InTheLog,
    /// The list has this order, and there is none.
    Ghost(OrderSummary),
    Panic,
}

impl FailingStore {
    fn fail<T>(&self) -> Result<T, StoreError> {
        match &self.0 {
            Failure::Error(error) => Err(error.clone()),
            Failure::InTheLog => Err(StoreError::Corrupt("secret cause".to_owned())),
            Failure::AlwaysMovedOn | Failure::Ghost(_) => Err(StoreError::Overloaded),
            Failure::Panic => panic!("a bug with a secret in it"),
        }
    }
}

#[async_trait]
impl EventLog for FailingStore {
    async fn append(&self, _: Append) -> Result<Position, AppendError> {
        match &self.0 {
            Failure::AlwaysMovedOn => Err(AppendError::Conflict { current: Version(1) }),
            Failure::Error(_) | Failure::InTheLog | Failure::Ghost(_) | Failure::Panic => Ok(self.fail()?),
        }
    }

    async fn read_stream(
        &self,
        _: &OrderId,
        _: Version,
        _: PageLimit,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        match &self.0 {
            Failure::AlwaysMovedOn | Failure::Ghost(_) => Ok(Vec::new()),
            Failure::Error(_) | Failure::InTheLog | Failure::Panic => self.fail(),
        }
    }

    async fn read_log(&self, _: Position, _: PageLimit) -> Result<Vec<RecordedEvent>, StoreError> {
        self.fail()
    }

    async fn end(&self) -> Result<Position, StoreError> {
        match &self.0 {
            Failure::InTheLog => Ok(Position(1)),
            Failure::Error(_) | Failure::AlwaysMovedOn | Failure::Ghost(_) | Failure::Panic => self.fail(),
        }
    }

    async fn version(&self, _: &OrderId) -> Result<Version, StoreError> {
        self.fail()
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.fail()
    }
}

#[async_trait]
impl OrderViews for FailingStore {
    async fn one(&self, _: &OrderId) -> Result<Option<OrderSummary>, StoreError> {
        self.fail()
    }

    async fn due(&self, _: &DueQuery) -> Result<DuePage, StoreError> {
        self.fail()
    }

    async fn count(&self, _: Status, _: usize) -> Result<usize, StoreError> {
        self.fail()
    }

    async fn many(&self, query: &ListQuery) -> Result<OrderPage, StoreError> {
        match &self.0 {
            Failure::Ghost(order) => {
                let mut page = PageBuilder::new(query);
                let _ = page.add(Position(1), Some(OrderView::Readable(order.clone())));
                Ok(page.finish())
            }
            Failure::Error(_) | Failure::AlwaysMovedOn | Failure::InTheLog | Failure::Panic => self.fail(),
        }
    }
}

#[async_trait]
impl Receipts for FailingStore {
    async fn find_receipt(&self, _: &ReceiptKey) -> Result<Option<Receipt>, StoreError> {
        self.fail()
    }

    async fn keep_receipt(&self, _: Receipt) -> Result<Receipt, StoreError> {
        self.fail()
    }

    async fn trim_receipts(&self, _: ReceiptAge, _: usize) -> Result<Trimmed, StoreError> {
        self.fail()
    }
}

fn failing(failure: Failure) -> Harness {
    Harness::with_store(ApiConfig::default(), |_| Arc::new(FailingStore(failure)))
}

#[tokio::test]
async fn a_store_that_fails_is_a_5xx_that_hides_why() {
    let secret = || "secret cause".to_owned();
    for (error, status, code, retry_after, check) in [
        (StoreError::Overloaded, 503, "overloaded", Some("1"), "overloaded"),
        (StoreError::Unavailable(secret()), 503, "store-unavailable", Some("2"), "unavailable"),
        (StoreError::DamagedView(secret()), 503, "store-unavailable", Some("2"), "unavailable"),
        (StoreError::OutcomeUnknown(secret()), 503, "outcome-unknown", Some("1"), "unavailable"),
        (StoreError::StorageFull, 507, "storage-full", None, "storage_full"),
        (StoreError::Corrupt(secret()), 503, "corrupt", None, "corrupt"),
        (StoreError::NewerRelease(secret()), 503, "newer-release-needed", Some("60"), "newer_release_needed"),
    ] {
        let h = failing(Failure::Error(error));
        let answers = [
            h.post("/orders", &order_body("o")).await,
            h.post("/orders/o/payment", r#"{"payment_id":"p"}"#).await,
            h.get("/orders").await,
            h.get("/orders/o").await,
            h.get("/orders/o?view=full").await,
            h.get("/orders/o/events").await,
            h.get("/events").await,
            h.get("/events?order_id=o").await,
            h.get_with("/events", &[("accept", "text/event-stream")]).await,
        ];
        for answer in answers {
            let answer = answer.refuses(status, code);
            assert_eq!(answer.header("retry-after"), retry_after);
            assert!(!answer.text().contains("secret"), "{}", answer.text());
            let incident = answer.json()["incident"].as_str().map(uuid::Uuid::parse_str);
            assert_eq!(matches!(incident, Some(Ok(_))), code != "overloaded", "{}", answer.text());
        }
        let ready =
            format!(r#"{{"status":"not_ready","checks":{{"lifecycle":"serving","store":"{check}"}}}}"#);
        h.get("/ready").await.is(503, &ready);
    }
}

#[tokio::test]
async fn a_feed_whose_log_cannot_be_read_ends() {
    let h = failing(Failure::InTheLog);
    h.get_with("/events", &[("accept", "text/event-stream")]).await.is(200, "id: 0\n\n");
}

#[tokio::test]
async fn an_order_that_is_listed_and_not_there_is_left_out_of_full_views() {
    let ghost = OrderSummary {
        order_id: OrderId::new("o").unwrap(),
        customer_id: CustomerId::new("c").unwrap(),
        status: Status::Placed,
        total: Cents::new(1).unwrap(),
        version: Version(1),
        placed_at: Timestamp::from_micros(0),
        updated_at: Timestamp::from_micros(0),
        due_at: None,
        on_hold: false,
    };
    let page = failing(Failure::Ghost(ghost)).get("/orders?view=full").await.is(200, "[]");
    assert_eq!(page.header("orders-left-out"), Some("1"));
}

#[tokio::test]
async fn a_panic_is_an_internal_problem_and_the_next_request_is_served() {
    let h = failing(Failure::Panic);
    let command = "This is the service's fault. The command may or may not have taken effect: \
                   sending it again with the same ids is safe.";
    let question = "This is the service's fault, and nothing was changed. The request may be sent again.";
    for (answer, detail) in [
        (h.post("/orders", &order_body("o")).await, command),
        (h.get("/orders/o").await, question),
        (h.get("/orders").await, question),
        (h.get("/ready").await, question),
    ] {
        let answer = answer.refuses(500, "internal");
        assert_eq!(answer.json()["detail"], detail);
        assert!(!answer.text().contains("secret"), "{}", answer.text());
    }
    h.get("/health").await.is(200, r#"{"status":"ok"}"#);
}

#[tokio::test]
async fn a_command_that_others_always_overtake_is_given_up() {
    let h = failing(Failure::AlwaysMovedOn);
    h.post("/orders", &order_body("o")).await.refuses(409, "concurrent-modification");
}
