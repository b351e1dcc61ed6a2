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
                tell("PostgreSQL", &server.url(), server.directory(), &format!("--store {}", server.url()));
                Ok(Box::new(server))
            }
            Self::Nats => {
                let server = NatsServer::start(&NatsOptions::default().sync_always())?;
                tell("NATS", &server.url(), server.directory(), &format!("--bus {}", server.url()));
                eprintln!("  how it is: {}", server.monitor_url());
                Ok(Box::new(server))
            }
            Self::Kafka => {
                let server = KafkaServer::start(&KafkaOptions::default())?;
                let bootstrap = server.bootstrap();
                tell("Kafka", &bootstrap, server.directory(), &format!("--bus kafka://{bootstrap}"));
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

fn tell(name: &str, url: &str, directory: &Path, option: &str) {
    eprintln!("{name}: {url}");
    eprintln!("  its data and its log: {}", directory.display());
    eprintln!("  cargo run -- {option}");
}
