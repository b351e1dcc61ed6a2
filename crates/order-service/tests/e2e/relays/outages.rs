//! A broker that is killed, frozen, or away for long, under load.

use std::time::{Duration, Instant};

use super::broker::Broker;
use super::channel::Kind;
use super::load::{under_steady_load, wait_for_more};
use super::ready::{patiently, status, wait_for, wait_for_state, warnings};
use super::verdict::{assert_relayed, wait_until_at_work};
use crate::server::{Program, Server};

const KILLS: usize = 3;
/// What waits behind a broker that is frozen, if its relay does not say so before: some seconds' worth.
const FROZEN_LAG: u64 = 1_500;

fn a_broker_that_is_killed_or_frozen_gets_everything_in_order(kind: Kind) {
    let mut broker = Broker::start(kind);
    let channel = broker.channel();
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).argument("--bus", channel.url()).start();
    let claims = under_steady_load(server.port(), "outage", |progress| {
        for _ in 0..KILLS {
            wait_until_at_work(&server, &channel);
            broker.kill_hard();
            wait_for_more(progress, 50);
            broker.start_again();
        }
        wait_until_at_work(&server, &channel);
        broker.freeze();
        wait_for(&server, &channel.relay(), "held up", |status| {
            status.state == "unavailable" || status.lag > FROZEN_LAG
        });
        broker.thaw();
        wait_until_at_work(&server, &channel);
    });
    assert_relayed(&server, &claims, &[channel]);
    server.stop();
}

#[test]
fn nats_that_is_killed_or_frozen_under_load_gets_everything_in_order() {
    a_broker_that_is_killed_or_frozen_gets_everything_in_order(Kind::Nats);
}

#[test]
fn kafka_that_is_killed_or_frozen_under_load_gets_everything_in_order() {
    a_broker_that_is_killed_or_frozen_gets_everything_in_order(Kind::Kafka);
}

/// How long brokers are away. `E2E_OUTAGE_SECONDS=60` for longer.
fn outage() -> Duration {
    let given = std::env::var("E2E_OUTAGE_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(given.unwrap_or(20))
}

/// Whatever waits: in a minute, more than twice as much does.
const MOST_MORE_MEMORY_KIB: u64 = 16 * 1024;

/// It is told that a broker is away, and perhaps again when that shows in another way; not at each try.
const MOST_LINES: usize = 3;

#[test]
fn what_happens_while_brokers_are_away_for_long_waits_in_the_log_and_not_in_memory() {
    let mut brokers = [Kind::Nats, Kind::Kafka].map(Broker::start);
    let channels = [brokers[0].channel(), brokers[1].channel()];
    let directory = tempfile::tempdir().unwrap();
    let program = Program::serving(directory.path());
    let server =
        channels.iter().fold(program, |program, channel| program.argument("--bus", channel.url())).start();
    let claims = under_steady_load(server.port(), "away", |progress| {
        channels.iter().for_each(|channel| wait_until_at_work(&server, channel));
        brokers.iter_mut().for_each(Broker::kill_hard);
        let (gone, acknowledged) = (Instant::now(), progress.acknowledged());
        channels.iter().for_each(|channel| drop(wait_for_state(&server, &channel.relay(), "unavailable")));
        let memory = resident_kib(&server);
        patiently("the brokers have been away for long", || (gone.elapsed() >= outage()).then_some(()));
        let backlog = progress.acknowledged() - acknowledged;
        for channel in &channels {
            let now = wait_for(&server, &channel.relay(), "behind", |now| now.lag >= backlog);
            assert_eq!(now.state, "unavailable", "{now:?}");
            let told = warnings(&server, &channel.relay());
            assert!((1..=MOST_LINES).contains(&told.len()), "{told:#?}");
        }
        let more = resident_kib(&server).saturating_sub(memory);
        eprintln!("{backlog} events wait; {more} KiB more memory than at first ({memory} KiB)");
        assert!(more < MOST_MORE_MEMORY_KIB, "{more} KiB more memory");
        brokers.iter_mut().for_each(Broker::start_again);
        for channel in &channels {
            wait_for(&server, &channel.relay(), "through", |now| now.state == "following" && now.lag < 100);
        }
    });
    assert_relayed(&server, &claims, &channels);
    assert!(channels.iter().all(|channel| status(&server, &channel.relay()).lag == 0));
    server.stop();
}

fn resident_kib(server: &Server) -> u64 {
    let told = std::fs::read_to_string(format!("/proc/{}/status", server.process())).unwrap();
    let line = told.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
