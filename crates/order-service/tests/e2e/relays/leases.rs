//! Two instances on one database, of which one relays: frozen for longer than its lease, it wakes up late, with much
//! under way.

use rustix::process::Signal;
use test_servers::{PostgresOptions, PostgresServer};

use super::broker::shared_channel;
use super::channel::{Channel, Kind};
use super::load::{under_paced_load, wait_for_more};
use super::ready::{patiently, status, wait_for_state};
use super::verdict::{assert_relayed, assert_replicated, wait_until_at_work};
use crate::load::Progress;
use crate::server::{Program, Server};

/// How often the lease goes over to the other one.
const TURNS: usize = 3;

#[test]
fn an_instance_that_is_frozen_while_it_relays_and_wakes_up_late_does_no_harm() {
    let database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let url = database.create_database().unwrap();
    let channels = [Kind::Nats, Kind::Kafka].map(shared_channel);
    let instance = || {
        let program = Program::serve().argument("--store", &url);
        let program =
            channels.iter().fold(program, |program, channel| program.argument("--bus", channel.url()));
        program.start()
    };
    let first = instance();
    channels.iter().for_each(|channel| drop(wait_for_state(&first, &channel.relay(), "following")));
    let servers = [first, instance()];
    let mut claims = Vec::new();
    let [mut of_first, mut of_second] = [Vec::new(), Vec::new()];
    let load = |name, server: &Server, during: &mut dyn FnMut(&Progress)| {
        under_paced_load(server.port(), name, |_| {}, during).0
    };
    of_first.extend(load("first", &servers[0], &mut |first| {
        of_second.extend(load("second", &servers[1], &mut |second| {
            take_turns(&servers, &channels, [first, second]);
        }));
    }));
    claims.extend(of_first);
    claims.extend(of_second);
    let at_work = servers.iter().position(|server| status(server, &channels[0].relay()).state == "following");
    let server = &servers[at_work.unwrap()];
    assert_relayed(server, &claims, &channels);
    channels.iter().for_each(|channel| assert_replicated(server, channel));
    servers.into_iter().for_each(Server::stop);
}

/// The one that relays is frozen until the other does, and for a while after.
fn take_turns(servers: &[Server; 2], channels: &[Channel], progress: [&Progress; 2]) {
    for turn in 0..TURNS {
        let (holder, other) = (turn % 2, 1 - turn % 2);
        for channel in channels {
            wait_until_at_work(&servers[holder], channel);
            wait_for_state(&servers[other], &channel.relay(), "standby");
        }
        servers[holder].signal(Signal::STOP);
        wait_for_more(progress[other], 50);
        channels.iter().for_each(|channel| wait_until_at_work(&servers[other], channel));
        servers[holder].signal(Signal::CONT);
        patiently("the one that slept has seen that its time is over", || {
            let is_over = |channel: &Channel| status(&servers[holder], &channel.relay()).state == "standby";
            channels.iter().all(is_over).then_some(())
        });
    }
}
