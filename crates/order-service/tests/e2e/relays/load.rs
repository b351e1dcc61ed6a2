//! Clients that send a few hundred commands a second, and expect each to be accepted soon.

use std::collections::HashMap;
use std::sync::Mutex;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use crate::load::{Claim, Finish, Progress, under_watched_load};
use crate::server::Server;

/// How long a client rests after each command: eight of them send a few hundred in a second.
const REST: Duration = Duration::from_millis(20);
/// Every command is accepted within that, whatever befalls the brokers.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(10);
/// Every character that an order's id may have and brokers may trip over.
const CHARACTERS: &str = "A.z_0~:-..";

/// How long clients have waited.
#[derive(Default)]
struct Waits {
    last: HashMap<ThreadId, Instant>,
    longest: Duration,
}

/// Order ids begin with `name` and have every allowed character.
#[track_caller]
pub(crate) fn under_steady_load(port: u16, name: &str, during: impl FnOnce(&Progress)) -> Vec<Claim> {
    let waits = Mutex::new(Waits::default());
    let (claims, finishes) = under_paced_load(
        port,
        name,
        |_| {
            let mut waits = waits.lock().unwrap();
            let now = Instant::now();
            if let Some(before) = waits.last.insert(thread::current().id(), now) {
                waits.longest = waits.longest.max(now - before);
            }
        },
        |progress| {
            during(progress);
            assert_eq!(progress.refused(), 0, "commands were turned away");
        },
    );
    assert!(finishes.iter().all(|finish| matches!(finish, Finish::Stopped)), "{finishes:?}");
    let longest = waits.lock().unwrap().longest;
    assert!(longest < ACCEPTED_WITHIN, "a client waited {longest:?} for its next acknowledgement");
    claims
}

/// The same for a server that need not survive it.
pub(crate) fn under_paced_load(
    port: u16,
    name: &str,
    heard: impl Fn(u64) + Sync,
    during: impl FnOnce(&Progress),
) -> (Vec<Claim>, Vec<Finish>) {
    let heard = |count| {
        heard(count);
        thread::park_timeout(REST);
    };
    under_watched_load(port, &format!("{name}{CHARACTERS}"), &heard, during)
}

/// An order whose event has more than 16,000 bytes.
#[track_caller]
pub(crate) fn place_large(server: &Server, order_id: &str) -> Claim {
    let claim = Claim { acknowledged: 1, attempted: 1, ..Claim::new(order_id.to_owned(), 1) };
    let metadata: Vec<_> = (0..40).map(|n| format!(r#""{n}":"{}""#, "x".repeat(400))).collect();
    let body = format!(
        r#"{{"order_id":"{order_id}","customer_id":"{}","items":[{{"SKU":"sku","Quantity":1,"UnitPriceCents":1}}],"metadata":{{{}}}}}"#,
        claim.own_id(0),
        metadata.join(",")
    );
    let answer = server.post("/orders", &body);
    assert_eq!(answer.status, 201, "{answer:?}");
    claim
}

/// Waits until so many more commands were accepted.
#[track_caller]
pub(crate) fn wait_for_more(progress: &Progress, more: u64) {
    let wanted = progress.acknowledged() + more;
    super::ready::patiently("commands are accepted", || (progress.acknowledged() >= wanted).then_some(()));
}
