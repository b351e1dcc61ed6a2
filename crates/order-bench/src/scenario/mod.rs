//! The scenarios, one for each claim about the service's speed.

mod latency;
mod memory;
mod place;
mod postgres;
mod read;
mod startup;
mod workflow;

use anyhow::Result;
use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

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
    /// PostgreSQL: place orders, beside pgbench
    PgPlace,
    /// PostgreSQL: place orders on two instances, beside one
    PgTwoInstances,
    /// PostgreSQL: place orders on one connection, beside one client of pgbench
    PgOneConnection,
    /// PostgreSQL: many clients change one order through two instances
    PgHotOrder,
    /// PostgreSQL: place orders while another session keeps an old snapshot
    PgOldSnapshot,
    /// PostgreSQL: read single orders at random, beside the SQLite store
    PgGet,
    /// PostgreSQL: copy a SQLite store into a database
    PgCopy,
    /// PostgreSQL: place orders, beside other event-sourcing libraries
    PgPeers,
}

/// All scenarios whose name begins with `pg-`, on the command line.
const ON_POSTGRES: &str = "pg";

impl Scenario {
    /// All those on PostgreSQL.
    pub(crate) fn on_postgres() -> Vec<Self> {
        Self::value_variants().iter().copied().filter(|scenario| scenario.name().starts_with("pg-")).collect()
    }

    /// What a word on the command line names.
    pub(crate) fn parser() -> impl TypedValueParser<Value = Vec<Self>> {
        let each = Self::value_variants().iter().filter_map(Self::to_possible_value);
        let all_on_postgres = PossibleValue::new(ON_POSTGRES).help("Everything on PostgreSQL");
        PossibleValuesParser::new(each.chain([all_on_postgres])).map(|word| match word.as_str() {
            ON_POSTGRES => Self::on_postgres(),
            name => Self::from_str(name, false).into_iter().collect(),
        })
    }

    /// What names these scenarios on the command line; nothing for all there are.
    pub(crate) fn words(scenarios: &[Self]) -> Vec<String> {
        if scenarios == Self::value_variants() {
            Vec::new()
        } else if scenarios == Self::on_postgres() {
            vec![ON_POSTGRES.to_owned()]
        } else {
            scenarios.iter().map(|scenario| scenario.name()).collect()
        }
    }

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
            Self::PgPlace => postgres::at_full_rate(bench),
            Self::PgTwoInstances => postgres::two(bench),
            Self::PgOneConnection => postgres::one_connection(bench),
            Self::PgHotOrder => postgres::many_clients(bench),
            Self::PgOldSnapshot => postgres::beside_an_old_one(bench),
            Self::PgGet => postgres::single_orders(bench),
            Self::PgCopy => postgres::from_sqlite(bench),
            Self::PgPeers => postgres::same_work(bench),
        }
    }

    /// As it is named on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_run_can_be_typed_again() {
        let all = Scenario::value_variants();
        assert_eq!(Scenario::words(all), [""; 0]);
        assert_eq!(Scenario::words(&Scenario::on_postgres()), ["pg"]);
        assert_eq!(Scenario::words(&all[..2]), ["place-seq", "place-random-3m"]);
        let command = clap::Command::new("bench");
        let parsed = |word: &str| Scenario::parser().parse_ref(&command, None, word.as_ref()).unwrap();
        assert_eq!(parsed("pg"), Scenario::on_postgres());
        assert_eq!(parsed("pg-get"), [Scenario::PgGet]);
    }
}
