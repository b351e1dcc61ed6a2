//! What a server is asked to be.

use crate::certificate::Certificate;

/// What a server is asked to be. Without more, everybody is let in, without TLS.
#[derive(Debug, Clone, Default)]
pub struct NatsOptions {
    pub(super) sync_always: bool,
    pub(super) max_payload_bytes: Option<u64>,
    pub(super) users: Vec<User>,
    pub(super) token: Option<String>,
    pub(super) certificate: Option<Certificate>,
    pub(super) lines: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) enum User {
    Password { name: String, password: String },
    Key { public: String },
}

impl NatsOptions {
    /// Each write waits for the disk (`sync_interval: always`). Without, the server writes at once, but syncs only
    /// every two minutes: what the operating system has taken survives the server being killed.
    #[must_use]
    pub fn sync_always(mut self) -> Self {
        self.sync_always = true;
        self
    }

    /// The largest message, instead of 1 MiB.
    #[must_use]
    pub fn max_payload_bytes(mut self, bytes: u64) -> Self {
        self.max_payload_bytes = Some(bytes);
        self
    }

    /// Lets this user in, and nobody without a name.
    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.push(User::Password { name: name.to_owned(), password: password.to_owned() });
        self
    }

    /// Lets in who holds the seed of this public user nkey (`U…`), and nobody without one.
    #[must_use]
    pub fn nkey(mut self, public: &str) -> Self {
        self.users.push(User::Key { public: public.to_owned() });
        self
    }

    /// Lets in who knows the token. The server refuses a token beside users.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Demands TLS.
    #[must_use]
    pub fn tls(mut self, certificate: Certificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// A line of the configuration file, outside all blocks, or several such as a whole block.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }
}
