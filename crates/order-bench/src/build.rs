//! A build of the service: its binary, and the stores that it has loaded.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::interrupt;
use crate::prepared::{Contents, Prepared};
use crate::process::ProcessId;
use crate::server::{Server, child_command};
use crate::shop_orders::ShopOrders;

/// How often to look whether a command has ended, and at its memory.
const LOOK_EVERY: Duration = Duration::from_millis(5);

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
        self.start_with(data_dir, &[])
    }

    /// The same, relaying events to these brokers.
    pub(crate) fn start_with_bus(&self, data_dir: &Path, urls: &[String]) -> Result<Server> {
        let options: Vec<&str> = urls.iter().flat_map(|url| ["--bus", url.as_str()]).collect();
        self.start_with(data_dir, &options)
    }

    /// The same, with these options.
    pub(crate) fn start_with(&self, data_dir: &Path, options: &[&str]) -> Result<Server> {
        self.start_in(&[], data_dir, options)
    }

    /// The same, with these variables in its environment.
    pub(crate) fn start_in(
        &self,
        environment: &[(&str, String)],
        data_dir: &Path,
        options: &[&str],
    ) -> Result<Server> {
        let data_dir = data_dir.to_str().context("the scratch directory's name is UTF-8")?;
        let arguments = [&["--data-dir", data_dir], options].concat();
        Server::start_service_in(environment, &self.program, &arguments, self.scratch.join("service.log"))
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

    /// Runs one of the service's commands to its end, which must be with exit status 0.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Ran> {
        let log = self.scratch.join("command.log");
        self.run_into(arguments, Stdio::null(), &log)
    }

    /// The same, with what it says in files: standard output, and standard error.
    pub(crate) fn run_into(&self, arguments: &[&str], output: impl Into<Stdio>, log: &Path) -> Result<Ran> {
        let begin = Instant::now();
        let mut child = child_command(&self.program)?
            .args(arguments)
            .stdout(output)
            .stderr(File::create(log)?)
            .spawn()
            .context("run the service")?;
        let mut peak_bytes = 0;
        // An interruption ends this program soon, and the child with it.
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            // A process that has just ended has no memory any more.
            if let Ok(memory) = ProcessId(child.id()).memory() {
                peak_bytes = memory.peak_bytes.max(peak_bytes);
            }
            interrupt::pause(LOOK_EVERY)?;
        };
        if !status.success() {
            bail!("{}: {status}: {}", arguments.join(" "), fs::read_to_string(log)?.trim());
        }
        Ok(Ran { elapsed: begin.elapsed(), peak_bytes })
    }

    /// Starts the service on the memory store.
    pub(crate) fn start_in_memory(&self) -> Result<Server> {
        Server::start_service(&self.program, &["--store", "memory:"], self.scratch.join("service.log"))
    }

    /// A directory with a fresh copy of a store that holds this many random orders, loaded on first use.
    pub(crate) fn prepared_dir(&self, orders: u64) -> Result<TempDir> {
        self.copy_of(Contents::Placed(orders))
    }

    /// The same of orders that have gone all the way to their shipment, step by step over all of them.
    pub(crate) fn shipped_dir(&self, orders: u64) -> Result<TempDir> {
        self.copy_of(Contents::Shipped(orders))
    }

    /// The same of orders that were placed with a key each, so that it has as many receipts.
    pub(crate) fn keyed_dir(&self, orders: u64) -> Result<TempDir> {
        self.copy_of(Contents::PlacedWithKeys(orders))
    }

    /// The same of orders as a shop has them.
    pub(crate) fn shop_dir(&self, orders: ShopOrders) -> Result<TempDir> {
        self.copy_of(Contents::Shop(orders))
    }

    /// The largest resident memory (bytes) of the service while it was loaded with this many orders.
    pub(crate) fn peak_bytes_while_loading(&self, orders: u64) -> Result<u64> {
        self.prepared.peak_bytes(Contents::Placed(orders), self)
    }

    fn copy_of(&self, contents: Contents) -> Result<TempDir> {
        let dir = tempfile::tempdir_in(&self.scratch).context("make a data directory")?;
        self.prepared.copy_to(dir.path(), contents, self)?;
        Ok(dir)
    }
}

/// What became of a command that ran to its end.
pub(crate) struct Ran {
    pub(crate) elapsed: Duration,
    /// The largest resident memory that was seen, in bytes.
    pub(crate) peak_bytes: u64,
}
