//! What must hold while a server is under attack, and afterwards.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::http::Client;
use crate::server::{Program, Server, wait_until};

/// A probe is never kept waiting longer.
pub(super) const PROMPT: Duration = Duration::from_secs(1);
/// Between two probes, which are to look on and not to be the load.
const PROBE_PAUSE: Duration = Duration::from_millis(5);
/// What the server may take of the machine's memory, whatever is done to it.
pub(super) const MOST_RESIDENT_KIB: usize = 512 * 1024;
/// Descriptors that may have been opened meanwhile for other reasons than clients.
const SPARE_DESCRIPTORS: usize = 8;

/// For a test that takes most of the machine, and of the sockets that one process may have: no other such test runs until this is
/// dropped.
pub(crate) fn one_at_a_time() -> MutexGuard<'static, ()> {
    static TESTS: Mutex<()> = Mutex::new(());
    TESTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a server is asked while it is under attack.
#[derive(Default)]
pub(crate) struct Siege {
    over: AtomicBool,
    probes: AtomicUsize,
    placed: AtomicUsize,
}

impl Siege {
    /// Holds the attack until so many probes more were answered, and as many good clients' orders were placed.
    #[track_caller]
    pub(crate) fn hold(&self, more: usize) {
        let counters = [&self.probes, &self.placed];
        let goals = counters.map(|counter| counter.load(Ordering::Relaxed) + more);
        wait_until("it has been probed often enough", || {
            let seen = counters.map(|counter| counter.load(Ordering::Relaxed));
            (seen[0] >= goals[0] && seen[1] >= goals[1] || self.over.load(Ordering::Relaxed)).then_some(())
        });
    }

    /// Asks on a new connection each time, as orchestrators do. Answers with the longest wait.
    fn probe(&self, port: u16) -> Duration {
        let _over = OverOnDrop(&self.over);
        let mut slowest = Duration::ZERO;
        while !self.over.load(Ordering::Relaxed) {
            let asked = Instant::now();
            let answer = Client::connect(port).and_then(|mut client| client.get("/health"));
            assert_eq!(answer.expect("a probe is answered").status, 200);
            slowest = slowest.max(asked.elapsed());
            assert!(slowest < PROMPT, "a probe waited {slowest:?}");
            self.probes.fetch_add(1, Ordering::Relaxed);
            std::thread::park_timeout(PROBE_PAUSE);
        }
        slowest
    }

    /// A good client, on one connection all the while.
    fn place_orders(&self, port: u16) -> usize {
        let _over = OverOnDrop(&self.over);
        let mut client = Client::connect(port).unwrap();
        let mut placed = 0;
        while !self.over.load(Ordering::Relaxed) {
            let answer = client.post("/orders", &order(placed)).expect("a good client is served");
            assert_eq!(answer.status, 201, "{answer:?}");
            placed += 1;
            self.placed.store(placed, Ordering::Relaxed);
            std::thread::park_timeout(PROBE_PAUSE);
        }
        placed
    }
}

fn order(number: usize) -> String {
    format!(
        r#"{{"order_id":"{}","customer_id":"c","items":[{{"SKU":"s","Quantity":1,"UnitPriceCents":1}}]}}"#,
        order_id(number)
    )
}

fn order_id(number: usize) -> String {
    format!("beside-{number}")
}

/// Lets an attack loose on a server, which must meanwhile answer probes promptly and serve a good client, keep its memory
/// bounded, and afterwards be as it was before.
#[track_caller]
pub(crate) fn besiege(program: Program, attack: impl FnOnce(&Server, &Siege)) {
    let _alone = one_at_a_time();
    let server = program.start();
    let (port, process) = (server.port(), server.process());
    assert_eq!(server.get("/orders").status, 200);
    let before = process.descriptors();
    let siege = Siege::default();
    let placed = std::thread::scope(|scope| {
        let probing = scope.spawn(|| siege.probe(port));
        let placing = scope.spawn(|| siege.place_orders(port));
        let stop = OverOnDrop(&siege.over);
        attack(&server, &siege);
        drop(stop);
        probing.join().unwrap();
        placing.join().unwrap()
    });
    let peak = process.peak_resident_kib();
    assert!(peak <= MOST_RESIDENT_KIB, "it took {} MiB", peak / 1024);
    wait_until("all connections are gone", || {
        (process.descriptors() <= before + SPARE_DESCRIPTORS).then_some(())
    });
    for number in 0..placed {
        assert_eq!(server.get(&format!("/orders/{}", order_id(number))).status, 200);
    }
    assert_eq!(server.get("/orders").status, 200);
    let log = server.log();
    assert!(!log.contains("\"ERROR\""), "{log}");
    server.stop();
}

struct OverOnDrop<'a>(&'a AtomicBool);

impl Drop for OverOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
