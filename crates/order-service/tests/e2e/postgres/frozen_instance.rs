//! An instance that stops at any moment, perhaps while it commits, and wakes up late.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use test_servers::{PostgresOptions, PostgresServer};

use super::clients::Balance;
use super::scenario::{INSTANCES, instances, run};
use crate::random::Random;
use crate::server::wait_until;

const ROUNDS: usize = 9;
/// What it may have held, it holds no longer.
const OTHERS_GO_ON_WITHIN: Duration = Duration::from_secs(5);
/// Longer than the store waits for anything.
const LONG: Duration = Duration::from_secs(6);

#[test]
fn an_instance_that_is_frozen_while_it_commits_holds_nobody_up_and_does_no_harm_when_it_wakes() {
    let database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let url = database.create_database().unwrap();
    let mut random = Random::seeded("frozen instance, moments", 5);
    run("frozen instance", instances(&url), Balance::AtHome, |progress, servers| {
        for round in 0..ROUNDS {
            let frozen = round % INSTANCES;
            let others = [(frozen + 1) % INSTANCES, (frozen + 2) % INSTANCES];
            progress.wait_for_more(&[frozen], 10);
            let (started, moment) = (Instant::now(), Duration::from_micros(random.between(0, 20_000)));
            wait_until("the moment has come", || (started.elapsed() >= moment).then_some(()));
            servers[frozen].signal(Signal::STOP);
            let started = Instant::now();
            progress.wait_for_more(&others, 20);
            let took = started.elapsed();
            assert!(took < OTHERS_GO_ON_WITHIN, "round {round}: the others needed {took:?}");
            if round == ROUNDS / 2 {
                wait_until("all deadlines are over", || (started.elapsed() >= LONG).then_some(()));
            }
            servers[frozen].signal(Signal::CONT);
        }
        progress.wait_for_more(&[0, 1, 2], 20);
    });
}
