//! Negative controls: the database's own function is sabotaged, and the checkers must see what comes of it.
//!
//! Two requests meet at the worst moment in each; the function as it is stands the same test.

use std::sync::Arc;
use std::time::Instant;

use test_servers::PostgresServer;

use super::breach::{Breach, Rule, assert_found, assert_none};
use super::check::check;
use super::followers::Follower;
use super::foreign_sessions::{LOCK_LOG_END, waiting};
use super::history::{Action, Command, History, Outcome, Request, Span};
use super::scenario::serving;
use super::sql::Session;
use crate::http;
use crate::server::{Server, wait_until};

/// Two instances on a fresh database, whose function is told to be another.
struct Stage {
    url: String,
    servers: Vec<Server>,
    session: Session,
}

impl Stage {
    fn new() -> Self {
        let url = PostgresServer::shared().unwrap().create_database().unwrap();
        let server = || serving(&url).argument("--allow-unsafe-durability", "true").start();
        let (servers, session) = (vec![server(), server()], Session::open(&url));
        Self { url, servers, session }
    }

    /// Replaces words of `order_service.append_v2`, each of which must stand there once.
    #[track_caller]
    fn sabotage(&self, replacements: &[(&str, &str)]) {
        self.sabotage_function("append_v2", replacements);
    }

    /// Whoever takes the lock on the log's end gets nothing for it.
    #[track_caller]
    fn leave_out_the_lock(&self) {
        self.sabotage_function("lock_log_end_v1", &[("PERFORM pg_advisory_xact_lock(1869767780);", "")]);
    }

    #[track_caller]
    fn sabotage_function(&self, name: &str, replacements: &[(&str, &str)]) {
        let find = format!(
            "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE oid::regproc::text = 'order_service.{name}'"
        );
        let mut function: String = self.session.value(&find);
        for (words, others) in replacements {
            assert_eq!(function.matches(words).count(), 1, "{words:?} in {function}");
            function = function.replace(words, others);
        }
        self.session.run(&function);
    }

    /// Sends a command to an instance and waits for its answer.
    fn send(&self, instance: usize, command: Command) -> Request {
        send(self.servers[instance].port(), instance, Arc::new(command))
    }

    /// Sends a command to each instance, and lets both meet in front of the log's end, which somebody else has locked.
    fn send_to_both_at_once(&self, commands: [Command; 2]) -> Vec<Request> {
        let holder = Session::open(&self.url);
        holder.run("BEGIN");
        holder.run(LOCK_LOG_END);
        std::thread::scope(|scope| {
            let requests: Vec<_> = (0..)
                .zip(commands)
                .map(|(instance, command)| {
                    let port = self.servers[instance].port();
                    scope.spawn(move || send(port, instance, Arc::new(command)))
                })
                .collect();
            wait_until("both wait for the lock", || (waiting(&self.session) == 2).then_some(()));
            holder.run("COMMIT");
            requests.into_iter().map(|request| request.join().unwrap()).collect()
        })
    }

    fn breaches(&self, history: &History) -> Vec<Breach> {
        check(&self.servers, history)
    }
}

pub(crate) fn send(port: u16, instance: usize, command: Arc<Command>) -> Request {
    let (path, body) = command.request();
    let begun = Instant::now();
    let answer = http::Client::connect(port).and_then(|mut client| client.post(&path, &body));
    let span = Span { begun, ended: Instant::now() };
    Request {
        command,
        instance,
        span,
        outcome: answer.map_or(Outcome::Unknown, |answer| Outcome::of(&answer)),
    }
}

pub(crate) fn command(order_id: &str, action: Action, own_id: &str) -> Command {
    Command { order_id: order_id.to_owned(), action, own_id: own_id.to_owned(), amount: 5 }
}

/// Two instances take a payment for the same order at the same moment; there is only room for one.
fn two_payments_at_once(sabotage: impl FnOnce(&Stage)) -> Vec<Breach> {
    let stage = Stage::new();
    let mut requests = vec![stage.send(0, command("o", Action::Place, "c"))];
    // Both know the order now.
    requests.push(stage.send(1, command("o", Action::Place, "c")));
    sabotage(&stage);
    let payments = ["p0", "p1"].map(|own_id| command("o", Action::Pay, own_id));
    requests.extend(stage.send_to_both_at_once(payments));
    stage.breaches(&History { requests, ..History::default() })
}

