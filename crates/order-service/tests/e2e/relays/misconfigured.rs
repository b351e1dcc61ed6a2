//! Brokers that the relay cannot work with: each says why, and the service serves.

use test_servers::kafka::Sasl;
use test_servers::{KafkaOptions, KafkaServer, NatsOptions, NatsServer};

use super::broker::shared_channel;
use super::channel::{Channel, Kind};
use super::load::{under_steady_load, wait_for_more};
use super::ready::{wait_for_state, warnings};
use super::{kafka, nats};
use crate::server::{Program, Server};

/// Some seconds' worth.
const COMMANDS: u64 = 1_000;
/// It may be told a second time, when the first answer was another one; but not again and again.
const MOST_LINES: usize = 2;

#[test]
fn a_relay_that_cannot_work_says_so_once_and_the_service_serves() {
    let guarded_nats = NatsServer::start(&NatsOptions::default().user("service", "right")).unwrap();
    let guarded_kafka =
        KafkaServer::start(&KafkaOptions::default().user(Sasl::Plain, "service", "right")).unwrap();
    let cases = [
        (guest(Kind::Nats, guarded_nats.port()), "misconfigured", "user"),
        (guest(Kind::Kafka, guarded_kafka.port()), "misconfigured", "uthentication"),
        (Channel::fresh(Kind::Nats, "no-such-host.invalid"), "unavailable", "no-such-host.invalid"),
        (Channel::fresh(Kind::Kafka, "no-such-host.invalid"), "unavailable", "no-such-host.invalid"),
        (with_taken_subjects(), "misconfigured", "subject="),
        (with_other_subjects(), "misconfigured", "add that to its subjects"),
        (with_other_partitions(), "misconfigured", "partitions=3"),
    ];
    let directory = tempfile::tempdir().unwrap();
    let program = cases.iter().fold(Program::serving(directory.path()), |program, (channel, ..)| {
        program.argument("--bus", channel.url())
    });
    let server = program.start();
    under_steady_load(server.port(), "misconfigured", |progress| {
        for (channel, state, says) in &cases {
            let told = wait_for_state(&server, &channel.relay(), state);
            assert!(told.detail.contains(says) && !told.detail.contains('\n'), "{told:?}");
        }
        wait_for_more(progress, COMMANDS);
    });
    for (channel, state, says) in &cases {
        assert_eq!(wait_for_state(&server, &channel.relay(), state).position, 0);
        assert_told_once(&server, channel, says);
    }
    assert!(!server.log().contains("wrong-password"), "{}", server.log());
    server.stop();
}

#[track_caller]
fn assert_told_once(server: &Server, channel: &Channel, says: &str) {
    let told = warnings(server, &channel.relay());
    assert!((1..=MOST_LINES).contains(&told.len()), "{told:#?}");
    assert!(told.last().is_some_and(|line| line.contains(says)), "{told:#?}");
}

fn guest(kind: Kind, port: u16) -> Channel {
    Channel::fresh(kind, &format!("service:wrong-password@127.0.0.1:{port}"))
}

/// By a stream of another name.
fn with_taken_subjects() -> Channel {
    let channel = shared_channel(Kind::Nats);
    nats::make_stream(&channel, |config| config.name = format!("{}-OTHER", config.name));
    channel
}

fn with_other_subjects() -> Channel {
    let channel = shared_channel(Kind::Nats);
    nats::make_stream(&channel, |config| config.subjects = vec![format!("{}.other.>", config.name)]);
    channel
}

fn with_other_partitions() -> Channel {
    let channel = shared_channel(Kind::Kafka).with("partitions=3");
    kafka::make_topic(&channel, &[]);
    channel
}

#[test]
fn a_bus_that_cannot_be_is_refused_in_one_line() {
    let cases: &[(&[&str], &str)] = &[
        (&["carrier-pigeon://loft"], "nats://"),
        (&["nats://"], "host"),
        (&["kafka://"], "host"),
        (&["nats://127.0.0.1?strem=ORDERS"], "strem"),
        (&["kafka://127.0.0.1?partition=3"], "partition"),
        (&["kafka://127.0.0.1?partitions=0"], "partitions=0"),
        (&["nats://one.example", "nats://another.example"], "name="),
        (&["kafka://one.example", "kafka://another.example"], "name="),
    ];
    for (urls, says) in cases {
        let program = Program::new(["serve", "--store", "memory:", "--listen", "127.0.0.1:0"]);
        let ended = urls.iter().fold(program, |program, url| program.argument("--bus", url)).run();
        assert_eq!((ended.status, ended.stderr.len()), (Some(2), 1), "{urls:?}: {ended:?}");
        assert!(ended.stderr[0].contains(says) && ended.stdout.is_empty(), "{urls:?}: {ended:?}");
    }
}
