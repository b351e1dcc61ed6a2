//! What must hold while a server is under attack, and afterwards.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::machine::Watch;
use crate::http::Client;
use crate::server::{Process, Program, Server, wait_until};

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

    /// Whether a good client was not served as it should be. No attack needs to go on.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Asks on a new connection each time, as orchestrators do.
    fn probe<S: Read + Write>(&self, process: Process, connect: impl Fn() -> io::Result<Client<S>>) {
        let _over = OverOnDrop(&self.over);
        while !self.over.load(Ordering::Relaxed) {
            let watch = Watch::start(process);
            let answer = connect().and_then(|mut client| client.get("/health"));
            assert_eq!(answer.expect("a probe is answered").status, 200);
            if let Some(waited) = watch.waited(PROMPT) {
                assert!(waited < PROMPT, "a probe waited {waited:?}");
                self.probes.fetch_add(1, Ordering::Relaxed);
            }
            std::thread::park_timeout(PROBE_PAUSE);
        }
    }

    /// A good client, on one connection all the while.
    fn place_orders<S: Read + Write>(&self, process: Process, mut client: Client<S>) -> Placed {
        let _over = OverOnDrop(&self.over);
        let mut placed = Placed { orders: 0, slowest: Duration::ZERO };
        while !self.over.load(Ordering::Relaxed) {
            let watch = Watch::start(process);
            let answer = client.post("/orders", &order(placed.orders)).expect("a good client is served");
            assert_eq!(answer.status, 201, "{answer:?}");
            placed.slowest = placed.slowest.max(watch.waited(PROMPT).unwrap_or_default());
            placed.orders += 1;
            self.placed.store(placed.orders, Ordering::Relaxed);
            std::thread::park_timeout(PROBE_PAUSE);
        }
        placed
    }
}

/// What a good client has been told during a siege.
pub(super) struct Placed {
    orders: usize,
    /// The longest that it waited for an order to be placed.
    pub(super) slowest: Duration,
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
    let port = server.port();
    let connect = || Client::connect(port);
    hold_out(&server, connect().unwrap(), connect, |siege| attack(&server, siege));
    server.stop();
}

/// The same for a server to which good clients connect in a way of their own. One of them is connected before.
#[track_caller]
pub(super) fn hold_out<S: Read + Write + Send>(
    server: &Server,
    good: Client<S>,
    connect: impl Fn() -> io::Result<Client<S>> + Sync,
    attack: impl FnOnce(&Siege),
) -> Placed {
    let process = server.process();
    let get = |path: &str| connect().and_then(|mut client| client.get(path)).unwrap();
    assert_eq!(get("/orders").status, 200);
    let before = process.descriptors();
    let siege = Siege::default();
    let placed = std::thread::scope(|scope| {
        let probing = scope.spawn(|| siege.probe(process, &connect));
        let placing = scope.spawn(|| siege.place_orders(process, good));
        let stop = OverOnDrop(&siege.over);
        attack(&siege);
        drop(stop);
        probing.join().unwrap();
        placing.join().unwrap()
    });
    let peak = process.peak_resident_kib();
    assert!(peak <= MOST_RESIDENT_KIB, "it took {} MiB", peak / 1024);
    wait_until("all connections are gone", || {
        (process.descriptors() <= before + SPARE_DESCRIPTORS).then_some(())
    });
    for number in 0..placed.orders {
        assert_eq!(get(&format!("/orders/{}", order_id(number))).status, 200);
    }
    assert_eq!(get("/orders").status, 200);
    let log = server.log();
    assert!(!log.contains("\"ERROR\""), "{log}");
    placed
}

/// So that whoever goes on until then comes to an end, panics included.
pub(super) struct OverOnDrop<'a>(pub(super) &'a AtomicBool);

impl Drop for OverOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
