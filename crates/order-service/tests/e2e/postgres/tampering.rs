//! Negative controls of the checkers: a run without a fault, of which something is then told otherwise than it was.

use std::sync::Arc;
use std::time::Duration;

use test_servers::{PostgresOptions, PostgresServer};

use super::breach::{Rule, assert_found, assert_none};
use super::check::check;
use super::clients::{Balance, under_load};
use super::history::{Action, Command, Facts, History, Outcome, Read, Request};
use super::scenario::{serving, watched};
use super::sql::Session;
use crate::random::Random;
use crate::server::{Server, wait_until};

/// One instance after some load, and what its clients wrote down.
struct Run {
    servers: [Server; 1],
    session: Session,
    history: History,
}

impl Run {
    fn new() -> Self {
        let url = PostgresServer::shared().unwrap().create_database().unwrap();
        let servers = [serving(&url).argument("--allow-unsafe-durability", "true").start()];
        let mut random = Random::seeded("tampering", 1);
        let history = watched(&servers, |servers| {
            under_load(servers, Balance::Anywhere, &mut random, |progress| progress.wait_for_more(&[0], 100))
        });
        assert_none(&check(&servers, &history));
        Self { servers, session: Session::open(&url), history }
    }

    #[track_caller]
    fn assert_found(&self, rule: Rule) {
        assert_found(&check(&self.servers, &self.history), rule);
    }

    /// Some request, after that which it is about was sent again by nobody.
    fn request(&mut self, wanted: impl Fn(&Outcome) -> bool) -> &mut Request {
        let all = &self.history.requests;
        let sent_once =
            |request: &&Request| all.iter().filter(|other| other.command == request.command).count() == 1;
        let found = all.iter().position(|request| wanted(&request.outcome) && sent_once(&request)).unwrap();
        &mut self.history.requests[found]
    }
}

fn is_accepted(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Accepted { .. })
}

#[test]
fn every_lie_about_an_answer_is_found() {
    let mut run = Run::new();

    for (lie, rule) in [
        (Outcome::NotHappened, Rule::NothingOfIt),
        (Outcome::Refused { code: "id-reused".to_owned(), facts: None }, Rule::Truth),
        (Outcome::Accepted { version: 99 }, Rule::Truth),
        (Outcome::Unheard("500".to_owned()), Rule::Answers),
    ] {
        let truth = std::mem::replace(&mut run.request(is_accepted).outcome, lie.clone());
        run.assert_found(rule);
        let back = run.history.requests.iter_mut().find(|request| request.outcome == lie).unwrap();
        back.outcome = truth;
    }

    let refused = |outcome: &Outcome| matches!(outcome, Outcome::Refused { facts: Some(_), .. });
    let truth = run.request(refused).outcome.clone();
    let Outcome::Refused { code, facts: Some(facts) } = truth.clone() else { panic!("{truth:?}") };
    let wrong = Facts { version: facts.version + 1000, ..facts };
    let request = run.request(refused);
    request.outcome = Outcome::Refused { code, facts: Some(wrong) };
    let command = Arc::clone(&request.command);
    run.assert_found(Rule::Truth);
    let request = run.history.requests.iter_mut().find(|request| request.command == command).unwrap();
    request.outcome = truth;

    let span = run.history.requests[0].span;
    let lost =
        Command { order_id: "lost".to_owned(), action: Action::Place, own_id: "lost".to_owned(), amount: 1 };
    let outcome = Outcome::Accepted { version: 1 };
    run.history.requests.push(Request { command: Arc::new(lost), instance: 0, span, outcome });
    run.assert_found(Rule::Kept);
    run.history.requests.pop();
    assert_none(&check(&run.servers, &run.history));
}

#[test]
fn every_lie_about_times_and_reads_and_feeds_is_found() {
    let mut run = Run::new();

    // As if the first command that was acknowledged had been sent after all others were.
    let late = run.history.requests.iter().map(|request| request.span.ended).max().unwrap();
    let first = run.request(is_accepted);
    let truth = first.span;
    let command = Arc::clone(&first.command);
    first.span.begun = late + Duration::from_millis(1);
    first.span.ended = late + Duration::from_millis(2);
    run.assert_found(Rule::RealTime);
    let first = run.history.requests.iter_mut().find(|request| request.command == command).unwrap();
    first.span = truth;

    // Of an order that was there long before.
    let mut span = truth;
    span.begun = late + Duration::from_millis(1);
    span.ended = late + Duration::from_millis(2);
    run.history.reads.push(Read { order_id: command.order_id.clone(), span, found: None });
    run.assert_found(Rule::Truth);
    run.history.reads.pop();

    let skipped = run.history.feeds[0].remove(7);
    run.assert_found(Rule::Followers);
    run.history.feeds[0].insert(7, skipped);
    run.history.feeds[0].swap(3, 4);
    run.assert_found(Rule::Followers);
    run.history.feeds[0].swap(3, 4);
    assert_none(&check(&run.servers, &run.history));
}

#[test]
fn every_change_of_what_is_stored_is_found() {
    let run = Run::new();
    run.session.run("CREATE TABLE sound AS TABLE order_service.orders");
    run.session.run("UPDATE order_service.orders SET total_cents = total_cents + 1 WHERE key = 1");
    run.assert_found(Rule::Views);
    // The instance has met the row, and repairs it.
    wait_until("the row is repaired", || {
        let damaged = "SELECT count(*) FROM order_service.orders o JOIN sound s USING (key) WHERE o <> s";
        (run.session.value::<i64>(damaged) == 0).then_some(())
    });
    // What lacks a position is told up to there.
    run.session.run("UPDATE order_service.events SET position = 1000000 WHERE position = 9");
    assert_eq!(run.servers[0].get("/events?after=8").status, 503);
    run.session.run("UPDATE order_service.events SET position = 9 WHERE position = 1000000");
    assert_none(&check(&run.servers, &run.history));
}

/// What durable servers are there for.
#[test]
fn a_database_that_loses_what_it_acknowledged_is_found_out() {
    let options =
        PostgresOptions::durable().setting("synchronous_commit", "off").setting("wal_writer_delay", "10s");
    let mut database = PostgresServer::start(options).unwrap();
    let url = database.create_database().unwrap();
    let start = || serving(&url).argument("--allow-unsafe-durability", "true").start();
    let servers = [start(), start()];
    let mut random = Random::seeded("lost commits", 1);
    let history = under_load(&servers, Balance::Anywhere, &mut random, |progress| {
        progress.wait_for_more(&[0, 1], 50);
        // This much it keeps, or the tables would be gone as well.
        database.query("CHECKPOINT").unwrap();
        progress.wait_for_more(&[0, 1], 20);
        database.kill_hard().unwrap();
        database.start_again().unwrap();
        progress.wait_for_more(&[0, 1], 10);
    });
    assert_found(&check(&servers, &history), Rule::Kept);
}
