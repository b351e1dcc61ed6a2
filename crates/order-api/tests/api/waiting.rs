//! Whoever serves a connection is told while a request of it waits for others.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::FutureExt;
use order_api::{ApiConfig, AskedBy, Connection};
use order_application::Waits;
use tower::ServiceExt;

use crate::harness::{Harness, order_body};
use crate::stuck_store::Stuck;

/// A connection that notes whether its request waits.
#[derive(Default)]
struct Noted(AtomicBool);

impl Waits for Noted {
    fn begin_waiting(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn end_waiting(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Connection for Noted {
    fn number(&self) -> u64 {
        1
    }

    fn address(&self) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }

    fn untaken_for(&self) -> Option<Duration> {
        None
    }

    fn end_answer(&self) {}

    fn may_have_left(&self) -> bool {
        false
    }

    fn hang_up(&self) {}
}

fn placement(order_id: &str, connection: &Arc<Noted>, key: Option<&str>) -> Request<Body> {
    let request = Request::post("/orders").header("content-type", "application/json");
    let request = request.extension(AskedBy(Arc::clone(connection) as _));
    let request = key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
    request.body(order_body(order_id).into()).unwrap()
}

#[tokio::test]
async fn a_connection_is_told_while_its_command_waits_behind_others_to_the_same_order_or_key() {
    for key in [None, Some("k")] {
        let h = Harness::with_store(ApiConfig::default(), |_| Arc::new(Stuck));
        let [first, second] = [(); 2].map(|()| Arc::new(Noted::default()));
        let send = |connection| Box::pin(h.router.clone().oneshot(placement("a", connection, key)));
        let (mut at_work, mut behind) = (send(&first), send(&second));
        assert!((&mut at_work).now_or_never().is_none() && (&mut behind).now_or_never().is_none());
        let waits = [&first, &second].map(|connection| connection.0.load(Ordering::Relaxed));
        assert_eq!(waits, [false, true], "under {key:?}");
    }
}
