//! Whoever serves a connection is told while a request of it waits for others; and where many wait, it matters from where.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures_util::FutureExt;
use order_api::{ApiConfig, AskedBy, Connection};
use order_application::Waits;
use tower::ServiceExt;

use crate::harness::{Harness, order_body};
use crate::stuck_store::Stuck;

/// A connection that notes whether its request waits.
struct Noted {
    waits: AtomicBool,
    address: IpAddr,
}

impl Noted {
    fn new(address: [u8; 4]) -> Arc<Self> {
        Arc::new(Self { waits: AtomicBool::default(), address: address.into() })
    }
}

impl Waits for Noted {
    fn begin_waiting(&self) {
        self.waits.store(true, Ordering::Relaxed);
    }

    fn end_waiting(&self) {
        self.waits.store(false, Ordering::Relaxed);
    }

    fn network(&self) -> IpAddr {
        order_api::network(self.address)
    }
}

impl Connection for Noted {
    fn number(&self) -> u64 {
        1
    }

    fn address(&self) -> IpAddr {
        self.address
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
        let [first, second] = [(); 2].map(|()| Noted::new([127, 0, 0, 1]));
        let send = |connection| Box::pin(h.router.clone().oneshot(placement("a", connection, key)));
        let (mut at_work, mut behind) = (send(&first), send(&second));
        assert!((&mut at_work).now_or_never().is_none() && (&mut behind).now_or_never().is_none());
        let waits = [&first, &second].map(|connection| connection.waits.load(Ordering::Relaxed));
        assert_eq!(waits, [false, true], "under {key:?}");
    }
}

#[tokio::test]
async fn a_machine_whose_commands_crowd_an_order_or_a_key_keeps_those_of_others_from_neither() {
    for key in [None, Some("k")] {
        let h = Harness::with_store(ApiConfig::default(), |_| Arc::new(Stuck));
        let [first, second] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(Noted::new);
        let send = |connection| Box::pin(h.router.clone().oneshot(placement("a", connection, key)));
        let mut crowd: Vec<_> = (0..=128).map(|_| send(&first)).collect();
        assert!(crowd.iter_mut().all(|sent| sent.now_or_never().is_none()));
        let one_more = send(&first).now_or_never().unwrap().unwrap();
        assert_eq!(one_more.status(), StatusCode::SERVICE_UNAVAILABLE, "under {key:?}");
        assert!(send(&second).now_or_never().is_none(), "another machine's waits, under {key:?}");
    }
}
