use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use utoipa::ToSchema;

use crate::openapi::ProbeRefusals;

/// Is the process alive?
///
/// Answers as long as requests are served at all; for restarts by an orchestrator. Whether traffic should come is asked of
/// `/ready`.
#[utoipa::path(
    get, path = "/health", tag = "Operations", operation_id = "health",
    responses((status = 200, description = "It is.", body = Health), ProbeRefusals),
)]
pub(crate) async fn health() -> Response {
    let mut response = Response::new(Body::from(r#"{"status":"ok"}"#));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A sign of life.
#[derive(ToSchema)]
#[schema(example = json!({"status": "ok"}))]
#[expect(dead_code, reason = "documents what is written by hand above")]
struct Health {
    /// Always `ok`.
    status: String,
}
