//! From a connection to an answer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, Request, Response, Version, header};
use hyper::body::Incoming;
use order_api::HeadFault;
use order_application::RepeatedFault;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::admission::{Admission, Wait};
use crate::connection::{self, Activity, Answer, AskedRoom, InService};
use crate::head_fault;
use crate::tls::Tls;

/// How long to leave a listener alone that has just failed, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Takes connections and serves them.
pub(super) struct Acceptor {
    pub(super) starting: Router,
    pub(super) router: Arc<OnceLock<Router>>,
    /// Without it connections are not encrypted.
    pub(super) tls: Option<Tls>,
    pub(super) idle_timeout: Duration,
    pub(super) admission: Arc<Admission>,
    pub(super) stop_accepting: CancellationToken,
    pub(super) close: CancellationToken,
    pub(super) connections: TaskTracker,
}

impl Acceptor {
    /// Takes connections until it is told to stop.
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener) {
        let failing = RepeatedFault::default();
        let (line, waiting) = mpsc::unbounded_channel();
        self.connections.spawn(Arc::clone(&self).let_in(waiting));
        while let Some(accepted) = self.stop_accepting.run_until_cancelled(listener.accept()).await {
            match accepted {
                // Only now: as long as nobody asks for a place, nobody has to give way.
                Ok((stream, from)) => {
                    if let Some(more) = failing.over() {
                        tracing::info!(more, "connections are accepted again; so many more tries failed");
                    }
                    match self.admission.wait(from.ip()).await {
                        Wait::BeforeOthers => Arc::clone(&self).serve_in_place(stream, from).await,
                        // It is there for as long as this.
                        Wait::InLine(in_line) => drop(line.send((stream, from, in_line))),
                        Wait::Nowhere => self.admission.turned_away(),
                    }
                }
                Err(error) => {
                    self.admission.figures().failed.add_one();
                    if failing.is_news() {
                        tracing::warn!(%error, "cannot accept a connection; it is tried again and again");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        self.accept_queued(&listener).await;
    }

    /// Has those in line served one after the other, so that nobody else has to wait for them.
    async fn let_in(
        self: Arc<Self>,
        mut line: UnboundedReceiver<(TcpStream, SocketAddr, OwnedSemaphorePermit)>,
    ) {
        while let Some((stream, from, _in_line)) = line.recv().await {
            Arc::clone(&self).serve_in_place(stream, from).await;
        }
    }

    /// Serves a connection once there is a place for it; or without one, so that it is told, when no more are taken.
    async fn serve_in_place(self: Arc<Self>, stream: TcpStream, from: SocketAddr) {
        let place = self.admission.place(from.ip());
        let place = self.stop_accepting.run_until_cancelled(place).await;
        self.spawn(stream, from, place);
    }

    /// Connections that the system has already taken would be reset when the listener closes.
    async fn accept_queued(self: Arc<Self>, listener: &TcpListener) {
        let next_queued = |cx: &mut Context<'_>| match listener.poll_accept(cx) {
            Poll::Ready(Ok(accepted)) => Poll::Ready(Some(accepted)),
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Ready(None),
        };
        while let Some((stream, from)) = std::future::poll_fn(next_queued).await {
            Arc::clone(&self).spawn(stream, from, None);
        }
    }

    fn spawn(self: Arc<Self>, stream: TcpStream, from: SocketAddr, place: Option<OwnedSemaphorePermit>) {
        let admitted = self.admission.admit(from.ip(), place);
        let activity = Arc::clone(admitted.activity());
        let tracker = self.connections.clone();
        let task = tracker.spawn(async move {
            self.serve(stream, admitted.activity()).await;
            drop(admitted);
        });
        activity.set_task(task.abort_handle());
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, activity: &Arc<Activity>) {
        let service = |protocol| {
            let (acceptor, activity) = (Arc::clone(&self), Arc::clone(activity));
            hyper::service::service_fn(move |mut request: Request<Incoming>| {
                // From now on, and not from when the answer is first looked for.
                let (in_service, open) = InService::begin(&activity, protocol);
                let fault = head_fault::of_fields(request.version(), request.headers());
                #[cfg(feature = "full-tests")]
                if crate::planted_faults::requests_are_told() {
                    tracing::info!(uri = %request.uri(), fields = ?request.headers(), "a head");
                }
                if fault == Some(HeadFault::TooLarge) {
                    // It is not to wait with all of that.
                    *request.headers_mut() = HeaderMap::new();
                }
                request.extensions_mut().insert(open.asked_by());
                let room = AskedRoom::new(open, protocol, &mut request);
                Arc::clone(&acceptor).answer(request, fault, in_service, room)
            })
        };
        let tls = self.tls.as_ref();
        let fault = connection::serve(stream, tls, activity, service, self.idle_timeout, &self.close).await;
        if let Some(fault) = fault {
            self.admission.figures().refused_head(fault);
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        fault: Option<HeadFault>,
        mut in_service: InService,
        room: AskedRoom,
    ) -> Result<Response<Answer>, Infallible> {
        let (version, is_safe, uri) = (request.version(), request.method().is_safe(), request.uri().clone());
        let room = room.granted(&in_service, &self.stop_accepting).await;
        let mut response = match (room, fault) {
            (Err(no_room), _) => no_room.answer(order_api::no_room_any_more(uri.path())),
            (Ok(room), Some(fault)) => {
                self.admission.figures().refused_head(fault);
                room.answer(fault.response(uri.path()), is_safe, &uri).await
            }
            (Ok(room), None) => {
                let router = self.router.get().unwrap_or(&self.starting).clone();
                let request = request.map(|body| connection::watched(body, &mut in_service));
                room.answer(router.oneshot(request).await?, is_safe, &uri).await
            }
        };
        if (fault.is_some() || self.stop_accepting.is_cancelled()) && version <= Version::HTTP_11 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        drop(in_service);
        Ok(response)
    }
}
