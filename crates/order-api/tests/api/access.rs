//! Who may do what, where the service asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Method;
use http_body_util::BodyExt;
use order_api::{
    Access, AccessRequest, AllowanceOf, ApiConfig, Caller, Exhausted, Metrics, NotAdmitted, Scope, Scopes,
    starting,
};
use order_application::{ReadyChecks, ReadyDetails, ViewsProgress, ViewsState, ViewsStatus};
use serde_json::Value;
use tokio::sync::Notify;

use crate::harness::{Answer, Harness, order_body};

/// Opens what a token names: `NAME:SCOPE,SCOPE`.
#[derive(Default)]
struct SaysWhatItOpens {
    is_over: AtomicBool,
    over: Notify,
}

#[async_trait]
impl Access for SaysWhatItOpens {
    async fn admit(&self, request: AccessRequest<'_>) -> Result<Arc<Caller>, NotAdmitted> {
        let token = request.token.ok_or(NotAdmitted::Nobody)?;
        if token == "often" {
            let whose = AllowanceOf::Caller;
            return Err(NotAdmitted::TooMany(Exhausted {
                whose,
                burst: 200,
                refill_seconds: 2,
                retry_after_seconds: 3,
            }));
        }
        let (name, scopes) = token.split_once(':').ok_or(NotAdmitted::BadToken("No such key."))?;
        let scopes: Scopes = scopes.split(',').filter_map(Scope::from_name).collect();
        let credential = format!("the key {name}-1").into();
        Ok(Arc::new(Caller { credential, name: name.into(), owner: name.into(), scopes, expires: None }))
    }

    async fn shut_out(&self, _: &str, scope: Scope) {
        assert_eq!(scope, Scope::Events);
        while !self.is_over.load(Ordering::Relaxed) {
            self.over.notified().await;
        }
    }
}

fn guarded() -> Harness {
    with(ApiConfig::default())
}

fn with(config: ApiConfig) -> Harness {
    Harness::with_config(ApiConfig { access: Some(Arc::new(SaysWhatItOpens::default())), ..config })
}

fn bearer(name: &str, scopes: &str) -> String {
    format!("Bearer {name}:{scopes}")
}

/// A request by somebody who has these scopes.
async fn ask(h: &Harness, method: Method, path: &str, scopes: &str, body: &str) -> Answer {
    let authorization = bearer("clerk", scopes);
    let headers = [("authorization", &*authorization), ("content-type", "application/json")];
    h.send(method, path, &headers, Body::from(body.to_owned())).await
}

async fn post(h: &Harness, path: &str, scopes: &str, body: &str) -> Answer {
    ask(h, Method::POST, path, scopes, body).await
}

/// The scopes of all operations, as the contract has them.
const SCOPES: &[(&str, &[&str])] = &[
    ("read", &["GET /orders", "GET /orders/{id}", "GET /orders/{id}/actions", "GET /orders/{id}/events"]),
    ("place", &["POST /orders"]),
    (
        "pay",
        &[
            "POST /orders/{id}/payment",
            "POST /orders/{id}/payment/decline",
            "POST /orders/{id}/payment/void",
            "POST /orders/{id}/capture",
        ],
    ),
    (
        "fulfil",
        &[
            "POST /orders/{id}/reserve",
            "POST /orders/{id}/reserve/release",
            "POST /orders/{id}/ship",
            "POST /orders/{id}/deliver",
            "POST /orders/{id}/lost",
            "POST /orders/{id}/returns/{return_id}/receive",
            "POST /orders/{id}/returns/{return_id}/reject",
            "POST /orders/{id}/complete",
        ],
    ),
    ("returns", &["POST /orders/{id}/returns"]),
    ("cancel", &["POST /orders/{id}/cancel", "POST /orders/{id}/hold", "POST /orders/{id}/unhold"]),
    ("refund", &["POST /orders/{id}/refund"]),
    ("events", &["GET /events"]),
    ("operate", &["GET /metrics"]),
    ("", &["GET /health", "GET /ready"]),
];

