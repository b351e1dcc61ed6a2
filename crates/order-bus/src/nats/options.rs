//! `nats://…`: which servers, who we are, and what the stream is to be.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

use crate::tls::TlsFiles;
use crate::url::{self, Parameters};

const DEFAULT_PORT: u16 = 4222;
const DEFAULT_STREAM: &str = "ORDERS";
const DEFAULT_SUBJECT: &str = "orders";
/// NATS's own limit on the replicas of a stream.
const MAX_REPLICAS: usize = 5;
/// Long enough for any file system that a stream's name becomes a directory on.
const MAX_STREAM_CHARS: usize = 200;

/// Where NATS is, and what its stream is to be like. Displays as its URL without secrets.
///
/// ```text
/// nats://[user:password@|token@]host[:port][,host[:port]…][?parameter=value[&…]]
/// ```
///
/// | parameter | meaning |
/// |---|---|
/// | `stream` | the stream's name: `ORDERS` |
/// | `subject` | what its subjects begin with: `orders`. Two streams must not share it |
/// | `replicas` | how many servers keep the stream, if it is made here: 1 to 5; 1 |
/// | `max_age`, `max_bytes` | what it may drop, if it is made here: `30d`, `12h`; `50GB`. Without, it keeps everything |
/// | `creds`, `nkey` | a credentials file, or a file with the seed of an nkey |
/// | `tls` | `required`, as `tls://` has it, or `first`: TLS before the server's first word |
/// | `ca`, `cert`, `key` | PEM files: roots in place of the system's; the client's certificate and its key |
/// | `name` | the name of the checkpoint: `nats/` and the stream |
///
/// Of a cluster several hosts should be named: only these are asked. What a user or a password holds of `@ : / ? # %` or a
/// comma is percent-encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct NatsOptions {
    /// `host:port`, with commas between.
    pub(super) servers: String,
    pub(super) access: Access,
    /// A server without TLS is refused.
    pub(super) requires_tls: bool,
    /// TLS comes before the server's first word.
    pub(super) begins_with_tls: bool,
    pub(super) tls_files: TlsFiles,
    pub(super) stream: String,
    pub(super) subject: String,
    pub(super) replicas: usize,
    pub(super) max_age: Option<Duration>,
    pub(super) max_bytes: Option<i64>,
    name: String,
}

/// Who we say we are.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Access {
    Anybody,
    Password { user: String, password: String },
    Token(String),
    Credentials(PathBuf),
    Nkey(PathBuf),
}

impl NatsOptions {
    /// Reads a URL.
    ///
    /// # Errors
    /// One line that says what is wrong, without any secret.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (scheme, authority, mut parameters) = url::split(url)?;
        if !matches!(scheme, "nats" | "tls") {
            return Err("a NATS URL begins with nats:// or tls://".to_owned());
        }
        let (user, hosts) = url::split_user(authority);
        let tls = parameters.one_of("tls", &["required", "first"])?;
        let stream =
            parameters.take("stream", "a stream's name: no spaces, nor any of . * > / \\", read_stream)?;
        let stream = stream.unwrap_or_else(|| DEFAULT_STREAM.to_owned());
        let subject = parameters.take("subject", "words with dots between, without $ * >", read_subject)?;
        let name = parameters.checkpoint_name()?;
        let options = Self {
            servers: url::servers(hosts, DEFAULT_PORT)?,
            access: Access::read(user, &mut parameters)?,
            requires_tls: scheme == "tls" || tls.is_some(),
            begins_with_tls: tls == Some("first"),
            tls_files: TlsFiles::take(&mut parameters)?,
            subject: subject.unwrap_or_else(|| DEFAULT_SUBJECT.to_owned()),
            replicas: parameters.take("replicas", "1 to 5", read_replicas)?.unwrap_or(1),
            max_age: parameters.take("max_age", "a time such as 30d", read_duration)?,
            max_bytes: parameters.take("max_bytes", "a size such as 50GB", read_bytes)?,
            name: name.unwrap_or_else(|| format!("nats/{stream}")),
            stream,
        };
        parameters.finish()?;
        Ok(options)
    }

    /// The name of the checkpoint. It stays the same when servers or credentials change.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for NatsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.requires_tls { "tls" } else { "nats" };
        write!(f, "{scheme}://{}?stream={}&subject={}", self.servers, self.stream, self.subject)
    }
}

impl fmt::Debug for NatsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NatsOptions({self})")
    }
}

impl Access {
    fn read(user: Option<&str>, parameters: &mut Parameters) -> Result<Self, String> {
        match (user, parameters.file("creds"), parameters.file("nkey")) {
            (None, None, None) => Ok(Self::Anybody),
            (Some(user), None, None) => Self::from_user(user),
            (None, Some(file), None) => Ok(Self::Credentials(file)),
            (None, None, Some(file)) => Ok(Self::Nkey(file)),
            _ => Err("one user, token, creds= or nkey= is enough".to_owned()),
        }
    }

    fn from_user(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text.is_empty() => Err("there is no user before the @".to_owned()),
            None => Ok(Self::Token(url::decode_user(text)?)),
            Some((user, password)) => {
                Ok(Self::Password { user: url::decode_user(user)?, password: url::decode_user(password)? })
            }
        }
    }
}

fn read_stream(value: &str) -> Option<String> {
    let is_forbidden = |c: char| c.is_whitespace() || c.is_control() || ".*>/\\".contains(c);
    let fits = !value.contains(is_forbidden) && value.chars().count() <= MAX_STREAM_CHARS;
    fits.then(|| value.to_owned())
}

fn read_subject(value: &str) -> Option<String> {
    let is_forbidden = |c: char| c.is_whitespace() || c.is_control() || "*>".contains(c);
    let has_words = !value.split('.').any(str::is_empty) && !value.contains(is_forbidden);
    let fits = has_words && !value.starts_with('$') && value.chars().count() <= MAX_STREAM_CHARS;
    fits.then(|| value.to_owned())
}

fn read_replicas(value: &str) -> Option<usize> {
    value.parse().ok().filter(|replicas| (1..=MAX_REPLICAS).contains(replicas))
}

/// As NATS's own tools have it: `30d`, `1d12h`.
fn read_duration(value: &str) -> Option<Duration> {
    /// NATS's own limits: it counts nanoseconds in 63 bits.
    const SHORTEST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_nanos(i64::MAX.unsigned_abs());
    let span: Span = value.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(duration).ok().filter(|duration| (SHORTEST..=LONGEST).contains(duration))
}

/// A number of bytes, or of `K`, `M`, `G`, `T` (powers of 1024, also as `KB` or `KiB`), as NATS's own tools have it.
fn read_bytes(value: &str) -> Option<i64> {
    let (number, unit) = value.split_at(value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len()));
    let shift = match unit.to_ascii_uppercase().trim_end_matches('B').trim_end_matches('I') {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(1 << shift).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests;
