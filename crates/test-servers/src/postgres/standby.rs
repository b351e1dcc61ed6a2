//! A second server that follows the first.

use std::path::Path;

use anyhow::Result;

use super::server::PostgresServer;
use crate::wait::wait_until;

/// What a commit on the first server waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replication {
    /// Its own disk: what the standby has not yet heard of is lost if it takes over.
    Asynchronous,
    /// The standby's disk as well. Only a durable server waits: one with `synchronous_commit = off` does not.
    Synchronous,
}

impl PostgresServer {
    /// Starts a second server that copies this one and follows it. It answers queries; it takes writes when
    /// [promoted](Self::promote). Returns when the standby streams.
    ///
    /// # Errors
    ///
    /// When this server does not run, or the other does not start.
    pub fn standby(&self, replication: Replication) -> Result<Self> {
        let standby = Self::launch(self.programs.clone(), |cluster| {
            cluster.copy_to_follow(self.port)?;
            // The first server knows its followers by this name.
            cluster.set(&[("cluster_name".to_owned(), name_in(cluster.supervised.directory()))])
        })?;
        let name = name_in(standby.directory());
        let state =
            format!("SELECT state, sync_state FROM pg_stat_replication WHERE application_name = '{name}'");
        let sync_state = match replication {
            Replication::Asynchronous => "async",
            Replication::Synchronous => {
                self.set("synchronous_standby_names", &format!("\"{name}\""))?;
                "sync"
            }
        };
        let wanted = format!("streaming|{sync_state}");
        wait_until("the standby streams", || Ok(self.query(&state)? == wanted))?;
        Ok(standby)
    }

    /// Makes a standby a server of its own that takes writes; returns when it does. The one it followed is not told.
    ///
    /// # Errors
    ///
    /// When it does not run or is no standby.
    pub fn promote(&mut self) -> Result<()> {
        self.query("SELECT pg_promote()")?;
        self.wait_until_promoted()
    }

    /// Returns when it takes writes.
    pub(super) fn wait_until_promoted(&self) -> Result<()> {
        wait_until("the server is promoted", || Ok(self.query("SELECT pg_is_in_recovery()")? == "f"))
    }
}

fn name_in(directory: &Path) -> String {
    directory.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
