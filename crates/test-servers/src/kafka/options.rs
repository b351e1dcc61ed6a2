//! What a server is asked to be.

use crate::certificate::Certificate;

/// What a server is asked to be. Without more, everybody is let in, without TLS.
///
/// As in production, what is acknowledged is in the operating system's hands, not on the disk: it survives the server
/// being killed. For more, set `log.flush.interval.messages` to 1.
#[derive(Debug, Clone, Default)]
pub struct KafkaOptions {
    pub(super) settings: Vec<(String, String)>,
    pub(super) user: Option<User>,
    pub(super) certificate: Option<Certificate>,
    pub(super) is_measured: bool,
    pub(super) clients_go_to: Option<u16>,
}

/// How clients prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sasl {
    /// The password is sent.
    Plain,
    /// The password is not sent, with SHA-256.
    ScramSha256,
    /// The same with SHA-512.
    ScramSha512,
}

#[derive(Debug, Clone)]
pub(super) struct User {
    pub(super) mechanism: Sasl,
    pub(super) name: String,
    pub(super) password: String,
}

impl Sasl {
    /// As Kafka writes it: `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl KafkaOptions {
    /// A line of `server.properties`; the last one for a name holds.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    /// Lets this user in, and nobody else. For SCRAM, name and password must have no commas, quotes and brackets.
    #[must_use]
    pub fn user(mut self, mechanism: Sasl, name: &str, password: &str) -> Self {
        self.user = Some(User { mechanism, name: name.to_owned(), password: password.to_owned() });
        self
    }

    /// Demands TLS. The key must be one of PKCS#8 (`BEGIN PRIVATE KEY`).
    #[must_use]
    pub fn tls(mut self, certificate: Certificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// Clients are told to come to this port of 127.0.0.1, where something passes on to the server's own. Without, they
    /// would go past it as soon as they have asked where the server is.
    #[must_use]
    pub fn clients_go_to(mut self, port: u16) -> Self {
        self.clients_go_to = Some(port);
        self
    }

    /// For measuring: the whole compiler, and 1 GB of memory. Without, the server starts sooner and stays small.
    #[must_use]
    pub fn measured(mut self) -> Self {
        self.is_measured = true;
        self
    }
}
