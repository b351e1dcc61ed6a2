//! A broker that comes back with nothing: what it had acknowledged is published to it again.

use super::broker::Broker;
use super::channel::Kind;
use super::check::assert_none;
use super::load::{under_steady_load, wait_for_more};
use super::verdict::{assert_relayed, breaches, wait_until_published};
use crate::server::Program;

fn a_broker_that_is_wiped_is_published_to_again(kind: Kind) {
    let mut broker = Broker::start(kind);
    let channel = broker.channel();
    let directory = tempfile::tempdir().unwrap();
    let server = Program::serving(directory.path()).argument("--bus", channel.url()).start();
    let claims = under_steady_load(server.port(), "wiped", |progress| {
        wait_for_more(progress, 300);
        wait_until_published(&server, &channel, 300);
        broker.wipe();
        broker.start_again();
        wait_for_more(progress, 100);
    });
    let channels = [channel];
    assert_relayed(&server, &claims, &channels);

    // Nobody sends anything any more.
    broker.wipe();
    broker.start_again();
    let [channel] = channels;
    assert_none(&channel, &breaches(&server, &channel));
    server.stop();
}

#[test]
fn nats_that_is_wiped_gets_everything_again_under_load_and_while_idle() {
    a_broker_that_is_wiped_is_published_to_again(Kind::Nats);
}

#[test]
fn kafka_that_is_wiped_gets_everything_again_under_load_and_while_idle() {
    a_broker_that_is_wiped_is_published_to_again(Kind::Kafka);
}
