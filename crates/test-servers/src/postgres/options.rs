//! What a server is asked to be.

use crate::certificate::Certificate;

/// Which PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostgresVersion {
    /// The one in the directory that the environment variable `PG_BIN` names; else a recent one that is fetched once
    /// and kept; else the newest that is installed.
    ///
    /// What is fetched is built without OpenSSL: for [`PostgresOptions::tls`] take an installed one.
    Newest,
    /// This major version, from where operating systems install it.
    Installed(u32),
}

/// What a server is asked to be.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    pub(crate) version: PostgresVersion,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) certificate: Option<Certificate>,
    pub(crate) authentication: Vec<String>,
}

/// What every server has, unless it is set otherwise. Room for all tests of a process at once, and nothing that
/// outlives the data directory: no sockets in the file system, no shared memory with a name.
const ALWAYS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("dynamic_shared_memory_type", "mmap"),
    ("max_connections", "200"),
    ("shared_buffers", "64MB"),
];

/// The files are written, but nothing waits for the disk. The processes can be killed all the same: what they wrote
/// is in the operating system's hands.
const QUICK: &[(&str, &str)] =
    &[("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")];

const DURABLE: &[(&str, &str)] = &[("fsync", "on"), ("synchronous_commit", "on")];

impl PostgresOptions {
    /// A server that does not wait for the disk. What it had acknowledged may be lost when it is killed.
    #[must_use]
    pub fn quick() -> Self {
        Self::with(QUICK)
    }

    /// A server that keeps what it has acknowledged, as in production.
    #[must_use]
    pub fn durable() -> Self {
        Self::with(DURABLE)
    }

    fn with(settings: &[(&str, &str)]) -> Self {
        let pairs = ALWAYS.iter().chain(settings);
        Self {
            version: PostgresVersion::Newest,
            settings: pairs.map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            certificate: None,
            authentication: Vec::new(),
        }
    }

    /// Another version than the newest.
    #[must_use]
    pub fn version(mut self, version: PostgresVersion) -> Self {
        self.version = version;
        self
    }

    /// A line of `postgresql.conf`; the last one for a name holds.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    /// Offers TLS. To demand it, add a `hostssl` line with [`authentication`](Self::authentication).
    #[must_use]
    pub fn tls(mut self, certificate: Certificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// A line of `pg_hba.conf`, such as `hostssl all app 127.0.0.1/32 scram-sha-256`.
    ///
    /// With the first such line, only the user `postgres` is still trusted, which this crate itself needs. Other users
    /// are to be created: see [`PostgresServer::query`](crate::PostgresServer::query).
    #[must_use]
    pub fn authentication(mut self, line: &str) -> Self {
        self.authentication.push(line.to_owned());
        self
    }
}
