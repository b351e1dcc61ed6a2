use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::access::Question;
use crate::answer;
use crate::openapi::ProbeRefusals;

/// Where it is, and whom it is for.
pub(super) fn question() -> Question {
    Question::of_everybody(routes!(health))
}

/// Is the process alive?
///
/// Answers as long as the process answers at all, from the moment its address is taken, when the store is not open yet; for
/// restarts by an orchestrator. So it does not say that orders are taken: whether traffic should come is asked of `/ready`.
#[utoipa::path(
    get, path = "/health", tag = "Operations", operation_id = "health",
    responses((status = 200, description = "It is.", body = Health), ProbeRefusals),
)]
pub(crate) async fn health() -> Response {
    answer::json(answer::json_text(&Health { status: "ok" }))
}

/// A sign of life.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"status": "ok"}))]
struct Health {
    /// Always `ok`.
    status: &'static str,
}
