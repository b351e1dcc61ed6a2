//! The time that a request's head may take, without a timer for each request.
//!
//! hyper arms a timer whenever it begins to wait for a head and drops it when the head is there: on a busy connection tens of
//! thousands of times for each time that one comes due. Here arming is a store to memory; one real timer for the
//! connection looks, once per timeout, whether the deadline that counts by then has passed.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

/// The timer of one HTTP/1.1 connection. Its sleeps do not wake by themselves: [`HeadTimer::wake_when_due`] must run in
/// the same task as the connection.
#[derive(Clone)]
pub(crate) struct HeadTimer {
    opened: Instant,
    /// When the sleep that is under way ends, in nanoseconds after `opened`; [`NOT_ARMED`] if none is.
    deadline: Arc<AtomicU64>,
}

const NOT_ARMED: u64 = u64::MAX;

impl Default for HeadTimer {
    fn default() -> Self {
        Self { opened: Instant::now(), deadline: Arc::new(AtomicU64::new(NOT_ARMED)) }
    }
}

impl HeadTimer {
    /// Wakes the task when the sleep under way is due. No sleep may be shorter than `timeout`.
    pub(crate) async fn wake_when_due(&self, timeout: Duration) -> Infallible {
        loop {
            // A sleep that begins from now on is due after this at the earliest.
            let none_sooner = Instant::now() + timeout;
            let next = match self.deadline.load(Ordering::Relaxed) {
                NOT_ARMED => none_sooner,
                nanos => none_sooner.min(self.opened + Duration::from_nanos(nanos)),
            };
            tokio::time::sleep_until(next.into()).await;
        }
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        let nanos = deadline.saturating_duration_since(self.opened).as_nanos() as u64;
        self.deadline.store(nanos, Ordering::Relaxed);
        Box::pin(HeadSleep { deadline, nanos, armed: Arc::clone(&self.deadline) })
    }
}

/// A sleep that ends at its deadline, provided that somebody polls it then.
struct HeadSleep {
    deadline: Instant,
    nanos: u64,
    armed: Arc<AtomicU64>,
}

impl Future for HeadSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if Instant::now() < self.deadline { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Sleep for HeadSleep {}

impl Drop for HeadSleep {
    fn drop(&mut self) {
        // Not if a later sleep has taken its place, as when hyper resets one.
        let _ = self.armed.compare_exchange(self.nanos, NOT_ARMED, Ordering::Relaxed, Ordering::Relaxed);
    }
}
