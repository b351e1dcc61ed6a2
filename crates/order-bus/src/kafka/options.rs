//! `kafka://…`: where the brokers are, and what is wanted of them.

use std::fmt;

use crate::tls::TlsFiles;
use crate::url::{self, Parameters};

const DEFAULT_PORT: u16 = 9092;
const DEFAULT_TOPIC: &str = "orders.events";
/// Kafka's own limit.
const MAX_TOPIC_BYTES: usize = 249;

/// As the URL has them, and librdkafka. The first is the default.
const COMPRESSIONS: [&str; 5] = ["lz4", "zstd", "gzip", "snappy", "none"];
const PLAIN: &str = "PLAIN";
const MECHANISMS: [&str; 3] = [PLAIN, "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// Where Apache Kafka is, which topic, and how to talk to it. Displays as its URL without the password.
///
/// ```text
/// kafka://[user:password@]host[:port][,host[:port]…][?parameter=value[&…]]
/// ```
///
/// | parameter | meaning |
/// |---|---|
/// | `topic` | the topic's name: `orders.events` |
/// | `partitions` | how many it has. Without: one, if it has to be made; else as many as there are |
/// | `replication` | copies of each partition, if it has to be made. Without: the broker's default |
/// | `compression` | `lz4`, `zstd`, `gzip`, `snappy` or `none`; `lz4` |
/// | `mechanism` | of SASL, which a user means: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`; `PLAIN` |
/// | `tls` | `required`. Each of the files means it, too |
/// | `ca`, `cert`, `key` | PEM files: roots in place of the system's; the client's certificate and its key |
/// | `name` | the name of the checkpoint: `kafka/` and the topic |
///
/// What a user or a password holds of `@ : / ? # %` is percent-encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct KafkaOptions {
    /// `host:port`, with commas between.
    pub(super) servers: String,
    pub(super) login: Option<Login>,
    /// `None`: in plain text.
    pub(super) tls: Option<TlsFiles>,
    pub(super) topic: String,
    pub(super) partitions: Option<u16>,
    pub(super) replication: Option<u16>,
    pub(super) compression: &'static str,
    name: String,
    /// The fault that tests plant: so many milliseconds after which the producer gives a message up, which later ones do
    /// not wait for and nobody notices.
    #[cfg(feature = "planted-faults")]
    pub(super) planted_message_timeout_ms: Option<u32>,
}

/// A user, and how it proves to be the one.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) mechanism: &'static str,
    pub(super) user: String,
    pub(super) password: String,
}

impl KafkaOptions {
    /// Reads a URL.
    ///
    /// # Errors
    /// One line that says what is wrong, without any secret.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (scheme, authority, mut parameters) = url::split(url)?;
        if scheme != "kafka" {
            return Err("a Kafka URL begins with kafka://".to_owned());
        }
        let (user, hosts) = url::split_user(authority);
        let topic =
            parameters.take("topic", "a topic's name: 1 to 249 of A-Z, a-z, 0-9, . _ -", read_topic)?;
        let topic = topic.unwrap_or_else(|| DEFAULT_TOPIC.to_owned());
        let name = parameters.checkpoint_name()?;
        let options = Self {
            servers: url::servers(hosts, DEFAULT_PORT)?,
            login: read_login(user, &mut parameters)?,
            tls: read_tls(&mut parameters)?,
            partitions: parameters.take("partitions", "1 to 32767", read_count)?,
            replication: parameters.take("replication", "1 to 32767", read_count)?,
            compression: parameters.one_of("compression", &COMPRESSIONS)?.unwrap_or(COMPRESSIONS[0]),
            name: name.unwrap_or_else(|| format!("kafka/{topic}")),
            topic,
            #[cfg(feature = "planted-faults")]
            planted_message_timeout_ms: parameters.take(
                "planted-message-timeout-ms",
                "a number",
                |value| value.parse().ok(),
            )?,
        };
        parameters.finish()?;
        Ok(options)
    }

    /// The name of the checkpoint. It stays the same when servers or credentials change.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As librdkafka has it.
    pub(super) const fn security_protocol(&self) -> &'static str {
        match (self.login.is_some(), self.tls.is_some()) {
            (false, false) => "plaintext",
            (false, true) => "ssl",
            (true, false) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        }
    }
}

impl fmt::Display for KafkaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.login.as_ref().map(|login| format!("{}@", login.user)).unwrap_or_default();
        let tls = if self.tls.is_some() { "&tls=required" } else { "" };
        write!(f, "kafka://{user}{}?topic={}{tls}", self.servers, self.topic)
    }
}

impl fmt::Debug for KafkaOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KafkaOptions({self})")
    }
}

fn read_topic(value: &str) -> Option<String> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let fits = value.len() <= MAX_TOPIC_BYTES && value.chars().all(is_legal) && !matches!(value, "." | "..");
    fits.then(|| value.to_owned())
}

fn read_count(value: &str) -> Option<u16> {
    value.parse().ok().filter(|count| (1..=i16::MAX.unsigned_abs()).contains(count))
}

fn read_login(user: Option<&str>, parameters: &mut Parameters) -> Result<Option<Login>, String> {
    let mechanism = parameters.one_of("mechanism", &MECHANISMS)?;
    let Some(text) = user else {
        return match mechanism {
            None => Ok(None),
            Some(_) => Err("mechanism= needs a user".to_owned()),
        };
    };
    let mechanism = mechanism.unwrap_or(PLAIN);
    if mechanism != PLAIN && !cfg!(feature = "kafka-tls") {
        return Err(format!("mechanism={mechanism}: this program was built without the feature kafka-tls"));
    }
    match text.split_once(':') {
        Some((user, password)) if !user.is_empty() => {
            let (user, password) = (url::decode_user(user)?, url::decode_user(password)?);
            Ok(Some(Login { mechanism, user, password }))
        }
        _ => Err("what stands before the @ is not USER:PASSWORD".to_owned()),
    }
}

fn read_tls(parameters: &mut Parameters) -> Result<Option<TlsFiles>, String> {
    let files = TlsFiles::take(parameters)?;
    let is_required = parameters.one_of("tls", &["required"])?.is_some();
    if !is_required && files == TlsFiles::default() {
        return Ok(None);
    }
    if !cfg!(feature = "kafka-tls") {
        return Err("TLS to Kafka: this program was built without the feature kafka-tls".to_owned());
    }
    Ok(Some(files))
}

#[cfg(test)]
mod tests;
