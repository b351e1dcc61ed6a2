//! A broker that goes back to an older copy of its files while events are relayed to it: all that is missing comes again,
//! whatever was under way then.

use super::broker::Broker;
use super::channel::{Channel, Kind};
use super::check::{Rule, assert_none};
use super::event::Event;
use super::load::{under_steady_load, wait_for_more};
use super::primary;
use super::ready::patiently;
use super::verdict::{assert_replicated, breaches, wait_until_at_work, wait_until_published};
use crate::checker;
use crate::server::Program;

fn a_broker_that_goes_back_lacks_nothing_in_the_end(kind: Kind, with: impl FnOnce(Channel) -> Channel) {
    let mut broker = Broker::start(kind);
    let channel = with(broker.channel());
    let directory = tempfile::tempdir().unwrap();
    let primary = || Program::serving(directory.path()).argument("--bus", channel.url()).start();
    let server = primary();
    let mut claims = under_steady_load(server.port(), "before", |progress| wait_for_more(progress, 200));
    wait_until_published(&server, &channel, checker::check(&server, 0, &claims).unwrap());
    let replica = Program::new(["replica", "--listen", "127.0.0.1:0", "--store", "memory:"]);
    let replica = replica.argument("--from", channel.url()).start();
    server.stop();
    broker.put_copy_aside();

    // What this one has under way is of a producer that the copy does not know.
    let server = primary();
    claims.extend(under_steady_load(server.port(), "since", |progress| {
        wait_for_more(progress, 300);
        wait_until_at_work(&server, &channel);
        broker.go_back_to_copy();
        wait_for_more(progress, 100);
    }));
    wait_until_published(&server, &channel, checker::check(&server, 0, &claims).unwrap());
    let mut breaches = breaches(&server, &channel);
    if kind == Kind::Kafka {
        // What was under way comes first.
        breaches.retain(|breach| breach.rule != Rule::Order);
    }
    assert_none(&channel, &breaches);

    assert_replicated(&server, &channel);
    let log = primary::log(&server);
    let head = log.last().map_or(0, Event::position);
    patiently("the replica that was there is at work", || {
        let told = &replica.get("/ready").json()["checks"]["replica"];
        (told["state"] == "following" && told["position"] == head).then_some(())
    });
    assert!(primary::log(&replica) == log, "it has another log");
    replica.stop();
    server.stop();
}

#[test]
fn nats_that_goes_back_to_an_older_copy_under_load_gets_all_that_it_lacks() {
    a_broker_that_goes_back_lacks_nothing_in_the_end(Kind::Nats, |channel| channel);
}

#[test]
fn kafka_that_goes_back_to_an_older_copy_under_load_gets_all_that_it_lacks() {
    a_broker_that_goes_back_lacks_nothing_in_the_end(Kind::Kafka, |channel| channel);
}

#[test]
fn kafka_of_three_partitions_that_goes_back_to_an_older_copy_under_load_gets_all_that_it_lacks() {
    a_broker_that_goes_back_lacks_nothing_in_the_end(Kind::Kafka, |channel| channel.with("partitions=3"));
}
