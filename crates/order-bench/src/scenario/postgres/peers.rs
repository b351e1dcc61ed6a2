//! The same work with other event-sourcing libraries.

use anyhow::Result;

use crate::bench::Bench;
use crate::order_ids::OrderIds;
use crate::peers::{BuiltPeer, Peer};
use crate::postgres::Postgres;
use crate::report::{Figures, Outcome, Side, Verdict};
use crate::server::Server;
use crate::work::Place;

/// How many times as fast we expect to be.
const TARGET: f64 = 10.0;

/// The clients of a turn, and how the service's side of it is called.
const CLIENTS: [(usize, &str); 2] = [(16, "service, 16 clients"), (64, "service, 64 clients")];

/// Places orders with each peer whose toolchain is there, and with the service, on the same server.
pub(crate) fn same_work(bench: &Bench) -> Result<Outcome> {
    let postgres = Postgres::start()?;
    let mut notes = vec![
        "peers work in-process, without HTTP and without a view of each order, which favours them".to_owned(),
        postgres.description()?,
    ];
    let mut contestants = Vec::new();
    for peer in Peer::ALL {
        match peer.build(bench.build_dir()) {
            Ok(built) => contestants.push(Contestant { peer, built, rounds: [const { Vec::new() }; 2] }),
            Err(error) => notes.push(format!("{} was not run: {error:#}", peer.name())),
        }
    }
    let service = bench.service.start_on(&postgres.create_database()?)?;
    let mut placed = [const { Vec::new() }; 2];
    for round in 0..bench.options.rounds {
        // Who begins changes from round to round, so that a drift of the machine favours nobody.
        for turn in [round % 2, (round + 1) % 2] {
            if turn == 0 {
                for contestant in &mut contestants {
                    contestant.take_turn(bench, &postgres)?;
                }
            } else {
                take_turn(bench, &service, &mut placed)?;
            }
        }
    }
    service.stop()?;
    let verdicts = contestants.iter().flat_map(|contestant| contestant.verdicts(&placed)).collect();
    let service = CLIENTS.iter().zip(placed).map(|(&(_, name), rounds)| Side::new(name, rounds));
    let sides = service.chain(contestants.into_iter().flat_map(Contestant::into_sides)).collect();
    Ok(Outcome {
        scenario: "pg-peers",
        about: "place, random ids, durable, on the same server as other event-sourcing libraries".into(),
        verdicts,
        sides,
        notes,
    })
}

/// A peer and its figures, for each of [`CLIENTS`].
struct Contestant {
    peer: Peer,
    built: BuiltPeer,
    rounds: [Vec<Figures>; 2],
}

impl Contestant {
    fn take_turn(&mut self, bench: &Bench, postgres: &Postgres) -> Result<()> {
        for (rounds, (clients, _)) in self.rounds.iter_mut().zip(CLIENTS) {
            rounds.push(self.built.measure(&postgres.create_database()?, clients, bench.span())?);
        }
        Ok(())
    }

    fn verdicts(&self, placed: &[Vec<Figures>; 2]) -> Vec<Verdict> {
        let turns = CLIENTS.iter().zip(placed).zip(&self.rounds);
        turns
            .map(|((&(clients, _), placed), rounds)| {
                let what = format!("service, of {}, {clients} clients", self.peer.name());
                Verdict::ratio_of(&what, placed, rounds, TARGET)
            })
            .collect()
    }

    fn into_sides(self) -> Vec<Side> {
        let names = match self.peer {
            Peer::CqrsEs => ["cqrs-es, 16 clients", "cqrs-es, 64 clients"],
            Peer::Emmett => ["emmett, 16 clients", "emmett, 64 clients"],
        };
        names.into_iter().zip(self.rounds).map(|(name, rounds)| Side::new(name, rounds)).collect()
    }
}

fn take_turn(bench: &Bench, service: &Server, placed: &mut [Vec<Figures>; 2]) -> Result<()> {
    for (rounds, (clients, _)) in placed.iter_mut().zip(CLIENTS) {
        rounds.push(bench.measure_on(clients, service, &mut Place::new(OrderIds::new_random()))?);
    }
    Ok(())
}
