use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::Api;
use crate::refusal::Refusal;

/// The OpenAPI document, and a page to read and try it on. The page's scripts are part of this binary, and it asks no
/// validator on the internet: it works offline.
pub(super) fn router() -> Router<Api> {
    let document = Bytes::from(crate::openapi_json());
    let page = SwaggerUi::new("/docs").config(
        Config::from("/openapi.json")
            .validator_url("none")
            .display_request_duration(true)
            .default_models_expand_depth(0),
    );
    Router::from(page)
        .layer(map_response(async |response: Response| match response.status() {
            StatusCode::NOT_FOUND => Err(Refusal::NotFound),
            _ => Ok(response),
        }))
        .route("/openapi.json", get(move || std::future::ready(json(document.clone()))))
}

fn json(document: Bytes) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], document).into_response()
}
