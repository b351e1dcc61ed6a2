//! The limit for live feeds: a hyper server that streams ready-made frames and does nothing else.

use std::convert::Infallible;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// As the service's pages are, about.
const PIECE_BYTES: usize = 80 * 1024;

/// Serves the file's bytes on every path, until SIGTERM.
pub(crate) fn run(file: &Path) -> Result<()> {
    let frames = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(frames.into()))
}

async fn serve(frames: Bytes) -> Result<()> {
    let begins = (0..frames.len()).step_by(PIECE_BYTES);
    let pieces: Vec<Bytes> =
        begins.map(|from| frames.slice(from..frames.len().min(from + PIECE_BYTES))).collect();
    let router = Router::new().route("/events", get(async move || streamed(pieces.clone())));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let mut terminate = signal(SignalKind::terminate())?;
    writeln!(std::io::stdout(), "bare-stream listening on :{port}")?;
    tokio::select! {
        served = async { axum::serve(listener, router).await } => Ok(served?),
        _ = terminate.recv() => Ok(()),
    }
}

fn streamed(pieces: Vec<Bytes>) -> impl IntoResponse {
    let body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, Infallible>)));
    ([(header::CONTENT_TYPE, "text/event-stream")], body)
}
