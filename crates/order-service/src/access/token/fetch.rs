//! Fetches a document, bounded in time and size: over HTTPS, or from this machine over HTTP.

use std::time::Duration;

use anyhow::bail;
use axum::http::uri::Scheme;
use axum::http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;

use crate::client;

/// Longest document.
pub(super) const MAX_BYTES: usize = 256 * 1024;
/// For all of it: the connection, the answer's head and its body.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is answered at a URL.
pub(super) async fn url(url: &Uri) -> Result<Vec<u8>, String> {
    let fetched = tokio::time::timeout(PATIENCE, get(url)).await;
    let fetched = fetched.unwrap_or_else(|_| bail!("no answer within {} s", PATIENCE.as_secs()));
    fetched.map_err(|error| format!("{error:#}"))
}

async fn get(url: &Uri) -> anyhow::Result<Vec<u8>> {
    let request = Request::get(url)
        .header(header::ACCEPT, "application/jwk-set+json, application/json")
        .body(Empty::<Bytes>::new())?;
    let is_https = url.scheme() == Some(&Scheme::HTTPS);
    // The system's root certificates may change while the service runs.
    let tls = is_https.then(|| client::connector(None)).transpose()?;
    let response = client::exchange(request, tls.as_ref()).await?;
    if response.status() != StatusCode::OK {
        bail!("the answer is {}", response.status());
    }
    let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
    Ok(body.map_err(anyhow::Error::from_boxed)?.to_bytes().to_vec())
}
