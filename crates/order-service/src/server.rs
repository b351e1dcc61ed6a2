//! Accepting connections, bounded in number, and closing them without cutting anybody off.

mod acceptor;
mod admission;
mod descriptors;
mod line;
mod networks;
mod rooms;
mod stillness;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use acceptor::Acceptor;

use crate::tls::Tls;

pub(crate) use admission::Admission;
pub(crate) use descriptors::within_descriptors;

/// How long a draining server still takes requests on open connections, telling each client to close. A client that is
/// about to send one would otherwise find its connection reset.
const LINGER: Duration = Duration::from_millis(500);

/// Bounds of the server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Most connections at once. When there are as many, a still one gives way, of the address that has most.
    pub(crate) connections: usize,
    /// Most that wait for a place beside them, of the networks that have most, so that those of others need not wait behind them.
    /// More are hung up on, in a while. Where it is 0, all wait one behind the other.
    pub(crate) waiting: usize,
    /// How long a request's head may take, a connection may be idle, and an answer may lie without being taken.
    pub(crate) idle_timeout: Duration,
    /// Most bytes of answers that clients have not taken, of all connections together.
    pub(crate) answer_bytes: usize,
    /// A connection on which something has moved within this time gives way to none of a network that has as many.
    pub(crate) least_stillness: Duration,
    /// A request that the service is at work for keeps its connection's place for so long, and no longer.
    pub(crate) in_service: Duration,
}

/// A running server.
pub(crate) struct Server {
    port: u16,
    stop_accepting: CancellationToken,
    close: CancellationToken,
    connections: TaskTracker,
    admission: Arc<Admission>,
    router: Arc<OnceLock<Router>>,
}

impl Server {
    /// Serves `starting` on the listeners from now on, until there is something to [`serve`](Self::serve). With `tls`
    /// connections are encrypted.
    pub(crate) fn start(
        listeners: Vec<TcpListener>,
        tls: Option<Tls>,
        starting: Router,
        limits: Limits,
    ) -> Self {
        let port = listeners.first().and_then(|l| l.local_addr().ok()).map_or(0, |address| address.port());
        let server = Self {
            port,
            stop_accepting: CancellationToken::new(),
            close: CancellationToken::new(),
            connections: TaskTracker::new(),
            admission: Arc::new(Admission::new(limits)),
            router: Arc::default(),
        };
        let acceptor = Arc::new(Acceptor {
            starting,
            router: Arc::clone(&server.router),
            tls,
            idle_timeout: limits.idle_timeout,
            admission: Arc::clone(&server.admission),
            stop_accepting: server.stop_accepting.clone(),
            close: server.close.clone(),
            connections: server.connections.clone(),
        });
        for listener in listeners {
            server.connections.spawn(Arc::clone(&acceptor).accept(listener));
        }
        tokio::spawn(Arc::clone(&server.admission).watch());
        server
    }

    /// From now on requests are for `router`, also those on connections that are already open. Once.
    pub(crate) fn serve(&self, router: Router) {
        self.router.get_or_init(|| router);
    }

    /// Who is connected.
    pub(crate) fn admission(&self) -> Arc<Admission> {
        Arc::clone(&self.admission)
    }

    /// The port in use.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Requests whose answers are not wholly handed over. (Connections that only follow a live feed are not waited for.)
    pub(crate) fn requests_in_flight(&self) -> usize {
        self.admission.requests_in_flight()
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
        self.admission.hurry();
        self.connections.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use axum::routing::get;
    use futures_util::StreamExt;
    use futures_util::stream::FuturesUnordered;
    use hyper::client::conn::http2::{self, SendRequest};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpSocket, TcpStream};
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    async fn connect(port: u16) -> SendRequest<Body> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (sender, connection) =
            http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }

    async fn status_of(mut sender: SendRequest<Body>) -> u16 {
        let request = Request::get("http://test/").body(Body::empty()).unwrap();
        sender.send_request(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn whoever_waits_for_room_is_told_at_once_when_the_server_stops() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let work = CancellationToken::new();
        let is_done = work.clone();
        let router = Router::new().route("/", get(move || is_done.clone().cancelled_owned()));
        let limits = Limits {
            connections: 10,
            waiting: 0,
            idle_timeout: Duration::from_secs(60),
            // A connection finds room, and so do two of its requests.
            answer_bytes: 64 * 1024,
            least_stillness: Duration::ZERO,
            in_service: SOON,
        };
        let server = Server::start(vec![listener], None, router, limits);
        let sender = connect(server.port()).await;
        let mut answers: FuturesUnordered<_> =
            (0..5).map(|_| tokio::spawn(status_of(sender.clone()))).collect();
        while server.admission().state().waiting < 3 {
            tokio::task::yield_now().await;
        }
        let stopping = async {
            for _ in 0..3 {
                assert_eq!(answers.next().await.unwrap().unwrap(), 503);
            }
            work.cancel();
            for _ in 0..2 {
                assert_eq!(answers.next().await.unwrap().unwrap(), 200);
            }
        };
        drop(sender);
        timeout(SOON, futures_util::future::join(server.drain(), stopping)).await.expect("nobody waits");
    }

    async fn connect_from(address: [u8; 4], port: u16) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((address, 0).into()).unwrap();
        socket.connect(([127, 0, 0, 1], port).into()).await.unwrap()
    }

    /// Asks for something. Whether there is an answer.
    async fn is_answered(stream: &mut TcpStream) -> bool {
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n").await;
        let answer = timeout(SOON, stream.read(&mut [0; 1024])).await.expect("it is answered or hung up on");
        answer.is_ok_and(|bytes| bytes > 0)
    }

    #[tokio::test]
    async fn those_of_the_network_that_has_most_wait_beside_those_of_others_and_not_before_them() {
        const MOST: [u8; 4] = [127, 0, 0, 1];
        const LESS: [u8; 4] = [127, 0, 0, 2];
        // So few that connections take all that they may have, but for the line.
        const DESCRIPTORS: u64 = 256;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wanted = Limits {
            connections: 10_000,
            waiting: 1_000,
            idle_timeout: Duration::from_secs(60),
            answer_bytes: 1024 * 1024,
            // For each other something moves on all of them, and for others they are still very soon.
            least_stillness: 2 * SOON,
            in_service: SOON,
        };
        let limits = descriptors::within(DESCRIPTORS, wanted);
        let server = Server::start(vec![listener], None, Router::new().route("/", get("")), limits);
        let mut moving = Vec::new();
        for _ in 0..limits.connections {
            let mut stream = connect_from(MOST, server.port()).await;
            assert!(is_answered(&mut stream).await);
            moving.push(stream);
        }
        let mut waits = connect_from(MOST, server.port()).await;
        let mut waiting = Vec::new();
        for _ in 1..limits.waiting {
            waiting.push(connect_from(MOST, server.port()).await);
        }
        assert!(!is_answered(&mut connect_from(MOST, server.port()).await).await, "no more may wait");
        let mut other = connect_from(LESS, server.port()).await;
        assert!(is_answered(&mut other).await);
        drop((moving, waiting, other));
        assert!(is_answered(&mut waits).await);
    }
}
