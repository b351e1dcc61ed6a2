//! A session that keeps an old snapshot, as a forgotten transaction or a long report does.

use std::io::Write;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Postgres;
use crate::interrupt;

const TAKE: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM order_service.events LIMIT 1;\n";
/// How many sessions keep a snapshot while they do nothing.
const KEPT: &str = "SELECT count(*) FROM pg_stat_activity \
    WHERE datname = current_database() AND state = 'idle in transaction' AND backend_xmin IS NOT NULL";
const TAKE_LIMIT: Duration = Duration::from_secs(10);

/// Keeps a snapshot of a database until it is dropped.
pub(crate) struct OldSnapshot<'p> {
    postgres: &'p Postgres,
    database: String,
    session: Child,
    /// The session ends with it.
    _orders: ChildStdin,
}

impl<'p> OldSnapshot<'p> {
    /// Takes the snapshot.
    pub(crate) fn take(postgres: &'p Postgres, database: &str) -> Result<Self> {
        let mut psql = postgres.psql(database)?;
        let mut session = psql.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().context("run psql")?;
        let mut orders = session.stdin.take().context("standard input is piped")?;
        let written = orders.write_all(TAKE.as_bytes());
        let snapshot = Self { postgres, database: database.to_owned(), session, _orders: orders };
        written.context("tell psql")?;
        let deadline = Instant::now() + TAKE_LIMIT;
        while snapshot.is_kept().is_err() {
            if Instant::now() > deadline {
                bail!("psql did not take a snapshot in {TAKE_LIMIT:?}");
            }
            interrupt::pause(Duration::from_millis(20))?;
        }
        Ok(snapshot)
    }

    /// Fails if the snapshot is not there any more: then what was measured beside it says nothing.
    pub(crate) fn is_kept(&self) -> Result<()> {
        match self.postgres.query(&self.database, KEPT)?.as_str() {
            "1" => Ok(()),
            kept => bail!("{kept} sessions keep an old snapshot, not 1"),
        }
    }
}

impl Drop for OldSnapshot<'_> {
    fn drop(&mut self) {
        // Both fail only for a session that is already gone.
        let _ = self.session.kill();
        let _ = self.session.wait();
    }
}
