//! A server that may be one of several: everything that can befall it, whatever it serves.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::supervised::Supervised;
use crate::wait::wait_until;

/// The server's store, within its directory.
pub(crate) const STORE: &str = "store";

/// As service managers do, which wait longer.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// A server of the kind `K`. Dropped, it is gone with all its data; so it is when the test process ends in any way.
///
/// What a server goes through takes `&mut self`, so that it cannot befall a shared one.
#[derive(Debug)]
pub struct Server<K> {
    pub(crate) supervised: Supervised,
    pub(crate) kind: K,
    pub(crate) conduct: Conduct<K>,
}

/// What is different from one kind of server to the other.
#[derive(Debug)]
pub(crate) struct Conduct<K> {
    /// What the log and the messages call it.
    pub(crate) name: &'static str,
    /// Makes an empty store, before the server starts without one.
    pub(crate) prepare: fn(&mut Server<K>) -> Result<()>,
    /// Whether it serves its clients.
    pub(crate) is_ready: fn(&Server<K>) -> bool,
    /// Whether it also works together with all the others.
    pub(crate) is_joined: fn(&Server<K>) -> bool,
}

impl<K> Server<K> {
    /// Asks it to end, and waits until it has (SIGTERM). After 10 s it is killed: a Kafka server that has lost its
    /// quorum, as the last ones of a cluster do, would wait for minutes to be released.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn stop(&mut self) -> Result<()> {
        self.supervised.end_within(STOP_LIMIT, Signal::TERM)
    }

    /// SIGKILL: nothing is told to clients, nothing is put in order.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn kill_hard(&mut self) -> Result<()> {
        self.supervised.kill()
    }

    /// Starts the server that was ended, with the same data, on the same ports; returns when it serves clients.
    ///
    /// One of several may need others for that: to start them together see [`Cluster::start_again`].
    ///
    /// # Errors
    ///
    /// When it still runs, or does not start: the message has the end of its log.
    pub fn start_again(&mut self) -> Result<()> {
        self.begin()?;
        self.wait_until_ready(self.conduct.is_ready)
    }

    /// Kills the server, if it runs, and deletes all that it has stored; [`start_again`](Self::start_again) starts it
    /// with nothing.
    ///
    /// # Errors
    ///
    /// When files cannot be deleted.
    pub fn wipe(&mut self) -> Result<()> {
        if self.is_running() {
            self.kill_hard()?;
        }
        fs::remove_dir_all(self.store()).with_context(|| format!("delete {}", self.store().display()))
    }

    /// Stops it where it is (SIGSTOP): connections stay open, and nothing comes from them.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn freeze(&mut self) -> Result<()> {
        self.supervised.freeze()
    }

    /// Lets a frozen server go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// When the signal cannot be sent.
    pub fn thaw(&mut self) -> Result<()> {
        self.supervised.thaw()
    }

    /// Whether its process is there, frozen or not.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.supervised.is_running()
    }

    /// Its process id while it is there.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.supervised.process()
    }

    /// Its private directory, which goes with it.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.supervised.directory()
    }

    /// The end of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.supervised.log_tail()
    }

    /// Whether it runs and is not frozen.
    pub(crate) fn answers(&self) -> bool {
        self.is_running() && !self.supervised.is_frozen()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.directory().join(STORE)
    }

    /// Starts it; it need not be ready yet.
    fn begin(&mut self) -> Result<()> {
        if !self.store().exists() {
            (self.conduct.prepare)(self)?;
        }
        self.supervised.start()
    }

    fn wait_until_ready(&self, is_ready: fn(&Self) -> bool) -> Result<()> {
        let name = self.conduct.name;
        wait_until(&format!("{name} serves"), || {
            if !self.is_running() {
                bail!("{name} has ended");
            }
            Ok(is_ready(self))
        })
        .with_context(|| format!("its log ends with:\n{}", self.log_tail()))
    }
}

/// Several servers that are one to their clients.
#[derive(Debug)]
pub struct Cluster<K> {
    nodes: Vec<Server<K>>,
}

impl<K> Cluster<K> {
    /// Its servers, running or not.
    #[must_use]
    pub fn nodes(&self) -> &[Server<K>] {
        &self.nodes
    }

    /// The same, for something to befall them.
    pub fn nodes_mut(&mut self) -> &mut [Server<K>] {
        &mut self.nodes
    }

    /// Starts all servers that do not run, with the same data, on the same ports; returns when all work together.
    ///
    /// # Errors
    ///
    /// When one does not start: the message has the end of its log.
    pub fn start_again(&mut self) -> Result<()> {
        for node in &mut self.nodes {
            if !node.is_running() {
                node.begin()?;
            }
        }
        self.wait_until_joined()
    }

    /// Returns when all servers run, have caught up and work together.
    ///
    /// # Errors
    ///
    /// When one does not run, or they do not find together.
    pub fn wait_until_joined(&self) -> Result<()> {
        self.nodes.iter().try_for_each(|node| node.wait_until_ready(node.conduct.is_joined))
    }

    /// Starts servers that do not run yet.
    pub(crate) fn launch(nodes: Vec<Server<K>>) -> Result<Self> {
        let mut cluster = Self { nodes };
        cluster.start_again()?;
        Ok(cluster)
    }

    /// The only server of a cluster of one.
    pub(crate) fn into_one(mut self) -> Result<Server<K>> {
        self.nodes.pop().context("a cluster has at least one server")
    }
}
