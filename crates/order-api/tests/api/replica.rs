//! A read replica: the same routes without commands.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Method;
use order_api::{ApiConfig, router};
use order_application::{OrderService, ServiceLimits, SystemClock, UuidV7Ids};
use order_bus::InProcessBus;
use serde_json::Value;

use crate::harness::{Harness, order_body};

/// A primary with an order, and a replica on the same store.
async fn replica() -> (Harness, Harness) {
    let primary = Harness::with_order().await;
    let mut replica = Harness::with_config(ApiConfig::default());
    let service = OrderService::new(
        primary.store.clone(),
        primary.store.clone(),
        primary.store.clone(),
        Arc::new(InProcessBus::new()),
        Arc::new(SystemClock),
        Arc::new(UuidV7Ids),
        ServiceLimits::default(),
    );
    replica.router = router(service, ApiConfig { takes_commands: false, ..ApiConfig::default() });
    (primary, replica)
}

#[tokio::test]
async fn a_replica_answers_every_get_of_the_document_as_the_primary_does_and_refuses_all_else() {
    let (primary, replica) = replica().await;
    let document: Value = serde_json::from_str(&order_api::openapi_json()).unwrap();
    let mut commands = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "ord-001");
        for method in item.as_object().unwrap().keys() {
            if method == "get" {
                // Each process tells of itself.
                if path == "/metrics" {
                    assert_eq!(replica.get(&path).await.status.as_u16(), 200);
                    continue;
                }
                let expected = primary.get(&path).await;
                replica.get(&path).await.is(expected.status.as_u16(), expected.text());
                continue;
            }
            commands += 1;
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let answer = replica.send(method, &path, &[], Body::from("{}")).await;
            let answer = answer.refuses(405, "method-not-allowed");
            let detail = "This is a read replica: it answers GET and HEAD. Commands go to the primary.";
            assert_eq!(answer.json()["detail"], detail, "{path}");
            let allow = if item.get("get").is_some() { "GET,HEAD" } else { "" };
            assert_eq!(answer.header("allow"), Some(allow), "{path}");
        }
    }
    assert!(commands >= 4);
    assert_eq!(primary.event_count().await, 1);
}

#[tokio::test]
async fn a_replica_that_does_not_have_a_position_yet_asks_to_come_again() {
    let (_primary, replica) = replica().await;
    let feed = [("accept", "text/event-stream")];
    let resumed = [("accept", "text/event-stream"), ("last-event-id", "2")];
    for answer in [
        replica.get("/events?after=2").await,
        replica.get("/events?after=18446744073709551616&type=order.placed.v1").await,
        replica.get_with("/events?after=2", &feed).await,
        replica.get_with("/events", &resumed).await,
        replica.get("/orders?cursor=p2").await,
        replica.get("/orders?sort=-placed&cursor=-p2").await,
        replica.get("/orders?sort=updated&cursor=u2").await,
        replica.get("/orders?sort=-updated&cursor=-u2").await,
    ] {
        let answer = answer.refuses(503, "replica-behind").has("retry-after", "1");
        assert_eq!(answer.json()["last_position"], 1);
        assert!(answer.json()["incident"].is_null());
    }
    replica.get("/events?after=1").await.is(200, "[]");
    replica.get("/orders?cursor=p1").await.is(200, "[]");
}

#[tokio::test]
async fn a_replica_has_the_same_document_and_pages() {
    let (primary, replica) = replica().await;
    for path in ["/openapi.json", "/problems/method-not-allowed", "/docs/"] {
        let expected = primary.get(path).await;
        assert_eq!(expected.status, 200, "{path}");
        replica.get(path).await.is(200, expected.text());
    }
    replica.post("/orders", &order_body("new")).await.refuses(405, "method-not-allowed");
    replica.post("/nothing", "{}").await.refuses(404, "not-found");
}
