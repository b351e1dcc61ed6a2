use std::future::ready;
use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use utoipa_swagger_ui::{Config, serve};

use crate::Api;
use crate::refusal::Refusal;

/// The OpenAPI document, and a page to read and try it on. The page's scripts are part of this binary, and it asks no
/// validator on the internet: it works offline.
pub(super) fn router() -> Router<Api> {
    let document = Bytes::from(crate::openapi_json());
    let config = Config::from("/openapi.json")
        .validator_url("none")
        .display_request_duration(true)
        .default_models_expand_depth(0);
    let config = Arc::new(config);
    Router::new()
        .route("/openapi.json", get(move || ready(json(document.clone()))))
        .route("/docs", get(Redirect::to("/docs/")))
        .route("/docs/", get(Html(include_str!("docs.html"))))
        .route("/docs/{name}", get(move |Path(name): Path<String>| ready(part_of_page(&name, &config))))
}

fn json(document: Bytes) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], document).into_response()
}

fn part_of_page(name: &str, config: &Arc<Config<'static>>) -> Result<Response, Refusal> {
    // It fails for no name that is there.
    let part = serve(name, Arc::clone(config)).ok().flatten().ok_or(Refusal::NotFound)?;
    Ok(([(header::CONTENT_TYPE, part.content_type)], part.bytes).into_response())
}
