//! The scenarios, one for each claim about the service's speed.

mod place;
mod read;
mod workflow;

use anyhow::Result;
use clap::ValueEnum;

use crate::bench::Bench;
use crate::report::Outcome;

/// What can be measured.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Place orders with ids in sequence, durable
    PlaceSeq,
    /// Place orders with random ids on the large store, durable
    #[value(name = "place-random-3m")]
    PlaceRandom3m,
    /// Place, pay, reserve and ship, durable
    Workflow,
    /// Read single orders at random
    GetRandom,
}

impl Scenario {
    /// Runs the scenario.
    pub(crate) fn run(self, bench: &Bench) -> Result<Outcome> {
        match self {
            Self::PlaceSeq => place::in_sequence(bench),
            Self::PlaceRandom3m => place::random_on_a_large_store(bench),
            Self::Workflow => workflow::four_steps(bench),
            Self::GetRandom => read::single_orders(bench),
        }
    }
}
