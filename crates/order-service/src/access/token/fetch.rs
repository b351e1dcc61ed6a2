//! Fetches a document, bounded in time and size: over HTTPS, or from this machine over HTTP.

use std::time::Duration;

use anyhow::{Context, bail};
use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use tokio::net::TcpStream;

use crate::client;

/// Longest document.
pub(super) const MAX_BYTES: usize = 256 * 1024;
/// For all of it: the connection, the answer's head and its body.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is answered at a URL. Nobody is followed elsewhere.
pub(super) async fn url(url: &Uri) -> Result<Vec<u8>, String> {
    let fetched = tokio::time::timeout(PATIENCE, get(url)).await;
    let fetched = fetched.unwrap_or_else(|_| bail!("no answer within {} s", PATIENCE.as_secs()));
    fetched.map_err(|error| format!("{error:#}"))
}

async fn get(url: &Uri) -> anyhow::Result<Vec<u8>> {
    let host = url.host().context("the URL has no host")?.trim_matches(['[', ']']);
    let is_https = url.scheme() == Some(&Scheme::HTTPS);
    let port = url.port_u16().unwrap_or(if is_https { 443 } else { 80 });
    let target = url.path_and_query().map_or("/", PathAndQuery::as_str);
    let request = Request::get(target)
        .header(header::HOST, url.authority().map(Authority::as_str).unwrap_or_default())
        .header(header::ACCEPT, "application/jwk-set+json, application/json")
        .body(Empty::<Bytes>::new())?;
    let stream = TcpStream::connect((host, port)).await.context("cannot connect")?;
    let response = if is_https {
        // The system's root certificates may change while the service runs.
        let stream = client::connector(None)?.connect(host.to_owned().try_into()?, stream).await?;
        client::send(stream, request).await?
    } else {
        client::send(stream, request).await?
    };
    if response.status() != StatusCode::OK {
        bail!("the answer is {}", response.status());
    }
    let body = Limited::new(response.into_body(), MAX_BYTES).collect().await;
    Ok(body.map_err(anyhow::Error::from_boxed)?.to_bytes().to_vec())
}
