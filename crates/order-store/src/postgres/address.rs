//! Which database it is, in words for whoever starts the service.

use std::fmt;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// Where a database is and who asks for it; never with the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresAddress {
    /// The servers that are tried one after the other, by host (or directory of a socket) and port.
    pub servers: Vec<(String, u16)>,
    /// The database's name.
    pub database: String,
    /// The user.
    pub user: String,
    /// Whether the URL tells the password.
    pub has_password: bool,
}

impl PostgresAddress {
    /// Of a configuration whose user and database are given.
    pub(super) fn of(config: &Config) -> Self {
        let port = |place: usize| config.get_ports().get(place).or(config.get_ports().first()).copied();
        let servers = config.get_hosts().iter().enumerate();
        Self {
            servers: servers.map(|(place, host)| (host_name(host), port(place).unwrap_or(5432))).collect(),
            database: config.get_dbname().unwrap_or_default().to_owned(),
            user: config.get_user().unwrap_or_default().to_owned(),
            has_password: config.get_password().is_some(),
        }
    }

    /// The options by which PostgreSQL's own programs find the first of the servers.
    pub(crate) fn as_options(&self) -> String {
        let server = self.servers.first().map(|(host, port)| format!("-h {host} -p {port} "));
        format!("{}-U {}", server.unwrap_or_default(), self.user)
    }
}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let servers: Vec<_> = self.servers.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        write!(f, "{} (database {}, user {})", servers.join(","), self.database, self.user)
    }
}

fn host_name(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(directory) => directory.display().to_string(),
    }
}