/// Where the unique index would refuse what the function should have.
const DROP_THE_NET: &str = "ALTER TABLE order_service.events DROP CONSTRAINT events_order_key_version_key";

#[test]
fn two_instances_that_decide_at_once_do_not_both_succeed() {
    assert_none(&two_payments_at_once(|_| {}));
}

#[test]
fn even_without_the_functions_check_the_index_keeps_them_apart() {
    let breaches = two_payments_at_once(|stage| {
        stage.sabotage(&[("found_versions[n] = expected_versions[n]", "true")]);
    });
    assert_none(&breaches);
}

#[test]
fn a_version_check_that_is_left_out_is_found() {
    let breaches = two_payments_at_once(|stage| {
        stage.session.run(DROP_THE_NET);
        stage.sabotage(&[("found_versions[n] = expected_versions[n]", "true")]);
    });
    assert_found(&breaches, Rule::Versions);
    assert_found(&breaches, Rule::Decision);
}

#[test]
fn a_check_in_the_statement_that_waits_for_the_lock_is_found() {
    let breaches = two_payments_at_once(|stage| {
        stage.session.run(DROP_THE_NET);
        stage.leave_out_the_lock();
        stage.sabotage(&[(
            "FROM unnest(order_ids) WITH ORDINALITY AS a(order_id, n)",
            "FROM (SELECT pg_advisory_xact_lock(1869767780)) AS lock, \
             unnest(order_ids) WITH ORDINALITY AS a(order_id, n)",
        )]);
    });
    assert_found(&breaches, Rule::Versions);
}

/// A commit takes long, and another comes meanwhile; a follower on each instance looks on.
fn a_slow_commit_beside_a_quick_one(sabotage: impl FnOnce(&Stage)) -> Vec<Breach> {
    let stage = Stage::new();
    sabotage(&stage);
    // Before its commit, an append to the order `slow` waits for whoever holds this.
    stage.sabotage(&[(
        "IF log_end > last_position THEN",
        "IF order_ids[1] = 'slow' THEN PERFORM pg_advisory_xact_lock(7); END IF; IF log_end > last_position THEN",
    )]);
    let holder = Session::open(&stage.url);
    holder.run("BEGIN; SELECT pg_advisory_xact_lock(7)");
    let followers: Vec<Follower> = stage.servers.iter().map(Follower::start).collect();
    let ports = [0, 1].map(|instance| stage.servers[instance].port());
    let mut history = History::default();
    std::thread::scope(|scope| {
        let place = |instance: usize, order_id: &'static str| {
            scope.spawn(move || {
                send(ports[instance], instance, Arc::new(command(order_id, Action::Place, order_id)))
            })
        };
        let slow = place(0, "slow");
        wait_until("the slow commit is on its way", || (waiting(&stage.session) == 1).then_some(()));
        let quick = place(1, "quick");
        // It waits its turn; or it is done, before the one whose position comes first.
        wait_until("the quick commit waits or is done", || {
            let done = stage.session.value::<i64>("SELECT count(*) FROM order_service.events") > 0;
            (done || waiting(&stage.session) == 2).then_some(())
        });
        holder.run("COMMIT");
        history.requests.extend([slow, quick].map(|request| request.join().unwrap()));
    });
    for follower in followers {
        follower.wait_for(2);
        history.feeds.push(follower.end());
    }
    stage.breaches(&history)
}

#[test]
fn a_quick_commit_waits_for_a_slow_one_that_was_first() {
    assert_none(&a_slow_commit_beside_a_quick_one(|_| {}));
}

/// Without the lock there is a gap for a while. Whoever reads the log stops at it.
#[test]
fn not_even_positions_of_a_sequence_make_followers_skip_events() {
    assert_none(&a_slow_commit_beside_a_quick_one(|stage| {
        stage.session.run("CREATE SEQUENCE order_service.bare");
        stage.leave_out_the_lock();
        stage.sabotage(&[(
            "added_positions[n] := log_end + 1;",
            "log_end := nextval('order_service.bare') - 1; added_positions[n] := log_end + 1;",
        )]);
    }));
}
