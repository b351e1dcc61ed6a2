//! `kafka://…`: where the brokers are, and what is wanted of them.

mod parse;

use std::fmt;
use std::path::PathBuf;

/// Where Apache Kafka is, which topic, and how to talk to it.
///
/// ```text
/// kafka://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…][?NAME=VALUE&…]
/// ```
///
/// | parameter | means | unless it is given |
/// |---|---|---|
/// | `topic` | the topic | `orders.events` |
/// | `partitions` | how many it has | one, if it has to be made; else as many as there are |
/// | `replication` | copies of each partition, if it has to be made | the broker's default |
/// | `compression` | `lz4`, `zstd`, `gzip`, `snappy` or `none` | `lz4` |
/// | `security` | `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl` | what the rest implies |
/// | `mechanism` | of SASL: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512` | `PLAIN` |
/// | `ca` | a PEM file: who signs the brokers' certificates | the system's authorities |
/// | `cert`, `key` | PEM files: this client's certificate, and its key | none |
/// | `name` | the checkpoint's name | `kafka/` and the topic |
///
/// Ports are 9092 unless they are given. A user means SASL, and one of the files TLS. Whatever has a meaning in a URL is
/// percent-encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaOptions {
    /// `host:port`, with commas between.
    pub(super) servers: String,
    pub(super) topic: String,
    pub(super) name: String,
    pub(super) partitions: Option<u16>,
    pub(super) replication: Option<u16>,
    pub(super) compression: Compression,
    pub(super) login: Option<Login>,
    pub(super) tls: Option<Tls>,
    /// The fault that tests plant: so many milliseconds after which the producer gives a message up, which later ones do
    /// not wait for and nobody notices.
    #[cfg(feature = "planted-faults")]
    pub(super) planted_message_timeout_ms: Option<u32>,
}

/// A user, and how it proves to be the one.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) mechanism: Mechanism,
    pub(super) user: String,
    pub(super) password: String,
}

/// Files for TLS; all of them PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) authorities: Option<PathBuf>,
    /// The certificate and its key.
    pub(super) client: Option<(PathBuf, PathBuf)>,
}

/// How batches are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Lz4,
    Zstd,
    Gzip,
    Snappy,
    None,
}

impl Compression {
    pub(super) const ALL: [Self; 5] = [Self::Lz4, Self::Zstd, Self::Gzip, Self::Snappy, Self::None];

    /// As the URL has it, and librdkafka.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::None => "none",
        }
    }
}

/// How a user proves to be the one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Mechanism {
    pub(super) const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// As the URL has it, and librdkafka.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl KafkaOptions {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it, in one line that never holds the password.
    pub fn parse(url: &str) -> Result<Self, String> {
        parse::parse(url)
    }

    /// The name of the checkpoint of what is published here. It says nothing of hosts and users, so it stays when they
    /// change.
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// As librdkafka and Kafka's own clients have it.
    pub(super) const fn security(&self) -> &'static str {
        match (self.login.is_some(), self.tls.is_some()) {
            (false, false) => "plaintext",
            (false, true) => "ssl",
            (true, false) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        }
    }
}

/// For logs: without the password.
impl fmt::Display for KafkaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("kafka://")?;
        if let Some(login) = &self.login {
            write!(f, "{}@", login.user)?;
        }
        write!(f, "{}?topic={}", self.servers, self.topic)?;
        if self.tls.is_some() {
            write!(f, "&security={}", self.security())?;
        }
        Ok(())
    }
}

impl fmt::Debug for KafkaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KafkaOptions({self})")
    }
}
