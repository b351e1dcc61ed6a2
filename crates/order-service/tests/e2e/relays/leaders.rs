//! Three brokers that replicate, and the one that leads is killed.

use test_servers::{KafkaCluster, NatsCluster};

use super::channel::{Channel, Kind};
use super::load::{under_steady_load, wait_for_more};
use super::ready::patiently;
use super::verdict::{assert_relayed, wait_until_at_work};
use crate::server::Program;

const KILLS: usize = 2;

enum Cluster {
    Nats(NatsCluster),
    Kafka(KafkaCluster),
}

impl Cluster {
    fn start(kind: Kind) -> Self {
        match kind {
            Kind::Nats => Self::Nats(NatsCluster::start(3).unwrap()),
            Kind::Kafka => Self::Kafka(KafkaCluster::start(3).unwrap()),
        }
    }

    /// Three copies of everything.
    fn channel(&self) -> Channel {
        match self {
            Self::Nats(cluster) => {
                let hosts = cluster.nodes().iter().map(|node| format!("127.0.0.1:{}", node.port()));
                Channel::fresh(Kind::Nats, &hosts.collect::<Vec<_>>().join(",")).with("replicas=3")
            }
            Self::Kafka(cluster) => Channel::fresh(Kind::Kafka, &cluster.bootstrap()).with("replication=3"),
        }
    }

    fn leader(&self, channel: &Channel) -> usize {
        patiently("somebody leads", || match self {
            Self::Nats(cluster) => cluster.leader_of_stream(&channel.name),
            Self::Kafka(cluster) => cluster.leader_of(&channel.name, 0),
        })
    }

    fn kill(&mut self, node: usize) {
        match self {
            Self::Nats(cluster) => cluster.nodes_mut()[node].kill_hard().unwrap(),
            Self::Kafka(cluster) => cluster.nodes_mut()[node].kill_hard().unwrap(),
        }
    }

    /// With all three.
    fn start_again(&mut self) {
        match self {
            Self::Nats(cluster) => cluster.start_again().unwrap(),
            Self::Kafka(cluster) => cluster.start_again().unwrap(),
        }
    }
}

fn a_leader_that_is_killed_loses_nothing(kind: Kind) {
    let mut cluster = Cluster::start(kind);
    let channel = cluster.channel();
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).argument("--bus", channel.url()).start();
    let claims = under_steady_load(server.port(), "leader", |progress| {
        for _ in 0..KILLS {
            wait_until_at_work(&server, &channel);
            cluster.kill(cluster.leader(&channel));
            wait_for_more(progress, 100);
            // Two of three are enough.
            wait_until_at_work(&server, &channel);
            cluster.start_again();
        }
    });
    assert_relayed(&server, &claims, &[channel]);
    server.stop();
}

#[test]
fn of_three_nats_servers_the_leader_may_be_killed_under_load() {
    a_leader_that_is_killed_loses_nothing(Kind::Nats);
}

#[test]
fn of_three_kafka_servers_the_leader_may_be_killed_under_load() {
    a_leader_that_is_killed_loses_nothing(Kind::Kafka);
}
