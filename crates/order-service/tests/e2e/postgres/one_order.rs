//! A hundred clients at one order, over two instances: the plain way of optimistic concurrency, while connections to the
//! database break and an instance is killed again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use test_servers::{PostgresOptions, PostgresServer};

use super::breach;
use super::check::check;
use super::controls::send;
use super::history::{Action, Command, History, Outcome, Request};
use super::proxy::{Fault, Proxy};
use super::scenario::{COMMANDS_ARE_ANSWERED_WITHIN, serving};
use crate::random::Random;
use crate::server::wait_until;

const CLIENTS: usize = 100;
/// An order takes 250 in all.
const PAYMENTS_OF_EACH: usize = 2;
const KILLS: u64 = 3;
/// Payments between two kills.
const PAYMENTS_OF_A_LIFE: u64 = 60;

/// Where instances listen now, and how many payments were accepted.
struct Stage {
    ports: [AtomicU16; 2],
    accepted: AtomicU64,
}

impl Stage {
    /// Sends a command to one instance after the other until it is accepted, or refused for good.
    fn carry_out(&self, command: &Arc<Command>, first: usize, requests: &mut Vec<Request>) -> Outcome {
        for instance in (0..2).cycle().skip(first) {
            let port = self.ports[instance].load(Ordering::Relaxed);
            let request = send(port, instance, Arc::clone(command));
            let outcome = request.outcome.clone();
            requests.push(request);
            match &outcome {
                Outcome::Accepted { .. } | Outcome::Unheard(_) => return outcome,
                Outcome::Refused { code, .. } if code != "concurrent-modification" => return outcome,
                Outcome::Refused { .. } | Outcome::NotHappened | Outcome::Unknown => {}
            }
        }
        unreachable!("there is always another instance")
    }

    fn pay(&self, client: usize) -> Vec<Request> {
        let mut requests = Vec::new();
        for n in 0..PAYMENTS_OF_EACH {
            let own_id = format!("{client}-{n}");
            let command =
                Arc::new(Command { order_id: "o".to_owned(), action: Action::Pay, own_id, amount: 1 });
            let outcome = self.carry_out(&command, (client + n) % 2, &mut requests);
            assert!(matches!(outcome, Outcome::Accepted { .. }), "{command:?}: {outcome:?}");
            self.accepted.fetch_add(1, Ordering::Relaxed);
            // Then once more, at the other instance: what is done is never refused.
            let mut repeated = Vec::new();
            self.carry_out(&command, (client + n + 1) % 2, &mut repeated);
            for Request { outcome, .. } in &repeated {
                assert!(!matches!(outcome, Outcome::Refused { .. }), "{command:?} again: {outcome:?}");
            }
            requests.extend(repeated);
        }
        requests
    }
}

#[test]
fn a_hundred_clients_at_one_order_are_all_answered_and_repetitions_as_the_first_time() {
    let database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let proxy = Proxy::start(database.port(), Random::seeded("one order", 5));
    let url = proxy.url_of(&database.create_database().unwrap(), database.port());
    let [first, second] = [serving(&url).start(), serving(&url).start()];
    let stage =
        Stage { ports: [first.port(), second.port()].map(AtomicU16::new), accepted: AtomicU64::new(0) };
    let placed = Command {
        order_id: "o".to_owned(),
        action: Action::Place,
        own_id: "c".to_owned(),
        amount: 10 * (CLIENTS * PAYMENTS_OF_EACH) as u64,
    };
    let mut requests = vec![send(first.port(), 0, Arc::new(placed))];
    let second = std::thread::scope(|scope| {
        let stage = &stage;
        let clients: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || stage.pay(client))).collect();
        proxy.plant(Fault::Cut);
        let mut second = second;
        for life in 1..=KILLS {
            wait_until("payments are accepted", || {
                (stage.accepted.load(Ordering::Relaxed) >= life * PAYMENTS_OF_A_LIFE).then_some(())
            });
            second.kill();
            // It ends when its first look at the database is cut.
            second = wait_until("it serves again", || serving(&url).try_start().ok());
            stage.ports[1].store(second.port(), Ordering::Relaxed);
        }
        proxy.plant(Fault::None);
        requests.extend(clients.into_iter().flat_map(|client| client.join().unwrap()));
        second
    });
    let history = History { requests, ..History::default() };
    eprintln!("one order: {}", history.summary());
    breach::assert_none(&check(&[first, second], &history));
    assert!(history.slowest() < COMMANDS_ARE_ANSWERED_WITHIN, "{:?}", history.slowest());
}
