//! What people look at in a browser.

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::{Redirect, Response};
use axum::routing::get;

use super::{docs, problems};
use crate::Api;

/// Nothing comes from elsewhere, nothing stands within the page, and nobody frames it. Swagger UI's images are data, and its
/// logo has a style of its own, which the hash names.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; \
     style-src 'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The documentation, to which the root leads, and the pages of problems.
pub(crate) fn router() -> Router<Api> {
    // "See other": the documentation is not what is at the root, and something else may be there one day.
    Router::new()
        .route("/", get(async || Redirect::to("/docs/")))
        .merge(docs::router())
        .merge(problems::router())
        .layer(map_response(guarded))
}

async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
