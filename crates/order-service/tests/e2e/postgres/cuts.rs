//! Connections to the database that break at the worst moments, or fall silent.

use std::sync::atomic::{AtomicU64, Ordering};

use test_servers::{PostgresOptions, PostgresServer};

use super::clients::Balance;
use super::history::Outcome;
use super::proxy::{Fault, Proxy};
use super::scenario::{COMMANDS_ARE_ANSWERED_WITHIN, INSTANCES, instances, run, serving};
use crate::random::Random;
use crate::server::wait_until;

const CUTS_OF_EACH_KIND: u64 = 12;

#[test]
fn a_connection_that_breaks_at_any_moment_of_an_append_costs_nothing() {
    let database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let proxy = Proxy::start(database.port(), Random::seeded("cut connections", 2));
    let url = proxy.url_of(&database.create_database().unwrap(), database.port());
    // Each append may have to wait for connections to be made again, on a machine that is busy with other tests.
    let patient = || serving(&url).argument("--queue-wait-milliseconds", "5000").start();
    let servers = (0..INSTANCES).map(|_| patient()).collect();
    let history = run("cut connections", servers, Balance::Anywhere, |progress, _| {
        progress.wait_for_more(&[0, 1, 2], 50);
        proxy.plant(Fault::Cut);
        let cuts = proxy.cuts();
        wait_until("every kind of cut has been made often enough", || {
            let often = |count: &AtomicU64| count.load(Ordering::Relaxed) >= CUTS_OF_EACH_KIND;
            [&cuts.in_request, &cuts.behind_request, &cuts.before_answer, &cuts.elsewhere]
                .into_iter()
                .all(often)
                .then_some(())
        });
        proxy.plant(Fault::None);
        progress.wait_for_more(&[0, 1, 2], 20);
    });
    // Each instance finds out by itself what became of its appends, long before its clients lose patience.
    assert_eq!(history.count(|outcome| *outcome == Outcome::Unknown || *outcome == Outcome::NotHappened), 0);
}

const SILENCES: u64 = 4;

#[test]
fn a_connection_that_falls_silent_is_given_up_in_time_and_keeps_nobody_from_going_on() {
    let database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let proxy = Proxy::start(database.port(), Random::seeded("silent connections", 3));
    let url = proxy.url_of(&database.create_database().unwrap(), database.port());
    let history = run("silent connections", instances(&url), Balance::Anywhere, |progress, _| {
        progress.wait_for_more(&[0, 1, 2], 50);
        proxy.plant(Fault::Silence);
        wait_until("connections have fallen silent", || {
            (proxy.cuts().silent.load(Ordering::Relaxed) >= SILENCES).then_some(())
        });
        proxy.plant(Fault::None);
        progress.wait_for_more(&[0, 1, 2], 20);
    });
    assert!(history.slowest() < COMMANDS_ARE_ANSWERED_WITHIN, "{:?}", history.slowest());
}
