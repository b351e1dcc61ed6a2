//! From the end of the load to the verdict.

use super::channel::Channel;
use super::check::{Breach, assert_none, check};
use super::event::{Event, Message};
use super::primary;
use super::ready::{patiently, patiently_or, wait_for, wait_for_state};
use crate::checker;
use crate::load::Claim;
use crate::server::{Program, Server};

/// Every acknowledged command is in the log, and everything in the log comes to whoever reads these channels, as it should.
#[track_caller]
pub(crate) fn assert_relayed(server: &Server, claims: &[Claim], channels: &[Channel]) {
    let head = checker::check(server, 0, claims).unwrap();
    assert!(head > 0, "nothing has happened");
    for channel in channels {
        wait_until_published(server, channel, head);
        assert_none(channel, &breaches(server, channel));
    }
}

/// Somebody who builds a read model from the broker alone has the same log.
#[track_caller]
pub(crate) fn assert_replicated(server: &Server, channel: &Channel) {
    let program = Program::new(["replica", "--listen", "127.0.0.1:0", "--store", "memory:"]);
    let replica = program.argument("--from", channel.url()).start();
    let log = primary::log(server);
    let head = log.last().map_or(0, Event::position);
    patiently("the replica has everything", || {
        let told = &replica.get("/ready").json()["checks"]["replica"];
        (told["position"] == head).then_some(())
    });
    assert!(primary::log(&replica) == log, "the replica of {} has another log", channel.name);
    replica.stop();
}

/// Waits until the relay has everything acknowledged by its broker.
#[track_caller]
pub(crate) fn wait_until_published(server: &Server, channel: &Channel, head: u64) {
    wait_for(server, &channel.relay(), "through", |status| {
        status.state == "following" && status.position >= head
    });
}

/// Waits until the relay has published something new.
#[track_caller]
pub(crate) fn wait_until_at_work(server: &Server, channel: &Channel) {
    let before = wait_for_state(server, &channel.relay(), "following").position;
    wait_for(server, &channel.relay(), "at work", |status| {
        status.state == "following" && status.position > before
    });
}

/// What is wrong once the last event has come.
#[track_caller]
pub(crate) fn breaches(server: &Server, channel: &Channel) -> Vec<Breach> {
    let log = primary::log(server);
    let messages = messages_up_to(channel, log.last().map_or(0, Event::position));
    eprintln!("{}: {} events, {} messages", channel.name, log.len(), messages.len());
    check(&log, channel, &messages)
}

/// Waits for the last event, as a consumer does.
#[track_caller]
fn messages_up_to(channel: &Channel, head: u64) -> Vec<Message> {
    patiently_or("the last event comes", || match channel.messages() {
        Ok(messages) if messages.iter().any(|message| message.event.position() == head) => Ok(messages),
        Ok(messages) => Err(format!("{} messages of {}, not up to {head}", messages.len(), channel.name)),
        Err(error) => Err(error),
    })
}
