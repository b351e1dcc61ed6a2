//! One connection, with or without TLS: HTTP/1.1 or HTTP/2, told apart by the first bytes.

mod activity;
mod answer;
mod answer_budget;
mod ciphertext;
mod http1;
mod http1_transport;
mod http2;
mod http2_frames;
mod http2_transport;
mod request_body;
mod socket;
mod transport;

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::Service;
use order_api::HeadFault;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

pub(crate) use activity::{Activity, InService, LeastStillness, Lying};
pub(crate) use answer::{Answer, AskedRoom};
pub(crate) use answer_budget::AnswerBudget;
pub(crate) use request_body::watched;

use answer::Protocol;
use socket::{Opened, Socket};
use transport::Transport;

use crate::tls::Tls;

/// A connection that ended with an error, and the fault of the head that it was refused for, if that was it.
struct EndedEarly {
    error: hyper::Error,
    fault: Option<HeadFault>,
}

/// Serves a connection until it ends, or until `close` fires and what is in flight is answered. With `tls` it is encrypted. `service` is made once it is
/// known what it answers in. Answers with the fault of the head that ended the connection, if one did.
pub(crate) async fn serve<S>(
    stream: TcpStream,
    tls: Option<&Tls>,
    activity: &Arc<Activity>,
    service: impl FnOnce(Protocol) -> S,
    idle_timeout: Duration,
    close: &CancellationToken,
) -> Option<HeadFault>
where
    S: Service<Request<Incoming>, Response = Response<Answer>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: std::error::Error + Send + Sync,
{
    // Answers are written whole; waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let opened = close.run_until_cancelled(Socket::open(stream, tls, activity, idle_timeout)).await;
    let socket = match opened {
        Some(Ok(Opened::Socket(socket))) => socket,
        Some(Ok(Opened::Refused(fault))) => return Some(fault),
        Some(Ok(Opened::Left) | Err(_)) | None => return None,
    };
    let mut transport = Transport::new(socket, Arc::clone(activity));
    let detected = close.run_until_cancelled(transport.detect(idle_timeout)).await;
    let Some(Ok(Some(protocol))) = detected else { return None };
    let service = service(protocol);
    let outcome = match protocol {
        Protocol::Http1 => http1::serve(transport, service, idle_timeout, close).await,
        Protocol::Http2 => {
            let outcome = http2::serve(transport, service, idle_timeout, close).await;
            outcome.map_err(|error| EndedEarly { error, fault: None })
        }
    };
    let EndedEarly { error, fault } = outcome.err()?;
    // Clients that hang up or talk nonsense are no fault of ours.
    tracing::debug!(%error, "a connection ended early");
    fault
}
