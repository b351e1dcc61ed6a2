//! What is answered from the moment that the address is taken until the store is open.

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use order_application::ViewsProgress;

use crate::refusal::Refusal;
use crate::routes::{health::health, ready};
use crate::{body, edge};

/// The routes of a service whose store is being opened: it is alive, not ready, and asks everybody else to come again.
/// `views` is where the store tells how far it is.
pub fn starting(views: ViewsProgress) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(readiness))
        .fallback(not_yet)
        .method_not_allowed_fallback(not_yet)
        .layer(edge::layer())
        .with_state(views)
}

async fn readiness(State(views): State<ViewsProgress>) -> Response {
    ready::starting(&views.now())
}

async fn not_yet(request: Request) -> Refusal {
    body::drain_request(request).await;
    Refusal::starting()
}
