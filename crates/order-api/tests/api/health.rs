use std::sync::Arc;

use order_api::{ApiConfig, Metrics, starting};
use order_application::{ReadyChecks, ReadyDetails, ViewsProgress, ViewsState, ViewsStatus};

use crate::harness::Harness;

#[tokio::test]
async fn a_stopping_service_is_alive_and_not_ready() {
    let h = Harness::new();
    h.get("/ready")
        .await
        .is(200, r#"{"status":"ready","checks":{"lifecycle":"serving","store":"ok"}}"#)
        .has("content-type", "application/json");
    h.shutdown.cancel();
    h.get("/ready").await.is(503, r#"{"status":"not_ready","checks":{"lifecycle":"draining","store":"ok"}}"#);
    h.get("/health").await.is(200, r#"{"status":"ok"}"#);
}

/// A dependency with a word in readiness.
struct Detail {
    ready: bool,
}

impl ReadyDetails for Detail {
    fn add_to(&self, checks: &mut ReadyChecks) {
        checks.views = Some(ViewsStatus::default());
    }

    fn is_ready(&self) -> bool {
        self.ready
    }
}

#[tokio::test]
async fn what_runs_beside_the_requests_has_a_word_in_readiness() {
    for (ready, code, status) in [(true, 200, "ready"), (false, 503, "not_ready")] {
        let ready_details = vec![Arc::new(Detail { ready }) as Arc<dyn ReadyDetails>];
        let h = Harness::with_config(ApiConfig { ready_details, ..ApiConfig::default() });
        let checks = r#"{"lifecycle":"serving","store":"ok","views":{"state":"current"}}"#;
        h.get("/ready").await.is(code, &format!(r#"{{"status":"{status}","checks":{checks}}}"#));
    }
}

#[tokio::test]
async fn a_starting_service_is_alive_and_not_ready_and_asks_to_come_again() {
    let views = ViewsProgress::default();
    let mut h = Harness::new();
    h.router = starting(views.clone(), Metrics::default(), None);
    h.get("/health").await.is(200, r#"{"status":"ok"}"#);
    let ready = |views| {
        let checks = format!(r#"{{"lifecycle":"starting","store":"opening"{views}}}"#);
        format!(r#"{{"status":"not_ready","checks":{checks}}}"#)
    };
    h.get("/ready").await.is(503, &ready("")).has("content-type", "application/json");
    views.tell(ViewsStatus { state: ViewsState::Rebuilding, detail: None, done: Some(2), total: Some(7) });
    h.get("/ready").await.is(503, &ready(r#","views":{"state":"rebuilding","done":2,"total":7}"#));
    for path in ["/orders", "/nowhere"] {
        let answer = h.post(path, "{}").await.refuses(503, "store-unavailable").has("retry-after", "2");
        assert_eq!(answer.json()["instance"], path);
    }
    h.post("/health", "{}").await.refuses(503, "store-unavailable");
}
