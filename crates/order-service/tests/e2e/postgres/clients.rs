//! Clients that all work on the same few orders and each on orders of its own, over several instances, and write down
//! whatever they send and hear.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use super::history::{Action, Command, Facts, History, Outcome, Read, Request, Span};
use crate::http::{self, Answer};
use crate::random::Random;
use crate::server::{Server, wait_until};

/// Orders that everybody works on at a time. When one is shipped, another takes its place.
const HOT_ORDERS: usize = 4;
const HOT_UNITS: u64 = 12;
const COLD_UNITS: u64 = 3;
const CLIENTS_OF_EACH_INSTANCE: usize = 3;

/// Which instance a client's request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Balance {
    /// Any, each time another.
    Anywhere,
    /// Always the same one.
    AtHome,
}

/// How far the clients are, all together.
pub(crate) struct Progress {
    /// By instance.
    acknowledged: Vec<AtomicU64>,
    not_happened: AtomicU64,
    unknown: AtomicU64,
    /// How many hot orders there have been in each place.
    generations: [AtomicU64; HOT_ORDERS],
    stop: AtomicBool,
}

impl Progress {
    fn new(instances: usize) -> Self {
        Self {
            acknowledged: (0..instances).map(|_| AtomicU64::new(0)).collect(),
            not_happened: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            generations: [const { AtomicU64::new(0) }; HOT_ORDERS],
            stop: AtomicBool::new(false),
        }
    }

    /// Commands that an instance has acknowledged.
    pub(crate) fn acknowledged_by(&self, instance: usize) -> u64 {
        self.acknowledged[instance].load(Ordering::Relaxed)
    }

    /// Commands that were answered 503.
    pub(crate) fn turned_away(&self) -> u64 {
        self.not_happened.load(Ordering::Relaxed) + self.unknown.load(Ordering::Relaxed)
    }

    /// Waits until each of these instances has acknowledged so many more commands.
    #[track_caller]
    pub(crate) fn wait_for_more(&self, instances: &[usize], more: u64) {
        let wanted: Vec<u64> =
            instances.iter().map(|&instance| self.acknowledged_by(instance) + more).collect();
        wait_until("commands are acknowledged on each instance", || {
            let mut both = instances.iter().zip(&wanted);
            both.all(|(&instance, &wanted)| self.acknowledged_by(instance) >= wanted).then_some(())
        });
    }

    fn count(&self, instance: usize, outcome: &Outcome) {
        let counter = match outcome {
            Outcome::Accepted { .. } => &self.acknowledged[instance],
            Outcome::NotHappened => &self.not_happened,
            Outcome::Unknown => &self.unknown,
            Outcome::Refused { .. } | Outcome::Unheard(_) => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn stops(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Lets the clients end also when the test panics in between.
struct StopOnDrop<'a>(&'a Progress);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

/// Keeps the instances under load while `during` runs.
pub(crate) fn under_load(
    servers: &[Server],
    balance: Balance,
    random: &mut Random,
    during: impl FnOnce(&Progress),
) -> History {
    let progress = Progress::new(servers.len());
    let ports: Vec<u16> = servers.iter().map(Server::port).collect();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..servers.len() * CLIENTS_OF_EACH_INSTANCE)
            .map(|number| Client::new(number, &ports, balance, random.fork(), &progress))
            .map(|client| scope.spawn(move || client.run()))
            .collect();
        let stop = StopOnDrop(&progress);
        during(&progress);
        drop(stop);
        let mut all = History::default();
        for client in clients {
            let History { requests, reads, .. } = client.join().unwrap();
            all.requests.extend(requests);
            all.reads.extend(reads);
        }
        all
    })
}

struct Client<'a> {
    number: usize,
    home: usize,
    balance: Balance,
    ports: &'a [u16],
    connections: Vec<Option<http::Client>>,
    random: Random,
    progress: &'a Progress,
    history: History,
    /// How many commands it has thought of.
    commands: u64,
    /// Its own order that it works on, and the next step there.
    cold: (u64, usize),
    /// What it may well send again.
    accepted: Option<Arc<Command>>,
}

impl<'a> Client<'a> {
    fn new(
        number: usize,
        ports: &'a [u16],
        balance: Balance,
        random: Random,
        progress: &'a Progress,
    ) -> Self {
        Self {
            number,
            home: number % ports.len(),
            balance,
            ports,
            connections: ports.iter().map(|_| None).collect(),
            random,
            progress,
            history: History::default(),
            commands: 0,
            cold: (0, 0),
            accepted: None,
        }
    }

