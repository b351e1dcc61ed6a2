//! A connection pooler between client and server.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::server::PostgresServer;
use crate::port::free_port;
use crate::supervised::{Supervised, private_directory};
use crate::user::ServerUser;
use crate::wait::wait_until;

/// Where Debian, Red Hat's and the PostgreSQL project's packages put it.
const PLACES: &[&str] = &["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];

/// PgBouncer in transaction mode: each transaction may run on another of the server's sessions.
///
/// Dropped, it is gone; so it is when the test process ends in any way.
#[derive(Debug)]
pub struct PgBouncer {
    supervised: Supervised,
    port: u16,
    server_port: u16,
}

impl PgBouncer {
    /// Its program, if it is installed (Debian's `pgbouncer`).
    #[must_use]
    pub fn find() -> Option<PathBuf> {
        PLACES.iter().map(PathBuf::from).find(|path| path.is_file())
    }

    /// Starts it in front of a server, for all its databases.
    ///
    /// # Errors
    ///
    /// When it is not installed, or does not start: the message has the end of its log.
    pub fn start(server: &PostgresServer) -> Result<Self> {
        let program = Self::find().context("PgBouncer is not installed")?;
        let (port, server_port) = (free_port()?, server.port());
        let user = ServerUser::find()?;
        let directory = private_directory("pgbouncer", user)?;
        let file = directory.path().join("pgbouncer.ini");
        fs::write(&file, configuration(port, server_port)).context("write PgBouncer's configuration")?;
        let mut command = user.words(program);
        command.push(file.into());
        // It has no state to put in order.
        let mut supervised = Supervised::new(directory, "KILL", command)?;
        supervised.start()?;
        wait_until("PgBouncer takes connections", || {
            if !supervised.is_running() {
                bail!("PgBouncer has ended:\n{}", supervised.log_tail());
            }
            // Not by the port alone, which may be somebody else's.
            Ok(supervised.log_tail().contains("process up")
                && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
        })?;
        Ok(Self { supervised, port, server_port })
    }

    /// The way through it to a database of the server, given the direct one.
    #[must_use]
    pub fn url_of(&self, database_url: &str) -> String {
        let address = |port| format!("@127.0.0.1:{port}/");
        database_url.replacen(&address(self.server_port), &address(self.port), 1)
    }

    /// The end of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        self.supervised.log_tail()
    }
}

/// `auth_type = any`: whoever asks is let in, and becomes the server's user `postgres`.
fn configuration(port: u16, server_port: u16) -> String {
    format!(
        "[databases]\n\
         * = host=127.0.0.1 port={server_port} user=postgres\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = any\n\
         pool_mode = transaction\n\
         default_pool_size = 20\n\
         max_client_conn = 500\n"
    )
}
