//! A running server: databases, and everything that can befall it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::cluster::Cluster;
use super::options::PostgresOptions;
use super::programs::Programs;
use crate::command::output;
use crate::port::free_port;
use crate::supervised::{Supervised, private_directory};
use crate::user::{ServerUser, settle};
use crate::wait::wait_until;

/// A PostgreSQL server. Dropped, it is gone with all its data; so it is when the test process ends in any way.
///
/// What a server goes through takes `&mut self`, so that it cannot befall the [`shared`](Self::shared) one. The
/// clients of a test need only the URL.
#[derive(Debug)]
pub struct PostgresServer {
    pub(super) supervised: Supervised,
    pub(super) programs: Programs,
    pub(super) port: u16,
    databases: AtomicU32,
}

impl PostgresServer {
    /// Starts a server with an empty data directory of its own.
    ///
    /// # Errors
    ///
    /// When there are no programs, or when the server refuses its settings: the message has the end of its log.
    pub fn start(options: PostgresOptions) -> Result<Self> {
        Self::launch(Programs::find(options.version)?, |cluster| cluster.create(&options))
    }

    /// One quick server for the whole test process, for tests that only need a fresh database.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and the same for every caller.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<PostgresServer>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Self::start(PostgresOptions::quick()));
        // An error cannot be given to many; its text can.
        shared.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))
    }

    /// The database `postgres`, as `postgres://postgres@127.0.0.1:PORT/postgres`: the user is not asked for a password.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// The same for another database.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Where it listens on 127.0.0.1: the same for the server's whole life.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Creates an empty database and returns its URL.
    ///
    /// # Errors
    ///
    /// When the server does not run.
    pub fn create_database(&self) -> Result<String> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.query(&format!("CREATE DATABASE {name}"))?;
        Ok(self.url_of(&name))
    }

    /// Runs SQL in the database `postgres` as a superuser. Returns the rows, one a line, with `|` between columns.
    ///
    /// # Errors
    ///
    /// When the server does not run or refuses the SQL.
    pub fn query(&self, sql: &str) -> Result<String> {
        let mut psql = Command::new(self.programs.path("psql"));
        settle(&mut psql, Path::new("/"));
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]);
        let rows = output(psql.arg(format!("--dbname={}", self.url())).args(["--command", sql]))?;
        Ok(rows.trim_end().to_owned())
    }

    /// Changes a setting that needs no restart, for this and all later starts.
    ///
    /// # Errors
    ///
    /// When the server does not run or refuses the value.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        let value = value.replace('\'', "''");
        self.query(&format!("ALTER SYSTEM SET {name} = '{value}'"))?;
        let loaded = || self.query("SELECT pg_conf_load_time()");
        let before = loaded()?;
        self.query("SELECT pg_reload_conf()")?;
        wait_until("PostgreSQL has read its settings again", || Ok(loaded()? != before))
    }

    /// Shuts down in order: sessions are ended, everything is written (SIGINT, `pg_ctl stop -m fast`).
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn stop(&mut self) -> Result<()> {
        self.supervised.end(Signal::INT)
    }

    /// Ends all its processes at once; the next start recovers from the log (SIGQUIT, `pg_ctl stop -m immediate`).
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn kill_immediately(&mut self) -> Result<()> {
        self.supervised.end(Signal::QUIT)
    }

    /// SIGKILL for the server and all its sessions: nothing is told to clients, nothing is put in order.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn kill_hard(&mut self) -> Result<()> {
        self.supervised.kill()?;
        self.remove_shared_memory();
        Ok(())
    }

    /// Starts the server that was ended, with the same data, on the same port; returns when it takes connections.
    ///
    /// # Errors
    ///
    /// When it still runs, or does not start: the message has the end of its log.
    pub fn start_again(&mut self) -> Result<()> {
        self.supervised.start()?;
        self.wait_until_ready()
    }

    /// Stops all its processes where they are (SIGSTOP): connections stay open, and nothing comes from them.
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

    /// Whether its first process is there, frozen or not.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.supervised.is_running()
    }

    /// The process id of its first process, the postmaster, while it is there.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.supervised.process()
    }

    /// Its private directory, which goes with it. The data are in `data`.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.supervised.directory()
    }

    /// The end of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.supervised.log_tail()
    }

    /// Starts a server on a data directory that `fill` makes.
    pub(super) fn launch(
        programs: Programs,
        fill: impl FnOnce(&mut Cluster<'_>) -> Result<()>,
    ) -> Result<Self> {
        let user = ServerUser::find()?;
        let directory = private_directory("postgres", user)?;
        let mut command = user.words(programs.path("postgres"));
        command.extend(["-D".into(), directory.path().join("data").into()]);
        // Under supervision from now on, so that nothing is left behind if the rest fails.
        let supervised = Supervised::new(directory, "QUIT", command)?;
        let mut server = Self { supervised, programs, port: 0, databases: AtomicU32::new(0) };
        fill(&mut server.cluster(user))?;
        server.port = free_port()?;
        let port = server.port.to_string();
        server.cluster(user).set(&[("port".to_owned(), port)])?;
        server.start_again()?;
        Ok(server)
    }

    pub(super) fn wait_until_ready(&self) -> Result<()> {
        wait_until("PostgreSQL takes connections", || {
            if !self.is_running() {
                bail!("PostgreSQL has ended:\n{}", self.log_tail());
            }
            Ok(self.is_ready())
        })
        .with_context(|| format!("its log ends with:\n{}", self.log_tail()))
    }

    /// The server writes its state into line 8 of this file, as `pg_ctl` reads it. Line 1 is its process: the file may
    /// be from one that was killed.
    fn is_ready(&self) -> bool {
        let Ok(file) = fs::read_to_string(self.directory().join("data/postmaster.pid")) else { return false };
        let lines: Vec<&str> = file.lines().map(str::trim).collect();
        let process = self.process().map(|process| process.to_string());
        lines.first().copied() == process.as_deref() && lines.get(7) == Some(&"ready")
    }

    /// A killed server leaves a few bytes of shared memory with the operating system until its next start, which may
    /// never come. Line 7 has their key and id.
    fn remove_shared_memory(&self) {
        let Ok(file) = fs::read_to_string(self.directory().join("data/postmaster.pid")) else { return };
        let Some(id) = file.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) else { return };
        // Without `ipcrm` they stay: no harm to any test.
        let _ = Command::new("ipcrm").args(["-m", id]).output();
    }

    fn cluster(&mut self, user: ServerUser) -> Cluster<'_> {
        Cluster { supervised: &mut self.supervised, programs: &self.programs, user }
    }
}
