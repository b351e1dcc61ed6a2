//! Real servers, to run the service on by hand.

use std::any::Any;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result};
use clap::ValueEnum;
use test_servers::postgres::Programs;
use test_servers::{
    KafkaOptions, KafkaServer, NatsOptions, NatsServer, PostgresOptions, PostgresServer, PostgresVersion,
    kafka, nats,
};

use crate::prerequisites::{KAFKA_PREREQUISITES, NATS_PREREQUISITES, Prerequisite};

/// A kind of server that the service can work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A store
    Postgres,
    /// A bus, with JetStream
    Nats,
    /// A bus
    Kafka,
}

impl Kind {
    /// What it needs besides what every server needs.
    pub(crate) fn prerequisites(self) -> &'static [Prerequisite] {
        match self {
            Self::Postgres => &[],
            Self::Nats => NATS_PREREQUISITES,
            Self::Kafka => KAFKA_PREREQUISITES,
        }
    }

    /// Fetches its programs if need be.
    fn fetch(self) -> Result<()> {
        match self {
            Self::Postgres => Programs::find(PostgresVersion::Newest).map(drop),
            Self::Nats => nats::program().map(drop),
            Self::Kafka => kafka::jars().map(drop),
        }
    }

    /// Starts a server, says how to use it, and returns it: it ends when it is dropped.
    fn start(self) -> Result<Box<dyn Any>> {
        match self {
            Self::Postgres => {
                let server = PostgresServer::start(PostgresOptions::durable())?;
                eprint!("{}", told("PostgreSQL", "--store", &server.url(), server.directory()));
                Ok(Box::new(server))
            }
            Self::Nats => {
                let server = NatsServer::start(&NatsOptions::default().sync_always())?;
                eprint!("{}", told("NATS", "--bus", &server.url(), server.directory()));
                eprintln!("  how it is: {}", server.monitor_url());
                Ok(Box::new(server))
            }
            Self::Kafka => {
                let server = KafkaServer::start(&KafkaOptions::default())?;
                let url = format!("kafka://{}", server.bootstrap());
                eprint!("{}", told("Kafka", "--bus", &url, server.directory()));
                Ok(Box::new(server))
            }
        }
    }
}

/// Fetches all servers' programs if need be: without them, every test that starts a server would fail by itself.
pub(crate) fn fetch() -> Result<()> {
    Kind::value_variants().iter().try_for_each(|kind| kind.fetch().context("the full tests need servers"))
}

/// Starts the servers and stays. Ctrl+C ends this program, and its servers end with it.
pub(crate) fn serve(kinds: &[Kind]) -> Result<ExitCode> {
    let _servers = kinds.iter().map(|kind| kind.start()).collect::<Result<Vec<_>>>()?;
    eprintln!("Ctrl+C stops what runs here and removes its data.");
    loop {
        thread::park();
    }
}

/// The address as the option takes it, and the build that users run.
fn told(name: &str, option: &str, url: &str, directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "{name}: {url}\n  its data and its log: {directory}\n  cargo run --release -- {option} {}\n",
        quoted(url)
    )
}

/// As a shell takes it.
fn quoted(url: &str) -> String {
    if url.contains(['?', '&', '*', '(']) { format!("'{url}'") } else { url.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_there_as_the_option_takes_it_and_with_the_build_that_users_run() {
        let told = told("Kafka", "--bus", "kafka://127.0.0.1:9092", Path::new("/data"));
        let expected = "Kafka: kafka://127.0.0.1:9092\n  its data and its log: /data\n  \
                        cargo run --release -- --bus kafka://127.0.0.1:9092\n";
        assert_eq!(told, expected);
        assert_eq!(quoted("postgres://u@h/d?host=/run"), "'postgres://u@h/d?host=/run'");
    }
}
