use std::future::ready;
use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use utoipa_swagger_ui::{Config, serve};

use crate::refusal::Refusal;
use crate::{Api, answer};

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
        .route("/openapi.json", get(move || ready(answer::json(document.clone()))))
        .route("/docs", get(Redirect::to("/docs/")))
        .route("/docs/", get(Html(include_str!("docs.html"))))
        .route("/docs/{name}", get(move |Path(name): Path<String>| ready(part_of_page(&name, &config))))
}

fn part_of_page(name: &str, config: &Arc<Config<'static>>) -> Result<Response, Refusal> {
    // It fails for no name that is there.
    let part = serve(name, Arc::clone(config)).ok().flatten().ok_or_else(Refusal::not_found)?;
    Ok(([(header::CONTENT_TYPE, part.content_type)], part.bytes).into_response())
}
