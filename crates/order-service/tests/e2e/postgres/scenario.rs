//! Several instances on one database, clients and followers on each, and something that befalls them.

use std::time::Duration;

use super::breach;
use super::check::check;
use super::clients::{self, Balance, Progress};
use super::followers::Follower;
use super::history::History;
use super::log;
use crate::random::Random;
use crate::server::{Program, Server};

pub(crate) const INSTANCES: usize = 3;
/// Whatever befalls the database: the store gives up after 5 s.
pub(crate) const COMMANDS_ARE_ANSWERED_WITHIN: Duration = Duration::from_secs(8);

/// The program on a database.
pub(crate) fn serving(url: &str) -> Program {
    Program::serve().argument("--store", url)
}

pub(crate) fn instances(url: &str) -> Vec<Server> {
    (0..INSTANCES).map(|_| serving(url).start()).collect()
}

/// Loads the instances while `during` runs, lets the followers come to the end, and holds everything to what the
/// clients were told.
#[track_caller]
pub(crate) fn run(
    name: &str,
    servers: Vec<Server>,
    balance: Balance,
    during: impl FnOnce(&Progress, &[Server]),
) -> History {
    let mut random = Random::seeded(name, 1);
    let history = watched(&servers, |servers| {
        clients::under_load(servers, balance, &mut random, |progress| during(progress, servers))
    });
    eprintln!("{name}: {}", history.summary());
    breach::assert_none(&check(&servers, &history));
    for server in servers {
        server.stop();
    }
    history
}

/// What `act` brings about, with a follower on each instance that sees it all.
#[track_caller]
pub(crate) fn watched(servers: &[Server], act: impl FnOnce(&[Server]) -> History) -> History {
    let followers: Vec<Follower> = servers.iter().map(Follower::start).collect();
    let mut history = act(servers);
    let head = log::head(&servers[0]);
    history.feeds = followers
        .into_iter()
        .map(|follower| {
            follower.wait_for(head);
            follower.end()
        })
        .collect();
    history
}
