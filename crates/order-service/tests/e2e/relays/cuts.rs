//! Connections that break, or fall silent, while as much is under way as may be.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use test_servers::{KafkaOptions, KafkaServer, NatsServer};

use super::broker::Broker;
use super::channel::Kind;
use super::load::under_steady_load;
use super::ready::patiently;
use super::verdict::assert_relayed;
use crate::load::{Claim, under_load};
use crate::proxy::{Fate, Fates, Proxy};
use crate::random::Random;
use crate::server::Program;

/// More than may be under way at once.
const BACKLOG: u64 = 9_000;
const CUTS_OF_EACH_KIND: u64 = 8;
/// Events are published in chunks as large as that; nothing else is.
const PUBLISHING_BYTES: usize = 1_500;
/// One of so many is cut off.
const CHUNKS_OF_A_CUT: u64 = 3;

struct Cuts {
    fault: Mutex<Fault>,
    random: Mutex<Random>,
    in_request: AtomicU64,
    before_answer: AtomicU64,
    silent: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    Cut,
    Silence,
}

impl Cuts {
    fn new(random: Random) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            fault: Mutex::new(Fault::None),
            random: Mutex::new(random),
            in_request: zero(),
            before_answer: zero(),
            silent: zero(),
        }
    }

    /// From now on.
    fn plant(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }
}

impl Fates for Cuts {
    fn fate(&self, chunk: &[u8]) -> Fate {
        let fault = *self.fault.lock().unwrap();
        let mut random = self.random.lock().unwrap();
        let is_spared = chunk.len() < PUBLISHING_BYTES || random.between(1, CHUNKS_OF_A_CUT) > 1;
        if fault == Fault::None || is_spared {
            return Fate::Passes;
        }
        let somewhere = random.next() as usize % chunk.len();
        let (counter, fate) = match (fault, random.between(0, 1)) {
            (Fault::Silence, _) => (&self.silent, Fate::IsTheLast(somewhere)),
            (_, 0) => (&self.in_request, Fate::IsCutAfter(somewhere)),
            _ => (&self.before_answer, Fate::IsNotAnswered),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        fate
    }
}

/// A broker that the service reaches through a proxy only.
fn broker_behind(proxy: &Proxy<Cuts>, kind: Kind) -> Broker {
    let (broker, port) = match kind {
        Kind::Nats => {
            let server = NatsServer::start(&test_servers::NatsOptions::default()).unwrap();
            let port = server.port();
            (Broker::Nats(server), port)
        }
        Kind::Kafka => {
            let options = KafkaOptions::default().clients_go_to(proxy.port());
            let server = KafkaServer::start(&options).unwrap();
            let port = server.port();
            (Broker::Kafka(server), port)
        }
    };
    proxy.lead_to(port);
    broker
}

/// Leaves a log in a directory that nothing has been relayed of.
pub(super) fn serve_a_backlog(directory: &Path) -> Vec<Claim> {
    let server = Program::serving(directory).start();
    let (claims, _) = under_load(server.port(), "backlog", |progress| {
        patiently("there is a backlog", || (progress.acknowledged() >= BACKLOG).then_some(()));
    });
    server.stop();
    claims
}

fn connections_that_break_with_a_full_window_cost_nothing(kind: Kind) {
    let directory = tempfile::tempdir().unwrap();
    let mut claims = serve_a_backlog(directory.path());

    let proxy = Proxy::leading_nowhere(Cuts::new(Random::seeded("cut connections to a broker", 11)));
    let broker = broker_behind(&proxy, kind);
    let channel = broker.channel().by_way_of(proxy.port());
    // Of several partitions, one may be ahead of the others.
    let channel = if kind == Kind::Kafka { channel.with("partitions=3") } else { channel };
    let cuts = proxy.fates();
    cuts.plant(Fault::Cut);
    // A busy machine is no reason to turn commands away.
    let server = Program::serving(directory.path())
        .argument("--queue-wait-milliseconds", "5000")
        .argument("--bus", channel.url())
        .start();
    claims.extend(under_steady_load(server.port(), "cuts", |_| {
        let often = |count: &AtomicU64, wanted| count.load(Ordering::Relaxed) >= wanted;
        patiently("every kind of cut has been made often enough", || {
            let all = [&cuts.in_request, &cuts.before_answer];
            all.into_iter().all(|count| often(count, CUTS_OF_EACH_KIND)).then_some(())
        });
        cuts.plant(Fault::Silence);
        patiently("a connection has fallen silent", || often(&cuts.silent, 1).then_some(()));
        cuts.plant(Fault::None);
    }));
    assert_relayed(&server, &claims, &[channel]);
    server.stop();
}

#[test]
fn connections_to_nats_that_break_with_a_full_window_cost_nothing() {
    connections_that_break_with_a_full_window_cost_nothing(Kind::Nats);
}

#[test]
fn connections_to_kafka_that_break_with_a_full_window_cost_nothing() {
    connections_that_break_with_a_full_window_cost_nothing(Kind::Kafka);
}
