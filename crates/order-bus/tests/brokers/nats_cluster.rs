//! Three servers with three replicas.

use std::time::Instant;

use order_application::{Broker, BrokerError, Checkpoint, Opened};
use order_bus::{NatsBroker, NatsLog, NatsOptions};
use test_servers::NatsCluster;

use crate::contract::{
    PATIENCE, assert_complete_and_in_order, checkpoint, events, everything_in, publish, send, until_it_fails,
};
use crate::nats::SOURCE;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_killed_while_events_are_under_way_loses_none() {
    const LAST: u64 = 6_000;
    let mut cluster = NatsCluster::start(3).unwrap();
    let hosts: Vec<_> = cluster.nodes().iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
    let url = format!("nats://{}?replicas=3", hosts.join(","));
    let options = NatsOptions::parse(&url).unwrap();
    let broker = NatsBroker::new(options.clone(), SOURCE);
    let mut opened = open(&broker, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 500)).await.unwrap();
    let mut kept = checkpoint(500, &opened);
    for round in 1..=2 {
        let from = opened.resume_after.max(kept.position).0 + 1;
        let sent = send(&mut opened, &events(from, LAST * round / 3)).await;
        let leader = leader(&cluster);
        cluster.nodes_mut()[leader].kill_hard().unwrap();
        // Connected to another server, it may well get through.
        match sent {
            Ok(()) => loop {
                match opened.publication.acknowledged().await {
                    Ok(position) => kept = checkpoint(position.0, &opened),
                    Err(error) => {
                        assert!(
                            matches!(error, BrokerError::Unavailable(_) | BrokerError::OutOfStep(_)),
                            "{error:?}"
                        );
                        break;
                    }
                }
                if kept.position.0 == LAST * round / 3 {
                    break;
                }
            },
            Err(_) => drop(until_it_fails(&mut opened).await),
        }
        opened = open(&broker, &kept).await;
        assert!(opened.resume_after >= kept.position, "what was acknowledged is there");
        cluster.start_again().unwrap();
    }
    publish_through(&broker, opened, LAST).await;
    assert_complete_and_in_order(&everything_in(&NatsLog::new(options)).await, LAST);
}

/// A cluster that has just lost or got a server may refuse something once more.
async fn publish_through(broker: &NatsBroker, mut opened: Opened, last: u64) {
    let start = Instant::now();
    loop {
        let resume_after = opened.resume_after.0;
        let kept = checkpoint(resume_after, &opened);
        match publish(&mut opened, &events(resume_after + 1, last)).await {
            Ok(()) => return,
            Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
        }
        opened = open(broker, &kept).await;
    }
}

async fn open(broker: &NatsBroker, checkpoint: &Checkpoint) -> Opened {
    let start = Instant::now();
    loop {
        match broker.open(checkpoint).await {
            Ok(opened) => return opened,
            Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
        }
    }
}

fn leader(cluster: &NatsCluster) -> usize {
    let start = Instant::now();
    loop {
        if let Some(leader) = cluster.leader_of_stream("ORDERS") {
            return leader;
        }
        assert!(start.elapsed() < PATIENCE, "nobody leads");
    }
}
