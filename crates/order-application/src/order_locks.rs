//! One lock per order that is being worked on, in this process.
//!
//! It spares two commands to one order a conflict in the store; it is not what keeps them apart. The store's version check
//! is, since other instances know nothing of these locks.

use std::time::Duration;

use order_domain::OrderId;
use tokio::time::Instant;

use crate::backoff::random_between;
use crate::keyed_locks::{KeyGuard, KeyedLocks};

/// For so long after a conflict, whoever has the order's lock lets other instances in before each change.
const CONTENDED_FOR: Duration = Duration::from_secs(1);
/// The shortest and the longest time that others are let in: they have to read the order and to append.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(3);

pub(crate) type OrderLocks = KeyedLocks<OrderId, Lately>;
pub(crate) type OrderGuard<'a> = KeyGuard<'a, OrderId, Lately>;

/// What whoever has an order's lock leaves to the next in line; forgotten when there is none.
#[derive(Debug, Default)]
pub(crate) struct Lately {
    /// When another instance was found to have changed the order.
    conflict: Option<Instant>,
}

impl Lately {
    /// Tells the next in line, too, that another instance changes the order.
    pub(crate) fn met_conflict(&mut self) {
        self.conflict = Some(Instant::now());
    }

    /// How long to let another instance in, if one changes the order, too: it needs a round trip more to try again, and
    /// would come too late each time.
    pub(crate) fn pause_for_others(&self) -> Option<Duration> {
        let since = self.conflict?.elapsed();
        (since < CONTENDED_FOR).then(|| random_between(SHORTEST_PAUSE, LONGEST_PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn others_are_let_in_for_a_moment_as_long_as_somebody_waits_who_knows_of_a_conflict() {
        let locks = OrderLocks::new();
        let a = OrderId::new("a").unwrap();
        let mut held = locks.try_lock(&a).unwrap();
        assert_eq!(held.pause_for_others(), None);
        held.met_conflict();
        let (next, ()) = tokio::join!(locks.lock(&a, None), async {
            tokio::task::yield_now().await;
            drop(held);
        });
        let next = next.unwrap();
        let pause = next.pause_for_others().expect("a pause");
        assert!((SHORTEST_PAUSE..=LONGEST_PAUSE).contains(&pause), "{pause:?}");
        tokio::time::advance(CONTENDED_FOR).await;
        assert_eq!(next.pause_for_others(), None, "it was long ago");
    }
}
