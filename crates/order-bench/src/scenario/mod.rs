//! The scenarios, one for each claim about the service's speed.

mod latency;
mod memory;
mod place;
mod read;
mod startup;
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
    /// Read lists while orders are placed
    ListWhilePlacing,
    /// Place orders on the memory store
    PlaceMemory,
    /// Place orders on one connection, beside raw write+fdatasync
    OneConnection,
    /// Peak resident memory on the large store, and with orders of 1,000 lines
    Memory,
    /// From spawn to the first answer on the large store, after SIGTERM and after kill -9
    Startup,
}

impl Scenario {
    /// Runs the scenario.
    pub(crate) fn run(self, bench: &Bench) -> Result<Outcome> {
        match self {
            Self::PlaceSeq => place::in_sequence(bench),
            Self::PlaceRandom3m => place::random_on_a_large_store(bench),
            Self::Workflow => workflow::four_steps(bench),
            Self::GetRandom => read::single_orders(bench),
            Self::ListWhilePlacing => read::lists_while_placing(bench),
            Self::PlaceMemory => place::in_memory(bench),
            Self::OneConnection => latency::one_connection(bench),
            Self::Memory => memory::resident(bench),
            Self::Startup => startup::first_answer(bench),
        }
    }

    /// As it is named on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}
