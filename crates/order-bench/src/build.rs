//! A build of the service: its binary, and the stores that it has loaded.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::interrupt;
use crate::prepared::Prepared;
use crate::server::{Server, child_command};

/// One binary of `order-service`.
pub(crate) struct Build {
    program: PathBuf,
    prepared: Prepared,
    scratch: PathBuf,
    connections: usize,
}

impl Build {
    /// `stores` is where it keeps what it loads, `scratch` where its servers' logs and data directories go; it is loaded
    /// over this many connections.
    pub(crate) fn new(program: PathBuf, stores: PathBuf, scratch: PathBuf, connections: usize) -> Self {
        Self { program, prepared: Prepared::new(stores), scratch, connections }
    }

    /// How many connections load its stores.
    pub(crate) fn connections(&self) -> usize {
        self.connections
    }

    /// Starts the service on its durable default store in this directory.
    pub(crate) fn start(&self, data_dir: &Path) -> Result<Server> {
        let data_dir = data_dir.to_str().context("the scratch directory's name is UTF-8")?;
        Server::start_service(&self.program, &["--data-dir", data_dir], self.scratch.join("service.log"))
    }

    /// The same, relaying events to these brokers.
    pub(crate) fn start_with_bus(&self, data_dir: &Path, urls: &[String]) -> Result<Server> {
        let data_dir = data_dir.to_str().context("the scratch directory's name is UTF-8")?;
        let mut arguments = vec!["--data-dir", data_dir];
        arguments.extend(urls.iter().flat_map(|url| ["--bus", url.as_str()]));
        Server::start_service(&self.program, &arguments, self.scratch.join("service.log"))
    }

    /// Starts a replica with its store in this directory.
    pub(crate) fn start_replica(&self, from: &str, data_dir: &Path) -> Result<Server> {
        let file = data_dir.join("replica.db");
        let store = format!("sqlite:{}", file.to_str().context("the scratch directory's name is UTF-8")?);
        let arguments = ["--from", from, "--store", &store];
        Server::start_replica(&self.program, &arguments, self.scratch.join("replica.log"))
    }

    /// Starts the service on a PostgreSQL database.
    pub(crate) fn start_on(&self, database: &str) -> Result<Server> {
        Server::start_service(&self.program, &["--store", database], self.scratch.join("service.log"))
    }

    /// Runs one of the service's commands to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<()> {
        let output = child_command(&self.program)?.args(arguments).output().context("run the service")?;
        interrupt::check()?;
        if !output.status.success() {
            bail!("{}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// Starts the service on the memory store.
    pub(crate) fn start_in_memory(&self) -> Result<Server> {
        Server::start_service(&self.program, &["--store", "memory:"], self.scratch.join("service.log"))
    }

    /// A directory with a fresh copy of a store that holds this many random orders, loaded on first use.
    pub(crate) fn prepared_dir(&self, orders: u64) -> Result<TempDir> {
        let dir = tempfile::tempdir_in(&self.scratch).context("make a data directory")?;
        self.prepared.copy_to(dir.path(), orders, self)?;
        Ok(dir)
    }

    /// The largest resident memory (bytes) of the service while it was loaded with this many orders.
    pub(crate) fn peak_bytes_while_loading(&self, orders: u64) -> Result<u64> {
        self.prepared.peak_bytes(orders, self)
    }
}
