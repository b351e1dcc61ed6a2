use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use utoipa_axum::routes;

use crate::Api;
use crate::access::{Question, Scope};
use crate::metrics::Readiness;
use crate::openapi::ProbeRefusals;

/// Where it is, and whom it is for.
pub(super) fn question() -> Question {
    Question::of(Scope::Operate, routes!(metrics))
}

/// Figures for whoever watches the service.
///
/// In Prometheus's text format, or as OpenMetrics for scrapers that name it in `Accept`. Nothing in it tells of single orders,
/// customers or requests.
#[utoipa::path(
    get, path = "/metrics", tag = "Operations", operation_id = "metrics",
    responses(
        (status = 200, description = "A line for each value.", content(
            (String = "text/plain"),
            (String = "application/openmetrics-text"),
        )),
        ProbeRefusals,
    ),
)]
pub(crate) async fn metrics(State(api): State<Api>, headers: HeaderMap) -> Response {
    let is_ready = api.is_ready_now().await;
    api.config.metrics.with(Arc::new(Readiness(is_ready))).answer(&headers)
}
