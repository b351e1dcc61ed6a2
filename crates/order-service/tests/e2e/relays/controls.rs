//! The checker goes red on a service that breaks the promise.

use std::time::Duration;

use super::broker::shared_channel;
use super::channel::Kind;
use super::check::{Breach, Rule, assert_none};
use super::cuts::serve_a_backlog;
use super::event::Event;
use super::killed_service::{Moment, Survivor};
use super::primary;
use super::verdict::{breaches, wait_until_published};
use crate::checker;
use crate::export::fill;
use crate::server::Program;

#[track_caller]
fn assert_found(breaches: &[Breach], rules: &[Rule]) {
    let found = breaches.iter().find(|breach| rules.contains(&breach.rule));
    let Some(found) = found else { panic!("the checker did not notice: {breaches:?}") };
    eprintln!("found: {found}");
}

#[test]
fn a_checkpoint_before_the_acknowledgement_is_found_out() {
    // Of a topic of which there is no evidence yet a checkpoint is not believed either. So it is killed once before.
    let moments = [Moment::AtWork(Duration::from_secs(1)), Moment::Unanswered];
    let Survivor { server, claims, channel, .. } =
        &Survivor::of(Kind::Kafka, moments.into_iter(), |program| {
            program.variable("ORDER_SERVICE_PLANTED_FAULT", "checkpoint-before-ack")
        });
    checker::check(server, 0, claims).unwrap();
    assert_found(&breaches(server, channel), &[Rule::Missing]);
}

#[test]
fn a_second_store_that_publishes_behind_the_first_is_found_out() {
    let directory = tempfile::tempdir().unwrap();
    let channels = [
        shared_channel(Kind::Nats),
        shared_channel(Kind::Kafka),
        shared_channel(Kind::Kafka).with("partitions=3"),
    ];
    let publishing = |name: &str| {
        let program = Program::serving(&directory.path().join(name));
        channels.iter().fold(program, |program, channel| program.argument("--bus", channel.url()))
    };
    let first = publishing("first").start();
    fill(&first, 0..10);
    channels.iter().for_each(|channel| assert_none(channel, &breaches(&first, channel)));
    first.stop();

    let second =
        publishing("second").variable("ORDER_SERVICE_PLANTED_FAULT", "brokers-are-not-compared").start();
    fill(&second, 0..20);
    let head = primary::log(&second).last().map_or(0, Event::position);
    for channel in &channels {
        wait_until_published(&second, channel, head);
        assert_found(&breaches(&second, channel), &[Rule::Unknown]);
    }
}

/// A planted timeout shows in most topics that a backlog is published to.
const MOST_TOPICS: usize = 12;

#[test]
fn a_message_that_is_given_up_and_passed_by_later_ones_is_found_out() {
    let directory = tempfile::tempdir().unwrap();
    let claims = serve_a_backlog(directory.path());
    let found = (0..MOST_TOPICS).find_map(|_| {
        let channel = shared_channel(Kind::Kafka).with("planted-message-timeout-ms=10");
        let server = Program::serving(directory.path()).argument("--bus", channel.url()).start();
        let head = checker::check(&server, 0, &claims).unwrap();
        wait_until_published(&server, &channel, head);
        let breaches = breaches(&server, &channel);
        server.stop();
        (!breaches.is_empty()).then_some(breaches)
    });
    assert_found(&found.unwrap_or_default(), &[Rule::Order]);
}
