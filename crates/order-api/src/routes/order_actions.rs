use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use order_application::ActionState;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::access::{Question, Scope};
use crate::openapi::{ActionName, OrderReadRefusals, ProblemCode, Tags};
use crate::path_id::PathOrderId;
use crate::query::Query;
use crate::refusal::{Refusal, kind_of_obstacle, sentence};
use crate::{Api, answer, etag};

/// An action, and whether it may be done next.
#[derive(Serialize, ToSchema)]
pub(crate) struct OrderAction {
    #[schema(value_type = ActionName)]
    action: &'static str,
    /// Whether there is a request of it that would be accepted and change something.
    allowed: bool,
    /// What is in the way, as a refusal would name it; absent if it is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<ProblemCode>)]
    code: Option<&'static str>,
    /// What is in the way, for people; absent if it is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Where it is, and whom it is for.
pub(super) fn question() -> Question {
    Question::of(Scope::Read, routes!(order_actions))
}

/// Ask what may be done
///
/// Every action, whether it may be done next, and what is in its way. An action is allowed exactly when there is a request
/// of it that would be accepted and change something.
#[utoipa::path(
    get, path = "/orders/{id}/actions", tag = "Reading", operation_id = "orderActions",
    params(
        ("id" = String, Path, example = "ord-001", description = "The order's id."),
        ("If-None-Match" = inline(Option<Tags>), Header,
            description = "`*`, or an `ETag` or a list of them that the client has: the answer is 304 when one is the order's."),
    ),
    responses(
        (status = 200, description = "Every action.", body = Vec<OrderAction>,
            headers(("ETag" = String, description = "The order's version in quotes, for `If-Match`."))),
        (status = 304, description = "The order is at a version that `If-None-Match` names.",
            headers(("ETag" = String, description = "That version in quotes."))),
        OrderReadRefusals,
    ),
)]
pub(crate) async fn order_actions(
    State(api): State<Api>,
    order_id: PathOrderId,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let order_id = order_id.get()?;
    let mut query = Query::new(uri.query());
    let known = etag::if_none_match(&headers, &mut query.faults);
    query.finish()?;
    let (version, actions) = api.service.actions(&order_id).await?;
    let mut response = if known.is_some_and(|versions| versions.contain(version)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        answer::json(answer::json_text(&actions.into_iter().map(shown).collect::<Vec<_>>()))
    };
    response.headers_mut().insert(header::ETAG, etag::of(version));
    Ok(response)
}

fn shown((action, obstacle): ActionState) -> OrderAction {
    OrderAction {
        action: action.as_str(),
        allowed: obstacle.is_none(),
        code: obstacle.map(|obstacle| kind_of_obstacle(obstacle.kind).code),
        reason: obstacle.map(|obstacle| sentence(&obstacle.to_string())),
    }
}
