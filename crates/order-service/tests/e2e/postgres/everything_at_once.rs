//! Faults that come while others are still being dealt with.

use rustix::process::Signal;
use test_servers::{PostgresOptions, PostgresServer};

use super::clients::Balance;
use super::proxy::{Fault, Proxy};
use super::scenario::{INSTANCES, instances, run};
use crate::random::Random;

const ROUNDS: usize = 4;

#[test]
fn a_database_that_is_killed_behind_breaking_connections_while_instances_freeze_loses_nothing() {
    let mut database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let proxy = Proxy::start(database.port(), Random::seeded("everything at once, connections", 7));
    let url = proxy.url_of(&database.create_database().unwrap(), database.port());
    run("everything at once", instances(&url), Balance::AtHome, |progress, servers| {
        progress.wait_for_more(&[0, 1, 2], 20);
        for round in 0..ROUNDS {
            let frozen = round % INSTANCES;
            let others = [(frozen + 1) % INSTANCES, (frozen + 2) % INSTANCES];
            proxy.plant(Fault::Cut);
            servers[frozen].signal(Signal::STOP);
            progress.wait_for_more(&others, 20);
            if round % 2 == 0 { database.kill_hard() } else { database.kill_immediately() }.unwrap();
            servers[frozen].signal(Signal::CONT);
            database.start_again().unwrap();
            progress.wait_for_more(&[0, 1, 2], 20);
        }
        proxy.plant(Fault::None);
        progress.wait_for_more(&[0, 1, 2], 20);
    });
}
