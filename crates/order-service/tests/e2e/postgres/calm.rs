//! Nothing happens but the load.

use std::collections::HashMap;
use std::time::Duration;

use test_servers::postgres::installed_versions;
use test_servers::{PostgresOptions, PostgresServer, PostgresVersion};

use super::clients::{Balance, Progress};
use super::history::{History, Outcome};
use super::scenario::{instances, run, serving};
use crate::workflow::run_through;

/// On a machine with nothing else to do it is 100 ms; this one may be busy.
const FOLLOWERS_ARE_LATE_AFTER: Duration = Duration::from_secs(1);

const COMMANDS_OF_EACH: u64 = 500;

pub(crate) fn until_there_is_enough(progress: &Progress) {
    progress.wait_for_more(&[0, 1, 2], COMMANDS_OF_EACH);
}

#[test]
fn three_instances_keep_every_promise_and_followers_hear_of_the_others_commits_at_once() {
    let database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let url = database.create_database().unwrap();
    let history = run("no fault", instances(&url), Balance::Anywhere, |progress, _| {
        until_there_is_enough(progress);
    });
    assert_eq!(history.count(|outcome| *outcome == Outcome::Unknown || *outcome == Outcome::NotHappened), 0);
    let delays = delays_of_followers(&history);
    let percentile = |percent: usize| delays[(delays.len() - 1) * percent / 100];
    let (median, p99) = (percentile(50), percentile(99));
    eprintln!(
        "followers hear of another instance's commit {median:?} (p99: {p99:?}) after its acknowledgement"
    );
    assert!(p99 < FOLLOWERS_ARE_LATE_AFTER, "{p99:?}");
}

/// How long after a command's acknowledgement the followers of other instances had its event, ascending.
fn delays_of_followers(history: &History) -> Vec<Duration> {
    let mut delays = Vec::new();
    for (instance, feed) in history.feeds.iter().enumerate() {
        let seen: HashMap<_, _> =
            feed.iter().map(|seen| ((&*seen.order_id, seen.version), seen.at)).collect();
        for request in history.requests.iter().filter(|request| request.instance != instance) {
            if let Outcome::Accepted { version } = request.outcome {
                let seen = seen[&(&*request.command.order_id, version)];
                delays.push(seen.saturating_duration_since(request.span.ended));
            }
        }
    }
    delays.sort_unstable();
    delays
}

#[test]
fn every_installed_version_of_postgresql_serves() {
    let versions = installed_versions();
    assert!(!versions.is_empty(), "no PostgreSQL is installed: install Debian's `postgresql`");
    for version in versions.into_iter().filter(|version| *version >= 15) {
        let options = PostgresOptions::durable().version(PostgresVersion::Installed(version));
        let database = PostgresServer::start(options).unwrap();
        let server = serving(&database.create_database().unwrap()).start();
        run_through(&server);
        server.stop();
        let url = database.create_database().unwrap();
        run(&format!("PostgreSQL {version}"), instances(&url), Balance::Anywhere, |progress, _| {
            until_there_is_enough(progress);
        });
    }
}
