//! Accepting connections, bounded in number, and closing them without cutting anybody off.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, Version, header};
use hyper::body::Incoming;
use order_api::HeadFault;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::connection;

/// How long a draining server still takes requests on open connections, telling each client to close. A client that is
/// about to send one would otherwise find its connection reset.
const LINGER: Duration = Duration::from_millis(500);
/// How long to leave a listener alone that has just failed, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bounds of the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Most connections at once; more wait in the system's queue.
    pub(crate) connections: usize,
    /// How long a request's head may take, and a connection may be idle.
    pub(crate) idle_timeout: Duration,
}

/// A running server.
pub(crate) struct Server {
    port: u16,
    stop_accepting: CancellationToken,
    close: CancellationToken,
    connections: TaskTracker,
    router: Arc<OnceLock<Router>>,
}

impl Server {
    /// Serves `starting` on the listeners from now on, until there is something to [`serve`](Self::serve).
    pub(crate) fn start(listeners: Vec<TcpListener>, starting: Router, limits: Limits) -> Self {
        let port = listeners.first().and_then(|l| l.local_addr().ok()).map_or(0, |address| address.port());
        let server = Self {
            port,
            stop_accepting: CancellationToken::new(),
            close: CancellationToken::new(),
            connections: TaskTracker::new(),
            router: Arc::default(),
        };
        let acceptor = Arc::new(Acceptor {
            starting,
            router: Arc::clone(&server.router),
            idle_timeout: limits.idle_timeout,
            permits: Arc::new(Semaphore::new(limits.connections)),
            stop_accepting: server.stop_accepting.clone(),
            close: server.close.clone(),
            connections: server.connections.clone(),
        });
        for listener in listeners {
            server.connections.spawn(Arc::clone(&acceptor).accept(listener));
        }
        server
    }

    /// From now on requests are for `router`, also those on connections that are already open. Once.
    pub(crate) fn serve(&self, router: Router) {
        self.router.get_or_init(|| router);
    }

    /// The port in use.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Takes no more connections, lets open ones finish their requests, and returns when all are closed.
    pub(crate) async fn drain(&self) {
        self.stop_accepting.cancel();
        self.connections.close();
        tokio::select! {
            () = tokio::time::sleep(LINGER) => {}
            () = self.connections.wait() => {}
        }
        self.close.cancel();
        self.connections.wait().await;
    }
}

struct Acceptor {
    starting: Router,
    router: Arc<OnceLock<Router>>,
    idle_timeout: Duration,
    permits: Arc<Semaphore>,
    stop_accepting: CancellationToken,
    close: CancellationToken,
    connections: TaskTracker,
}

impl Acceptor {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        while let Some(permit) =
            self.stop_accepting.run_until_cancelled(self.permits.clone().acquire_owned()).await
        {
            let Some(accepted) = self.stop_accepting.run_until_cancelled(listener.accept()).await else {
                break;
            };
            match accepted {
                Ok((stream, _)) => {
                    let acceptor = Arc::clone(&self);
                    self.connections.spawn(async move {
                        acceptor.serve(stream).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        self.accept_queued(&listener).await;
    }

    /// Connections that the system has already taken would be reset when the listener closes.
    async fn accept_queued(self: Arc<Self>, listener: &TcpListener) {
        let next_queued = |cx: &mut Context<'_>| match listener.poll_accept(cx) {
            Poll::Ready(Ok((stream, _))) => Poll::Ready(Some(stream)),
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Ready(None),
        };
        while let Some(stream) = std::future::poll_fn(next_queued).await {
            let acceptor = Arc::clone(&self);
            self.connections.spawn(async move { acceptor.serve(stream).await });
        }
    }

    async fn serve(self: Arc<Self>, stream: TcpStream) {
        let acceptor = Arc::clone(&self);
        let service = hyper::service::service_fn(move |request| Arc::clone(&acceptor).answer(request));
        connection::serve(stream, service, self.idle_timeout, &self.close).await;
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let version = request.version();
        let hosts = request.headers().get_all(header::HOST).iter().count();
        let is_malformed = hosts > 1 || (hosts == 0 && version == Version::HTTP_11);
        let mut response = if is_malformed {
            HeadFault::NotOneHost.response(request.uri().path())
        } else {
            let router = self.router.get().unwrap_or(&self.starting).clone();
            router.oneshot(request.map(Body::new)).await?
        };
        if (is_malformed || self.stop_accepting.is_cancelled()) && version <= Version::HTTP_11 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}
