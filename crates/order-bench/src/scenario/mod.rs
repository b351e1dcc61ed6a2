//! The scenarios, one for each claim about the service's speed.

mod against;
mod backup;
mod brokers;
mod crowds;
mod decide;
mod feeds;
mod guarded;
mod latency;
mod lists;
mod memory;
mod order_commands;
mod place;
mod postgres;
mod read;
mod rebuild;
mod startup;
mod upkeep;
mod workflow;

use anyhow::{Result, bail};
use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::bench::Bench;
use crate::build::Build;
use crate::report::Outcome;

/// What can be measured.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// Place orders with ids in sequence, durable
    PlaceSeq,
    /// Place orders with random ids on the large store, durable
    #[value(name = "place-random-3m")]
    PlaceRandom3m,
    /// Place orders with an `Idempotency-Key` on a store of many receipts, beside placing without
    PlaceKeyed,
    /// Place orders with a caller's key and rate while metrics are scraped, beside placing without
    PlaceGuarded,
    /// The same with every hundredth request traced
    PlaceTraced,
    /// Place, pay, reserve and ship, durable
    Workflow,
    /// Place, pay, reserve and ship on the large store, durable
    #[value(name = "workflow-3m")]
    Workflow3m,
    /// Read single orders at random
    GetRandom,
    /// Read lists while orders are placed
    ListWhilePlacing,
    /// Read filtered and sorted lists of orders at all steps of their lives, on a large store
    Lists,
    /// Read a thousand live feeds, beside a bare stream and beside placing
    Feeds,
    /// Place orders beside thousands of clients that read nothing or never finish a request
    Crowds,
    /// Place orders on the memory store
    PlaceMemory,
    /// Place orders on one connection, beside raw write+fdatasync
    OneConnection,
    /// The rules alone, on an order of 1,000 lines and 1,000 events
    Decide,
    /// Peak resident memory on the large store, and with orders of 1,000 lines
    Memory,
    /// From spawn to the first answer on the large store, after SIGTERM and after kill -9
    Startup,
    /// Make the views anew from a log of interleaved events, alone and beside a server under load
    Rebuild,
    /// Back up a large store, beside a copy of its file and beside a server under load; restore it
    Backup,
    /// Peak resident memory of verify, of rebuild and of scrubbing on the large store
    UpkeepMemory,
    /// PostgreSQL: place orders, beside pgbench
    PgPlace,
    /// PostgreSQL: place orders on two instances, beside one
    PgTwoInstances,
    /// PostgreSQL: place orders on one connection, beside one client of pgbench
    PgOneConnection,
    /// PostgreSQL: place orders while another session keeps an old snapshot
    PgOldSnapshot,
    /// PostgreSQL: read single orders at random, beside the SQLite store
    PgGet,
    /// PostgreSQL: copy a SQLite store into a database
    PgCopy,
    /// PostgreSQL: rebuild the views while two instances serve
    PgRebuild,
    /// PostgreSQL: place orders, beside other event-sourcing libraries
    PgPeers,
    /// Relay a backlog to Kafka, beside a bare producer
    RelayKafka,
    /// Relay a backlog to NATS JetStream, beside a bare publisher
    RelayNats,
    /// From a command to a consumer of each broker
    RelayLatency,
    /// Place orders while a relay to each broker works on the same cores
    RelayBesidePlace,
    /// Build a replica from Kafka
    ReplicaKafka,
}

/// Measures a build beside an older one.
type Comparison = fn(&Bench, &Build) -> Result<Outcome>;

/// What can be measured so.
const COMPARISONS: [(Scenario, Comparison); 8] = [
    (Scenario::PlaceSeq, against::place_in_sequence),
    (Scenario::PlaceRandom3m, against::place_at_random),
    (Scenario::PlaceGuarded, guarded::place),
    (Scenario::PlaceTraced, guarded::place_traced),
    (Scenario::Workflow, against::workflow),
    (Scenario::Workflow3m, against::workflow_on_large_store),
    (Scenario::GetRandom, against::get_at_random),
    (Scenario::PgPlace, against::place_on_postgres),
];

/// All scenarios whose names begin so, on the command line.
const GROUPS: [(&str, &[&str], &str); 2] = [
    ("pg", &["pg-"], "Everything on PostgreSQL"),
    ("brokers", &["relay-", "replica-"], "Everything with message brokers"),
];

impl Scenario {
    /// All those whose names begin so.
    fn group(prefixes: &[&str]) -> Vec<Self> {
        let belongs = |scenario: &Self| prefixes.iter().any(|prefix| scenario.name().starts_with(prefix));
        Self::value_variants().iter().copied().filter(belongs).collect()
    }