    fn run(mut self) -> History {
        while !self.progress.stops() {
            match self.random.between(0, 9) {
                0..=3 => self.work_on_a_hot_order(),
                4..=7 => self.work_on_the_own_order(),
                8 => self.read(),
                _ => self.repeat(),
            }
        }
        self.history
    }

    fn work_on_a_hot_order(&mut self) {
        let (place, generation) = self.hot_order();
        let (action, amount) = match self.random.between(0, 9) {
            0 => (Action::Place, HOT_UNITS),
            1..=5 => (Action::Pay, self.random.between(1, 4)),
            6 => (Action::Reserve, 0),
            _ => (Action::Ship, self.random.between(1, 4)),
        };
        let command = self.command(format!("hot-{place}-{generation}"), action, amount);
        if let Outcome::Refused { facts: Some(facts), .. } = self.carry_out(command)
            && facts.status == "shipped"
        {
            let next = &self.progress.generations[place];
            let _ = next.compare_exchange(generation, generation + 1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    fn work_on_the_own_order(&mut self) {
        let (order, step) = self.cold;
        let amount = if step == 2 { 0 } else { COLD_UNITS };
        let command = self.command(format!("cold-{}-{order}", self.number), Action::ALL[step], amount);
        if self.carry_out(command).is_final() {
            let last = step + 1 == Action::ALL.len();
            self.cold = if last { (order + 1, 0) } else { (order, step + 1) };
        }
    }

    fn repeat(&mut self) {
        if let Some(command) = self.accepted.clone() {
            self.carry_out(command);
        }
    }

    fn read(&mut self) {
        let (place, generation) = self.hot_order();
        let order_id = format!("hot-{place}-{generation}");
        let instance = self.instance();
        let request = format!("GET /orders/{order_id} HTTP/1.1\r\nhost: e2e\r\n\r\n");
        let Some((span, Ok(answer))) = self.exchange(instance, &request) else { return };
        let found = match answer.status {
            200 => Some(Facts {
                version: answer.version().unwrap(),
                status: answer.json()["Status"].as_str().unwrap().to_owned(),
            }),
            404 => None,
            _ => return,
        };
        self.history.reads.push(Read { order_id, span, found });
    }

    fn hot_order(&mut self) -> (usize, u64) {
        let place = self.random.next() as usize % HOT_ORDERS;
        (place, self.progress.generations[place].load(Ordering::Relaxed))
    }

    fn command(&mut self, order_id: String, action: Action, amount: u64) -> Arc<Command> {
        self.commands += 1;
        let own_id = format!("{}-{}", self.number, self.commands);
        Arc::new(Command { order_id, action, own_id, amount })
    }

    /// Sends a command again and again until it is answered for good, or the load ends.
    fn carry_out(&mut self, command: Arc<Command>) -> Outcome {
        let (path, body) = command.request();
        let request = http::post(&path, &body);
        loop {
            let instance = self.instance();
            let mut outcome = Outcome::NotHappened;
            if let Some((span, answer)) = self.exchange(instance, &request) {
                outcome = answer.map_or(Outcome::Unknown, |answer| Outcome::of(&answer));
                self.progress.count(instance, &outcome);
                let (command, outcome) = (Arc::clone(&command), outcome.clone());
                self.history.requests.push(Request { command, instance, span, outcome });
            }
            if outcome.is_final() || self.progress.stops() {
                if matches!(outcome, Outcome::Accepted { .. }) {
                    self.accepted = Some(command);
                }
                return outcome;
            }
        }
    }

    fn instance(&mut self) -> usize {
        match self.balance {
            Balance::Anywhere => self.random.next() as usize % self.ports.len(),
            Balance::AtHome => self.home,
        }
    }

    /// `None` if the request was never sent.
    fn exchange(&mut self, instance: usize, request: &str) -> Option<(Span, io::Result<Answer>)> {
        let connection = match self.connections[instance].take() {
            Some(connection) => Ok(connection),
            None => http::Client::connect(self.ports[instance]),
        };
        let mut connection = connection.ok()?;
        let begun = Instant::now();
        let answer = connection.send(request.as_bytes()).and_then(|()| connection.answer());
        let span = Span { begun, ended: Instant::now() };
        if answer.as_ref().is_ok_and(|answer| !answer.closes()) {
            self.connections[instance] = Some(connection);
        }
        Some((span, answer))
    }
}
