//! What comes after the question mark of `nats://…?…`.

use std::path::PathBuf;
use std::time::Duration;

use super::options::{Access, Tls};
use super::units::{parse_bytes, parse_duration};

/// NATS's own limit on the replicas of a stream.
const MAX_REPLICAS: usize = 5;
/// Long enough for any file system that a stream's name becomes a directory on.
const MAX_NAME_CHARS: usize = 200;

/// Each parameter, if it was given.
#[derive(Default)]
pub(super) struct Parameters {
    pub(super) stream: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) replicas: Option<usize>,
    pub(super) max_age: Option<Duration>,
    pub(super) max_bytes: Option<i64>,
    credentials: Option<PathBuf>,
    nkey: Option<PathBuf>,
    pub(super) tls: Tls,
    pub(super) name: Option<String>,
}

impl Parameters {
    pub(super) fn read(query: &str) -> Result<Self, String> {
        let mut read = Self::default();
        let (mut certificate, mut key) = (None, None);
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if seen.iter().any(|seen| *seen == name) {
                return Err(format!("{name}= is given twice"));
            }
            if value.is_empty() {
                return Err(format!("{name}= is empty"));
            }
            let file = || Some(PathBuf::from(&*value));
            match &*name {
                "stream" => read.stream = Some(parse_stream(&value)?),
                "subject" => read.subject = Some(parse_subject(&value)?),
                "replicas" => read.replicas = Some(parse_replicas(&value)?),
                "max_age" => {
                    read.max_age = Some(parse_duration(&value).ok_or_else(|| fault(&name, &value, "30d"))?)
                }
                "max_bytes" => {
                    read.max_bytes = Some(parse_bytes(&value).ok_or_else(|| fault(&name, &value, "50GB"))?)
                }
                "creds" => read.credentials = file(),
                "nkey" => read.nkey = file(),
                "tls" => match &*value {
                    "required" => read.tls.is_required = true,
                    "first" => (read.tls.is_required, read.tls.is_first) = (true, true),
                    _ => return Err(format!("tls={value} is neither required nor first")),
                },
                "ca" => read.tls.roots = file(),
                "cert" => certificate = file(),
                "key" => key = file(),
                "name" => read.name = Some(parse_name(&value)?),
                _ => return Err(format!("{name}= is not a parameter of a NATS URL")),
            }
            seen.push(name.into_owned());
        }
        read.tls.client = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("cert= and key= belong together".to_owned()),
        };
        Ok(read)
    }

    /// Who we say we are, unless the address says so.
    pub(super) fn access(&self) -> Result<Access, String> {
        match (&self.credentials, &self.nkey) {
            (None, None) => Ok(Access::Anybody),
            (Some(file), None) => Ok(Access::Credentials(file.clone())),
            (None, Some(file)) => Ok(Access::Nkey(file.clone())),
            (Some(_), Some(_)) => Err("creds= and nkey= exclude each other".to_owned()),
        }
    }
}

fn fault(name: &str, value: &str, example: &str) -> String {
    format!("{name}={value} cannot be read; as an example, {name}={example}")
}

fn parse_stream(value: &str) -> Result<String, String> {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || ".*>/\\".contains(c);
    if value.contains(forbidden) || value.chars().count() > MAX_NAME_CHARS {
        return Err(format!("stream={value} cannot be a stream's name: no spaces, nor any of . * > / \\"));
    }
    Ok(value.to_owned())
}

fn parse_subject(value: &str) -> Result<String, String> {
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || "*>".contains(c);
    let is_too_long = value.chars().count() > MAX_NAME_CHARS;
    if value.starts_with('$')
        || value.split('.').any(str::is_empty)
        || value.contains(forbidden)
        || is_too_long
    {
        return Err(format!("subject={value} cannot begin subjects: words with dots between, without $ * >"));
    }
    Ok(value.to_owned())
}

fn parse_replicas(value: &str) -> Result<usize, String> {
    let replicas = value.parse().ok().filter(|replicas| (1..=MAX_REPLICAS).contains(replicas));
    replicas.ok_or_else(|| format!("replicas={value} is not 1 to {MAX_REPLICAS}"))
}

fn parse_name(value: &str) -> Result<String, String> {
    if value.chars().any(char::is_control) || value.chars().count() > MAX_NAME_CHARS {
        return Err(format!("name= has control characters, or more than {MAX_NAME_CHARS} characters"));
    }
    Ok(value.to_owned())
}
