//! Backups, by PostgreSQL's own programs, and servers that are started from them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::server::PostgresServer;
use crate::command::output;
use crate::user::{ServerUser, settle};

impl PostgresServer {
    /// Runs one of PostgreSQL's programs that are a client's, such as `pg_dump`, and returns what it printed.
    ///
    /// # Errors
    ///
    /// When it is not there, or fails: the message has what it said.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(self.programs.path(program));
        settle(&mut command, Path::new("/"));
        output(command.args(arguments))
    }

    /// A copy of all its files, while it runs: `pg_basebackup`, without the write-ahead log, which is to be archived. It goes
    /// with this server.
    ///
    /// # Errors
    ///
    /// When the server does not run.
    pub fn base_backup(&mut self) -> Result<PathBuf> {
        let (port, target) = (self.port.to_string(), self.directory().join("base"));
        let user = ServerUser::find()?;
        let mut words = user.words(self.programs.path("pg_basebackup"));
        words.extend(["-h", "127.0.0.1", "-p", &port, "-U", "postgres"].map(Into::into));
        words.extend(["-X", "none", "-c", "fast", "--no-sync", "-D"].map(Into::into));
        words.push(target.clone().into());
        self.supervised.run(&words)?;
        Ok(target)
    }

    /// Starts another server from a base backup of this one, with these settings, of which one says where the archived log
    /// is and another up to when it counts. Returns when the server takes writes.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn restored(&self, base: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        let pairs: Vec<_> =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let restored = Self::launch(self.programs.clone(), |cluster| {
            cluster.copy_to_recover(base)?;
            cluster.set(&pairs)
        })?;
        restored.wait_until_promoted()?;
        Ok(restored)
    }
}
