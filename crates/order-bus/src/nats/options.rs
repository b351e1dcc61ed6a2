//! `nats://…`: which servers, who we are, and what the stream is to be.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::ServerAddr;

use super::parameters::Parameters;

const DEFAULT_STREAM: &str = "ORDERS";
const DEFAULT_SUBJECT: &str = "orders";

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
/// Of a cluster several hosts should be named: only these are asked. Each host may repeat the scheme and the user, as NATS's own tools have it. What a user or a password holds of
/// `@ : / ? # %` or a comma is percent-encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct NatsOptions {
    pub(super) hosts: Vec<ServerAddr>,
    pub(super) access: Access,
    pub(super) stream: String,
    pub(super) subject: String,
    pub(super) replicas: usize,
    pub(super) max_age: Option<Duration>,
    pub(super) max_bytes: Option<i64>,
    pub(super) tls: Tls,
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

#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Tls {
    /// A server without is refused.
    pub(super) is_required: bool,
    pub(super) is_first: bool,
    pub(super) roots: Option<PathBuf>,
    /// Certificate and key.
    pub(super) client: Option<(PathBuf, PathBuf)>,
}

impl NatsOptions {
    /// Reads a URL.
    ///
    /// # Errors
    /// One line that says what is wrong, without any secret.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let is_tls = match scheme {
            "nats" => false,
            "tls" => true,
            _ => return Err("a NATS URL begins with nats:// or tls://".to_owned()),
        };
        let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
        let parameters = Parameters::read(query)?;
        let mut access = parameters.access()?;
        let mut hosts = Vec::new();
        for server in authority.strip_suffix('/').unwrap_or(authority).split(',') {
            let server =
                server.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://")).unwrap_or(server);
            let (user, host) =
                server.rsplit_once('@').map_or((None, server), |(user, host)| (Some(user), host));
            hosts.push(parse_host(scheme, host)?);
            if let Some(user) = user {
                let given = parse_user(user)?;
                if access != Access::Anybody && access != given {
                    return Err(
                        "one user, token, creds= or nkey= is enough, the same for all servers".to_owned()
                    );
                }
                access = given;
            }
        }

        let stream = parameters.stream.unwrap_or_else(|| DEFAULT_STREAM.to_owned());
        let name = parameters.name.unwrap_or_else(|| format!("nats/{stream}"));
        let tls = Tls { is_required: is_tls || parameters.tls.is_required, ..parameters.tls };
        Ok(Self {
            hosts,
            access,
            subject: parameters.subject.unwrap_or_else(|| DEFAULT_SUBJECT.to_owned()),
            stream,
            replicas: parameters.replicas.unwrap_or(1),
            max_age: parameters.max_age,
            max_bytes: parameters.max_bytes,
            tls,
            name,
        })
    }

    /// The name of the checkpoint. It stays the same when servers or credentials change.
    pub fn name(&self) -> String {
        self.name.clone()
    }

    /// `host:port`, for messages.
    pub(super) fn servers(&self) -> String {
        let host = |host: &ServerAddr| {
            let (name, port) = (host.host(), host.port());
            if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") }
        };
        self.hosts.iter().map(host).collect::<Vec<_>>().join(",")
    }
}

impl fmt::Display for NatsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_required { "tls" } else { "nats" };
        write!(f, "{scheme}://{}?stream={}&subject={}", self.servers(), self.stream, self.subject)
    }
}

impl fmt::Debug for NatsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NatsOptions({self})")
    }
}

fn parse_host(scheme: &str, host: &str) -> Result<ServerAddr, String> {
    let wrong = || format!("{host:?} is not a host with an optional port");
    if host.is_empty() || host.contains(['/', '#', '@']) || host.chars().any(char::is_whitespace) {
        return Err(wrong());
    }
    let address: ServerAddr = format!("{scheme}://{host}").parse().map_err(|_| wrong())?;
    if address.host().is_empty() || address.port() == 0 { Err(wrong()) } else { Ok(address) }
}

/// What it complains about never holds what was given: it may be a secret.
fn parse_user(text: &str) -> Result<Access, String> {
    let decode = |text| percent_decode(text).ok_or_else(|| "the user cannot be percent-decoded".to_owned());
    match text.split_once(':') {
        None if text.is_empty() => Err("there is no user before the @".to_owned()),
        None => Ok(Access::Token(decode(text)?)),
        Some((user, password)) => Ok(Access::Password { user: decode(user)?, password: decode(password)? }),
    }
}

/// `None` when a sign is cut off, or what it says is not UTF-8.
pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = rest else { return None };
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let byte = digit(*high)? * 16 + digit(*low)?;
        bytes.push(u8::try_from(byte).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
