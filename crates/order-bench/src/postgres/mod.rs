//! PostgreSQL under measurement: a durable server of the benchmark's own, and what else is asked of it.

mod pgbench;
mod snapshot;

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use test_servers::postgres::Programs;
use test_servers::{PostgresOptions, PostgresServer, PostgresVersion};

pub(crate) use self::pgbench::Inserts;
pub(crate) use self::snapshot::OldSnapshot;

/// What a small production server is given; everything else is the default.
const SETTINGS: [(&str, &str); 2] = [("shared_buffers", "256MB"), ("max_wal_size", "4GB")];

/// A running server, durable, with a data directory of its own. Dropped, it is gone.
pub(crate) struct Postgres {
    server: PostgresServer,
    programs: Programs,
}

impl Postgres {
    /// Starts the server; its data are where temporary files go, which [`Bench`](crate::bench::Bench) has set to the disk
    /// under measurement.
    pub(crate) fn start() -> Result<Self> {
        let options = SETTINGS
            .iter()
            .fold(PostgresOptions::durable(), |options, (name, value)| options.setting(name, value));
        let programs = Programs::find(PostgresVersion::Newest)?;
        let server = PostgresServer::start(options).context("start PostgreSQL")?;
        Ok(Self { server, programs })
    }

    /// The URL of a new, empty database.
    pub(crate) fn create_database(&self) -> Result<String> {
        self.server.create_database()
    }

    /// Runs SQL in a database; its rows, one a line, with `|` between columns.
    pub(crate) fn query(&self, database: &str, sql: &str) -> Result<String> {
        let output = self.psql(database)?.args(["--command", sql]).output().context("run psql")?;
        if !output.status.success() {
            bail!("{sql}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }

    /// Its version, and how it differs from one that was just installed.
    pub(crate) fn description(&self) -> Result<String> {
        let version = self.server.query("SHOW server_version")?;
        let settings: Vec<String> = SETTINGS.iter().map(|(name, value)| format!("{name} {value}")).collect();
        Ok(format!("PostgreSQL {version}, fsync and synchronous_commit on, {}", settings.join(", ")))
    }

    fn psql(&self, database: &str) -> Result<Command> {
        let mut psql = crate::server::child_command(&self.program("psql")?)?;
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]);
        psql.arg(format!("--dbname={database}"));
        Ok(psql)
    }

    fn program(&self, name: &str) -> Result<PathBuf> {
        let path = self.programs.path(name);
        if !path.is_file() {
            bail!("{} is not there: PG_BIN names a directory that has it", path.display());
        }
        Ok(path)
    }
}
