//! Placing beside clients that take places and get nothing done.

use anyhow::Result;

use crate::bench::Bench;
use crate::crowd::{Crowd, Habit};
use crate::order_ids::OrderIds;
use crate::report::{Figures, Outcome, Side, Verdict};
use crate::work::Place;

/// Half of the places that a service has by default.
const CLIENTS: usize = 5_000;
const TARGET: f64 = 0.8;

/// Orders are placed at full rate: alone, beside feeds that nobody reads, and beside heads that come byte by byte. Each turn
/// has a new store.
pub(crate) fn place_beside(bench: &Bench) -> Result<Outcome> {
    let turns = [None, Some(Habit::UnreadFeed), Some(Habit::SlowHead)];
    let mut measured = [const { Vec::new() }; 3];
    for round in 0..bench.options.rounds as usize {
        // Who begins changes from round to round, so that a drift of the machine favours none.
        for turn in (0..turns.len()).map(|turn| (turn + round) % turns.len()) {
            measured[turn].push(place(bench, turns[turn])?);
        }
    }
    let [alone, unread, slow] = measured;
    Ok(Outcome {
        scenario: "crowds",
        about: format!(
            "place, durable, alone and beside {CLIENTS} clients: each asks for all events and takes none, or adds a byte to \
             its request's head every second; who is sent away comes again"
        ),
        verdicts: vec![
            Verdict::ratio_of("beside unread feeds, of alone", &unread, &alone, TARGET),
            Verdict::ratio_of("beside slow heads, of alone", &slow, &alone, TARGET),
        ],
        sides: vec![
            Side::new("alone", alone),
            Side::new("beside unread feeds", unread),
            Side::new("beside slow heads", slow),
        ],
        notes: vec!["what the crowd takes of the machine is not in \"load gen.\"".to_owned()],
    })
}

fn place(bench: &Bench, crowd: Option<Habit>) -> Result<Figures> {
    let dir = bench.new_dir()?;
    let service = bench.service.start(dir.path())?;
    let crowd = crowd.map(|habit| Crowd::gather(service.address(), CLIENTS, habit)).transpose()?;
    let figures = bench.measure(&service, &mut Place::new(OrderIds::new_random()))?;
    crowd.map(Crowd::leave).transpose()?;
    service.stop()?;
    Ok(figures)
}
