//! What is answered at the operators' address, which has connections and a thread of its own.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use tokio::runtime::Handle;
use tower::ServiceExt;

use crate::refusal::Refusal;
use crate::routes::{health::health, ready};
use crate::{body, edge};

/// How long the service may take to say whether it is ready: whoever asks waits a second.
const PATIENCE: Duration = Duration::from_millis(800);

/// `/health`; and `/ready` and `/metrics` as `router` answers them, which runs where it always does: on `runtime`. Nothing else.
/// Its requests are not counted, unless `router` does.
pub fn operators(router: Router, runtime: Handle) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(forwarded))
        .route("/metrics", get(forwarded))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(edge::layer(Arc::default(), None))
        .with_state(Service { router, runtime })
}

#[derive(Clone)]
struct Service {
    router: Router,
    runtime: Handle,
}

async fn forwarded(State(service): State<Service>, request: Request) -> Response {
    let asked = service.runtime.spawn(service.router.oneshot(request));
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(Ok(answer))) => answer,
        Ok(Ok(Err(never))) => match never {},
        // It did not come to it, or the service is over.
        Ok(Err(_)) | Err(_) => ready::too_busy(),
    }
}

async fn not_found(request: Request) -> Refusal {
    body::drain_request(request);
    Refusal::not_found()
}

async fn method_not_allowed(request: Request) -> Refusal {
    body::drain_request(request);
    Refusal::method_not_allowed(false)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::StatusCode;
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_service_that_does_not_come_to_answer_is_alive_and_not_ready() {
        // Nobody runs what is spawned there.
        let stalled = Builder::new_current_thread().build().unwrap();
        let ready = Router::new().route("/ready", get(health));
        let router = operators(ready, stalled.handle().clone());
        let own = Builder::new_current_thread().enable_time().build().unwrap();
        let ask = |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            own.block_on(router.clone().oneshot(request)).unwrap().status()
        };
        assert_eq!(ask("/health"), StatusCode::OK);
        assert_eq!(ask("/ready"), StatusCode::SERVICE_UNAVAILABLE);
    }
}