fn scope_of(operation: &str) -> &'static str {
    let found = SCOPES.iter().find(|(_, operations)| operations.contains(&operation));
    found.unwrap_or_else(|| panic!("{operation} has no scope in the contract")).0
}

/// Every operation of the document: its method, its path, and the scope that the document says it takes.
fn operations() -> Vec<(Method, String, Option<String>)> {
    let document: Value = serde_json::from_str(&order_api::openapi_json()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let scope = operation["x-scope"].as_str().map(str::to_owned);
            assert_eq!(operation.get("security").is_some(), scope.is_some(), "{method} {path}");
            operations.push((method.to_uppercase().parse().unwrap(), path.clone(), scope));
        }
    }
    operations
}

#[tokio::test]
async fn every_operation_takes_its_scope_and_no_other() {
    let h = guarded();
    let all: Vec<_> = Scope::ALL.into_iter().map(Scope::as_str).collect();
    for (method, template, documented) in operations() {
        let operation = format!("{method} {template}");
        let scope = scope_of(&operation);
        assert_eq!(documented.unwrap_or_default(), scope, "{operation}");
        let path = template.replace("{id}", "ord-001").replace("{return_id}", "ret-001");
        let send = |scopes: String| {
            let (h, method, path) = (&h, method.clone(), &path);
            let body = if method == Method::POST { "{}" } else { "" };
            async move { ask(h, method, path, &scopes, body).await }
        };
        if scope.is_empty() {
            assert_eq!(h.send(method, &path, &[], Body::empty()).await.status, 200, "{operation}");
            continue;
        }
        let nobody = h.send(method.clone(), &path, &[], Body::from("{}")).await;
        nobody.refuses(401, "unauthenticated").has("www-authenticate", "Bearer");
        let wrong = [("authorization", "Bearer nonsense")];
        let wrong = h.send(method.clone(), &path, &wrong, Body::from("{}")).await;
        wrong.refuses(401, "unauthenticated").has("www-authenticate", r#"Bearer error="invalid_token""#);
        let others = all.iter().copied().filter(|other| *other != scope);
        let refused = send(others.collect::<Vec<_>>().join(",")).await.refuses(403, "forbidden");
        assert_eq!(refused.json()["detail"], format!("The key clerk-1 has no scope {scope}."), "{operation}");
        let challenge = format!(r#"Bearer error="insufficient_scope", scope="{scope}""#);
        refused.has("www-authenticate", &challenge);
        let status = send(scope.to_owned()).await.status.as_u16();
        assert!(![401, 403].contains(&status), "{operation}: {status}");
    }
    assert_eq!(h.event_count().await, 0);
}

#[tokio::test]
async fn what_people_read_is_for_everybody() {
    let h = guarded();
    for path in ["/docs/", "/openapi.json", "/problems/", "/problems/forbidden", "/health", "/ready"] {
        assert_eq!(h.get(path).await.status, 200, "{path}");
    }
    assert_eq!(h.get("/").await.status, 303);
    h.get("/nowhere").await.refuses(404, "not-found");
    h.send(Method::DELETE, "/orders", &[], Body::empty()).await.refuses(405, "method-not-allowed");
}

#[tokio::test]
async fn an_authorization_that_is_no_bearer_token_is_said_to_be_none() {
    let h = guarded();
    for authorization in ["Basic b2s6b2s=", "clerk:read", "Bearer"] {
        let answer = h.get_with("/orders", &[("authorization", authorization)]).await;
        answer.refuses(401, "unauthenticated").has("www-authenticate", r#"Bearer error="invalid_request""#);
    }
}

#[tokio::test]
async fn a_dry_run_needs_to_read_besides_the_scope_of_its_command() {
    let h = guarded();
    let tried = "/orders?dry_run=true";
    let refused = post(&h, tried, "place", &order_body("ord-001")).await.refuses(403, "forbidden");
    assert_eq!(refused.json()["detail"], "The key clerk-1 has no scope read.");
    post(&h, tried, "read", &order_body("ord-001")).await.refuses(403, "forbidden");
    assert_eq!(post(&h, tried, "read,place", &order_body("ord-001")).await.status, 200);
}

#[tokio::test]
async fn a_refusal_shows_what_the_order_is_only_to_those_who_may_know() {
    let h = guarded();
    assert_eq!(post(&h, "/orders", "place", &order_body("ord-001")).await.status, 201);
    let other = order_body("ord-001").replace("1500", "1600");
    let facts = |answer: &Answer| {
        let problem = answer.json();
        ["order_status", "version", "allowed_actions"].map(|member| problem.get(member).is_some())
    };
    for strangers in ["place", "place,events", "place,operate"] {
        let refused = post(&h, "/orders", strangers, &other).await.refuses(409, "id-reused");
        assert_eq!(facts(&refused), [false; 3], "{strangers}");
    }
    for knowing in ["read", "pay", "fulfil", "returns", "cancel", "refund"] {
        let refused = post(&h, "/orders", &format!("place,{knowing}"), &other).await;
        assert_eq!(facts(&refused.refuses(409, "id-reused")), [true; 3], "{knowing}");
    }
}

#[tokio::test]
async fn a_repeated_placement_shows_how_far_the_order_has_come_only_to_those_who_may_know() {
    let h = guarded();
    let etag = |answer: Answer| answer.header("etag").map(str::to_owned);
    let place = async |scopes: &str| {
        let answer = post(&h, "/orders", scopes, &order_body("ord-001")).await;
        etag(answer.is(201, r#"{"order_id":"ord-001"}"#))
    };
    let place_with = async |key: &str| {
        let authorization = bearer("clerk", "place");
        let headers = [("authorization", &*authorization), ("idempotency-key", key)];
        etag(h.post_with("/orders", &headers, &order_body("ord-001")).await)
    };
    let first = Some("\"1\"".to_owned());
    assert_eq!(place_with("k-1").await, first, "that is its own doing");
    assert_eq!(place_with("k-1").await, first, "what a key was answered with stays");
    assert_eq!(place("place").await, None, "nor whether nothing has happened since");
    assert_eq!(post(&h, "/orders/ord-001/hold", "cancel", "{}").await.status, 202);
    assert_eq!(place("place").await, None);
    assert_eq!((place_with("k-2").await, place_with("k-2").await), (None, None));
    assert_eq!(place_with("k-1").await, first);
    assert_eq!(place("place,read").await, Some("\"2\"".to_owned()));
}

#[tokio::test]
async fn events_name_who_asked_for_them() {
    let h = guarded();
    assert_eq!(post(&h, "/orders", "place", &order_body("ord-001")).await.status, 201);
    let events = ask(&h, Method::GET, "/events", "events", "").await.json();
    assert_eq!(events[0]["actor"], "clerk");
}

#[tokio::test]
async fn an_idempotency_key_belongs_to_whoever_sent_it() {
    let h = guarded();
    let place = async |name, id| {
        let authorization = bearer(name, "place");
        let headers = [("authorization", &*authorization), ("idempotency-key", "k-1")];
        h.post_with("/orders", &headers, &order_body(id)).await
    };
    place("ann", "ord-001").await.is(201, r#"{"order_id":"ord-001"}"#);
    place("bob", "ord-002").await.is(201, r#"{"order_id":"ord-002"}"#);
    place("ann", "ord-002").await.refuses(422, "idempotency-key-reused");
    place("ann", "ord-001").await.is(201, r#"{"order_id":"ord-001"}"#).has("idempotent-replayed", "true");
}

#[tokio::test]
async fn who_asks_too_often_learns_when_to_come_again() {
    let h = guarded();
    let answer = h.get_with("/orders", &[("authorization", "Bearer often")]).await;
    answer
        .refuses(429, "too-many-requests")
        .has("retry-after", "3")
        .has("ratelimit", r#""caller";r=0;t=3"#)
        .has("ratelimit-policy", r#""caller";q=200;w=2"#);
}

/// What runs beside the requests.
struct Views;

impl ReadyDetails for Views {
    fn add_to(&self, checks: &mut ReadyChecks) {
        checks.views = Some(ViewsStatus::default());
    }

    fn is_ready(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn details_of_readiness_are_for_operators_and_words_for_all() {
    let h = with(ApiConfig { ready_details: vec![Arc::new(Views)], ..ApiConfig::default() });
    let words = r#"{"status":"ready","checks":{"lifecycle":"serving","store":"ok"}}"#;
    h.get("/ready").await.is(200, words);
    h.get_with("/ready", &[("authorization", "Bearer nonsense")]).await.is(200, words);
    ask(&h, Method::GET, "/ready", "read", "").await.is(200, words);
    let details = r#"{"lifecycle":"serving","store":"ok","views":{"state":"current"}}"#;
    let details = format!(r#"{{"status":"ready","checks":{details}}}"#);
    ask(&h, Method::GET, "/ready", "operate", "").await.is(200, &details);
}

#[tokio::test]
async fn details_of_a_start_are_for_operators() {
    let views = ViewsProgress::default();
    views.tell(ViewsStatus { state: ViewsState::Rebuilding, detail: None, done: Some(2), total: Some(7) });
    let mut h = Harness::new();
    h.router = starting(views, Metrics::default(), Some(Arc::new(SaysWhatItOpens::default())));
    let ready = |views| {
        let checks = format!(r#"{{"lifecycle":"starting","store":"opening"{views}}}"#);
        format!(r#"{{"status":"not_ready","checks":{checks}}}"#)
    };
    h.get("/ready").await.is(503, &ready(""));
    let details = ready(r#","views":{"state":"rebuilding","done":2,"total":7}"#);
    ask(&h, Method::GET, "/ready", "operate", "").await.is(503, &details);
    let metrics = ask(&h, Method::GET, "/metrics", "operate", "").await;
    for line in
        [r#"order_service_lifecycle{state="starting"} 1"#, r#"order_views_state{state="rebuilding"} 1"#]
    {
        assert!(metrics.text().lines().any(|said| said == line), "{line}: {}", metrics.text());
    }
}

#[tokio::test]
async fn metrics_of_a_start_are_not_those_of_the_service_that_has_started() {
    let metrics = Metrics::default();
    let _starting = starting(ViewsProgress::default(), metrics.clone(), None);
    let h = Harness::with_config(ApiConfig { metrics, ..ApiConfig::default() });
    let said = h.get("/metrics").await;
    let states: Vec<_> =
        said.text().lines().filter(|line| line.starts_with("order_service_lifecycle{")).collect();
    assert_eq!(states, [r#"order_service_lifecycle{state="serving"} 1"#]);
}

#[tokio::test]
async fn a_feed_ends_when_its_reader_is_shut_out() {
    let access = Arc::new(SaysWhatItOpens::default());
    let h = Harness::with_config(ApiConfig { access: Some(access.clone()), ..ApiConfig::default() });
    let authorization = bearer("clerk", "events");
    let headers = [("authorization", &*authorization), ("accept", "text/event-stream")];
    let feed = h.start(Method::GET, "/events", &headers, Body::empty()).await;
    assert_eq!(feed.status(), 200);
    access.is_over.store(true, Ordering::Relaxed);
    access.over.notify_waiters();
    access.over.notify_one();
    let ended = tokio::time::timeout(Duration::from_secs(60), feed.into_body().collect()).await;
    ended.expect("it ends").unwrap();
}
