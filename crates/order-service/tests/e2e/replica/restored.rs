//! A primary that was restored from a backup, and whose events are in a topic that was made anew.

use std::fs;
use std::path::Path;

use super::{caught_up, head, readiness, relayed, replica};
use crate::export::fill;
use crate::relays::broker::shared_channel;
use crate::relays::channel::Kind;
use crate::relays::kafka::delete_topic;
use crate::server::{Program, wait_until};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Kafka's clients cannot tell that the topic is another, and it has as many messages as the one that there was.
#[test]
fn a_replica_that_was_stopped_meanwhile_notices_it() {
    let channel = shared_channel(Kind::Kafka);
    let directory = tempfile::tempdir().unwrap();
    let (data, backup) = (directory.path().join("primary"), directory.path().join("backup"));
    let primary = |data: &Path| Program::serving(data).argument("--bus", channel.url()).start();
    let running = primary(&data);
    fill(&running, 0..10);
    running.stop();
    copy(&data, &backup);

    let running = primary(&data);
    fill(&running, 10..20);
    let copying = replica(directory.path(), &channel.url()).start();
    caught_up(&copying, &running);
    let events = head(&running);
    copying.stop();
    running.stop();
    delete_topic(&channel);

    let restored = primary(&backup);
    fill(&restored, 20..30);
    assert_eq!(head(&restored), events);
    relayed(&restored);
    wait_until("all is published again", || {
        channel.messages().is_ok_and(|messages| messages.len() as u64 == events).then_some(())
    });
    let copying = replica(directory.path(), &channel.url()).start();
    let (status, told) = wait_until("it has noticed", || {
        let (status, told) = readiness(&copying);
        assert_ne!(told["state"], "following", "{told}");
        (told["state"] == "other_log").then_some((status, told))
    });
    assert_eq!((status, &told["position"]), (503, &events.into()), "{told}");
    let why = told["detail"].as_str().unwrap();
    assert!(why.contains(&format!("at position {events}: the event there has another id")), "{why}");
    copying.stop();
    restored.stop();
}