    /// What a word on the command line names.
    pub(crate) fn parser() -> impl TypedValueParser<Value = Vec<Self>> {
        let each = Self::value_variants().iter().filter_map(Self::to_possible_value);
        let groups = GROUPS.map(|(name, _, help)| PossibleValue::new(name).help(help));
        PossibleValuesParser::new(each.chain(groups)).map(|word| {
            match GROUPS.iter().find(|(name, ..)| *name == word) {
                Some((_, prefixes, _)) => Self::group(prefixes),
                None => Self::from_str(&word, false).into_iter().collect(),
            }
        })
    }

    /// What names these scenarios on the command line; nothing for all there are.
    pub(crate) fn words(scenarios: &[Self]) -> Vec<String> {
        if scenarios == Self::value_variants() {
            Vec::new()
        } else if let Some((name, ..)) =
            GROUPS.iter().find(|(_, prefixes, _)| scenarios == Self::group(prefixes))
        {
            vec![(*name).to_owned()]
        } else {
            scenarios.iter().map(|scenario| scenario.name()).collect()
        }
    }

    /// Those that measure a build beside an older one when they are told to.
    pub(crate) fn comparing() -> Vec<Self> {
        COMPARISONS.map(|(scenario, _)| scenario).to_vec()
    }

    /// Runs the scenario.
    ///
    /// # Errors
    ///
    /// Besides what goes wrong, when there is an older build to compare with and the scenario cannot.
    pub(crate) fn run(self, bench: &Bench) -> Result<Outcome> {
        match (&bench.against, self.comparison()) {
            (None, _) => self.run_beside_limit(bench),
            (Some(older), Some(compare)) => compare(bench, older),
            (Some(_), None) => bail!("it compares no builds; these do: {}", names(&Self::comparing())),
        }
    }

    fn comparison(self) -> Option<Comparison> {
        COMPARISONS.iter().find(|(scenario, _)| *scenario == self).map(|(_, compare)| *compare)
    }

    fn run_beside_limit(self, bench: &Bench) -> Result<Outcome> {
        match self {
            Self::PlaceSeq => place::in_sequence(bench),
            Self::PlaceRandom3m => place::random_on_a_large_store(bench),
            Self::PlaceKeyed => place::with_keys(bench),
            Self::PlaceGuarded => guarded::place(bench, &bench.service),
            Self::PlaceTraced => guarded::place_traced(bench, &bench.service),
            Self::Workflow => workflow::on_new_store(bench),
            Self::Workflow3m => workflow::on_large_store(bench),
            Self::GetRandom => read::single_orders(bench),
            Self::ListWhilePlacing => read::lists_while_placing(bench),
            Self::Lists => lists::filtered_and_sorted(bench),
            Self::Feeds => feeds::many_readers(bench),
            Self::Crowds => crowds::place_beside(bench),
            Self::PlaceMemory => place::in_memory(bench),
            Self::OneConnection => latency::one_connection(bench),
            Self::Decide => decide::on_a_long_order(bench),
            Self::Memory => memory::resident(bench),
            Self::Startup => startup::first_answer(bench),
            Self::Rebuild => rebuild::of_interleaved_events(bench),
            Self::Backup => backup::of_a_large_store(bench),
            Self::UpkeepMemory => upkeep::resident(bench),
            Self::PgPlace => postgres::at_full_rate(bench),
            Self::PgTwoInstances => postgres::two(bench),
            Self::PgOneConnection => postgres::one_connection(bench),
            Self::PgOldSnapshot => postgres::beside_an_old_one(bench),
            Self::PgGet => postgres::single_orders(bench),
            Self::PgCopy => postgres::from_sqlite(bench),
            Self::PgRebuild => postgres::beside_two_instances(bench),
            Self::PgPeers => postgres::same_work(bench),
            Self::RelayKafka => brokers::to_kafka(bench),
            Self::RelayNats => brokers::to_nats(bench),
            Self::RelayLatency => brokers::commit_to_consumer(bench),
            Self::RelayBesidePlace => brokers::place_while_relaying(bench),
            Self::ReplicaKafka => brokers::from_kafka(bench),
        }
    }

    /// As it is named on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

fn names(scenarios: &[Scenario]) -> String {
    let names: Vec<String> = scenarios.iter().map(|scenario| scenario.name()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_run_can_be_typed_again() {
        let all = Scenario::value_variants();
        assert_eq!(Scenario::words(all), [""; 0]);
        assert_eq!(Scenario::words(&Scenario::group(&["pg-"])), ["pg"]);
        assert_eq!(Scenario::words(&all[..2]), ["place-seq", "place-random-3m"]);
        let command = clap::Command::new("bench");
        let parsed = |word: &str| Scenario::parser().parse_ref(&command, None, word.as_ref()).unwrap();
        assert_eq!(parsed("pg"), Scenario::group(&["pg-"]));
        assert_eq!(parsed("brokers").len(), 5);
        assert_eq!(parsed("pg-get"), [Scenario::PgGet]);
    }
}
