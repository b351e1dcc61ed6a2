//! How long the rules take on a very long order.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use order_domain::{Order, OrderCommand, Timestamp, decide, evolve};

use super::order_commands::{self as ask, LINES};
use crate::bench::Bench;
use crate::interrupt;
use crate::load::Histogram;
use crate::report::{Bound, Figures, Outcome, Side, Verdict};

const TARGET_US: f64 = 100.0;
const EVENTS: u64 = 1_000;
/// Of each a part is captured; one more covers the rest.
const PAYMENTS: u64 = 200;
const PARCELS: u64 = 200;
const REFUNDS: u64 = 101;
/// Reservations that are released again, before the one that holds.
const RELEASED: u64 = 20;
const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// `decide` alone, without log, views and HTTP: the commands whose work grows with an order's lines, payments, parcels.
pub(crate) fn on_a_long_order(bench: &Bench) -> Result<Outcome> {
    let reserved = History::of_a_long_order()?;
    ensure!(reserved.events == EVENTS, "the order has {} events", reserved.events);
    let mut unreserved = reserved.clone();
    unreserved.add(&ask::release("res")?)?;
    let timed = [
        ("ship all that is reserved", &reserved, ask::ship_all("last")?),
        ("ship one unit of each line, by SKU", &reserved, ask::ship_one_of_each_line("last")?),
        ("cancel one unit", &reserved, ask::cancel_one_unit("last")?),
        ("cancel all that is open", &reserved, ask::cancel_all()),
        ("capture all that is open", &reserved, ask::capture("last", None)?),
        ("refund of many captures", &reserved, ask::refund("last", 200_000)?),
        ("reserve all that is open", &unreserved, ask::reserve("last")?),
    ];
    let turn = bench.span().measured / timed.len() as u32;
    let (mut sides, mut verdicts) = (Vec::new(), Vec::new());
    for (what, history, command) in timed {
        let rounds = (0..bench.options.rounds).map(|_| measure(history, &command, turn));
        let rounds = rounds.collect::<Result<Vec<_>>>().context(what)?;
        let medians_us = rounds.iter().map(|round| round.p50_ms * 1e3).collect();
        verdicts.push(Verdict::of_rounds(what, medians_us, "µs", Bound::AtMost, TARGET_US));
        sides.push(Side::new(what, rounds));
    }
    Ok(Outcome {
        scenario: "decide",
        about: format!("the rules alone, on an order of {LINES} lines and {EVENTS} events"),
        sides,
        verdicts,
        notes: Vec::new(),
    })
}

/// Decides the same command again and again, what it answers made and dropped each time.
fn measure(history: &History, command: &OrderCommand, turn: Duration) -> Result<Figures> {
    let mut latency = Histogram::new();
    let begin = Instant::now();
    while begin.elapsed() < turn {
        interrupt::check()?;
        let decided_at = Instant::now();
        let events = decide(black_box(history.order.as_ref()), black_box(command), NOW)?;
        ensure!(!events.is_empty(), "there is nothing to decide");
        drop(black_box(events));
        latency.record(decided_at.elapsed());
    }
    Ok(Figures::of_latencies(&latency, begin.elapsed()))
}

/// An order as commands have made it so far.
#[derive(Clone, Default)]
struct History {
    order: Option<Order>,
    events: u64,
}

impl History {
    /// Paid by many, sent in many parcels, of which most units are still reserved.
    fn of_a_long_order() -> Result<Self> {
        let mut history = Self::default();
        history.add(&ask::place()?)?;
        for n in 0..PAYMENTS {
            history.add(&ask::pay(&format!("pay-{n}"), Some(4_000))?)?;
        }
        history.add(&ask::pay("pay-rest", None)?)?;
        for n in 0..PAYMENTS {
            history.add(&ask::capture(&format!("cap-{n}"), Some(2_000))?)?;
        }
        for n in 0..RELEASED {
            history.add(&ask::reserve(&format!("res-{n}"))?)?;
            history.add(&ask::release(&format!("res-{n}"))?)?;
        }
        history.add(&ask::reserve("res")?)?;
        for n in 0..PARCELS {
            history.add(&ask::ship_one_unit(&format!("parcel-{n}"), n + 1)?)?;
            history.add(&ask::deliver(&format!("parcel-{n}"))?)?;
        }
        for n in 0..REFUNDS {
            history.add(&ask::refund(&format!("ref-{n}"), 1)?)?;
        }
        while history.events < EVENTS {
            history.add(&ask::hold())?;
            history.add(&ask::unhold())?;
        }
        Ok(history)
    }

    fn add(&mut self, command: &OrderCommand) -> Result<()> {
        let events = decide(self.order.as_ref(), command, NOW).with_context(|| format!("{command:?}"))?;
        self.events += events.len() as u64;
        self.order = events.iter().fold(self.order.take(), evolve);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_as_long_as_is_said() {
        let history = History::of_a_long_order().unwrap();
        assert_eq!(history.events, EVENTS);
        assert_eq!(history.order.unwrap().lines().len() as u64, LINES);
    }
}
