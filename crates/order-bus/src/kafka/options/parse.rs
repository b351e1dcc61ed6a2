//! Reading the URL.

use std::path::PathBuf;

use super::{Compression, KafkaOptions, Login, Mechanism, Tls};

const DEFAULT_PORT: u16 = 9092;
const DEFAULT_TOPIC: &str = "orders.events";
/// Kafka's own limit.
const MAX_TOPIC_BYTES: usize = 249;
const MAX_NAME_BYTES: usize = 128;

pub(super) fn parse(url: &str) -> Result<KafkaOptions, String> {
    let rest = url.strip_prefix("kafka://").ok_or("a Kafka URL begins with kafka://")?;
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (user_info, servers) = match address.rsplit_once('@') {
        Some((user_info, servers)) => (Some(user_info), servers),
        None => (None, address),
    };
    let query = Query::read(query)?;
    let topic = query.topic.unwrap_or_else(|| DEFAULT_TOPIC.to_owned());
    Ok(KafkaOptions {
        servers: self::servers(servers.strip_suffix('/').unwrap_or(servers))?,
        name: query.name.unwrap_or_else(|| format!("kafka/{topic}")),
        topic,
        partitions: query.partitions,
        replication: query.replication,
        compression: query.compression.unwrap_or(Compression::Lz4),
        login: user_info.map(|user_info| login(user_info, query.mechanism)).transpose()?,
        tls: tls(&query.files, user_info.is_some(), query.mechanism, query.security)?,
        #[cfg(feature = "planted-faults")]
        planted_message_timeout_ms: query.planted_message_timeout_ms,
    })
}

#[derive(Default)]
struct Query {
    topic: Option<String>,
    name: Option<String>,
    partitions: Option<u16>,
    replication: Option<u16>,
    compression: Option<Compression>,
    mechanism: Option<Mechanism>,
    security: Option<Security>,
    files: Files,
    #[cfg(feature = "planted-faults")]
    planted_message_timeout_ms: Option<u32>,
}

#[derive(Default)]
struct Files {
    authorities: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// What `security=` asks for.
#[derive(Clone, Copy)]
struct Security {
    sasl: bool,
    tls: bool,
}

impl Query {
    fn read(query: &str) -> Result<Self, String> {
        let mut read = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = &*value;
            match &*name {
                "topic" => once(&mut read.topic, &name, topic(value)?)?,
                "name" => once(&mut read.name, &name, checkpoint_name(value)?)?,
                "partitions" => once(&mut read.partitions, &name, count(&name, value)?)?,
                "replication" => once(&mut read.replication, &name, count(&name, value)?)?,
                "compression" => {
                    let chosen = one_of(&name, value, Compression::ALL, Compression::name)?;
                    once(&mut read.compression, &name, chosen)?;
                }
                "mechanism" => {
                    let chosen = one_of(&name, value, Mechanism::ALL, Mechanism::name)?;
                    once(&mut read.mechanism, &name, chosen)?;
                }
                "security" => once(&mut read.security, &name, security(value)?)?,
                "ca" => once(&mut read.files.authorities, &name, file(&name, value)?)?,
                "cert" => once(&mut read.files.certificate, &name, file(&name, value)?)?,
                "key" => once(&mut read.files.key, &name, file(&name, value)?)?,
                #[cfg(feature = "planted-faults")]
                "planted-message-timeout-ms" => {
                    let milliseconds = value.parse().map_err(|_| format!("{name}={value} is no number"))?;
                    once(&mut read.planted_message_timeout_ms, &name, milliseconds)?;
                }
                _ => return Err(format!("a Kafka URL has no parameter {name}")),
            }
        }
        Ok(read)
    }
}

fn once<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{name} is given twice")),
    }
}

fn count(name: &str, value: &str) -> Result<u16, String> {
    let number = value.parse().ok().filter(|number| (1..=i16::MAX.unsigned_abs()).contains(number));
    number.ok_or_else(|| format!("{name}={value} is not a number from 1 to {}", i16::MAX))
}

fn one_of<T: Copy, const N: usize>(
    name: &str,
    value: &str,
    all: [T; N],
    name_of: fn(T) -> &'static str,
) -> Result<T, String> {
    let found = all.into_iter().find(|one| name_of(*one) == value);
    found.ok_or_else(|| format!("{name}={value} is none of {}", all.map(name_of).join(", ")))
}

fn file(name: &str, value: &str) -> Result<PathBuf, String> {
    if value.is_empty() { Err(format!("{name} names no file")) } else { Ok(PathBuf::from(value)) }
}

fn topic(value: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fits = (1..=MAX_TOPIC_BYTES).contains(&value.len()) && value.chars().all(legal);
    if fits && value != "." && value != ".." {
        return Ok(value.to_owned());
    }
    Err(format!("topic={value} is no name of a topic: 1 to {MAX_TOPIC_BYTES} of A-Z, a-z, 0-9, . _ -"))
}

fn checkpoint_name(value: &str) -> Result<String, String> {
    if (1..=MAX_NAME_BYTES).contains(&value.len()) && !value.chars().any(char::is_control) {
        return Ok(value.to_owned());
    }
    Err(format!("name is 1 to {MAX_NAME_BYTES} bytes without control characters"))
}

fn security(value: &str) -> Result<Security, String> {
    let (sasl, tls) = match value {
        "plaintext" => (false, false),
        "ssl" => (false, true),
        "sasl_plaintext" => (true, false),
        "sasl_ssl" => (true, true),
        _ => {
            return Err(format!("security={value} is none of plaintext, ssl, sasl_plaintext, sasl_ssl"));
        }
    };
    Ok(Security { sasl, tls })
}

/// `host:port`, with commas between.
fn servers(list: &str) -> Result<String, String> {
    list.split(',').map(server).collect::<Result<Vec<_>, _>>().map(|servers| servers.join(","))
}

fn server(text: &str) -> Result<String, String> {
    // An IPv6 address has colons of its own, and brackets.
    let end_of_host = text.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match text[end_of_host..].find(':') {
        Some(colon) => (&text[..end_of_host + colon], Some(&text[end_of_host + colon + 1..])),
        None => (text, None),
    };
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0),
        None => Some(DEFAULT_PORT),
    };
    let strange = |c: char| c.is_whitespace() || matches!(c, '/' | '@' | '%' | '#');
    match port {
        Some(port) if !host.is_empty() && !host.contains(strange) => Ok(format!("{host}:{port}")),
        _ => Err(format!("{text:?} is not HOST or HOST:PORT, as in kafka://kafka-1.example:9092")),
    }
}

fn login(user_info: &str, mechanism: Option<Mechanism>) -> Result<Login, String> {
    let parts = user_info.split_once(':').and_then(|(user, password)| {
        Some((percent_decoded(user).filter(|user| !user.is_empty())?, percent_decoded(password)?))
    });
    let Some((user, password)) = parts else {
        // Not a word of what it is: the password may be in it.
        return Err("what stands before @ is not USER:PASSWORD, percent-encoded".to_owned());
    };
    let mechanism = mechanism.unwrap_or(Mechanism::Plain);
    if mechanism != Mechanism::Plain && !cfg!(feature = "kafka-tls") {
        return Err(format!("mechanism={}: built without the feature kafka-tls", mechanism.name()));
    }
    Ok(Login { mechanism, user, password })
}

fn tls(
    files: &Files,
    has_user: bool,
    mechanism: Option<Mechanism>,
    security: Option<Security>,
) -> Result<Option<Tls>, String> {
    let has_files = files.authorities.is_some() || files.certificate.is_some() || files.key.is_some();
    let asked = security.unwrap_or(Security { sasl: has_user, tls: has_files });
    if asked.sasl && !has_user {
        return Err("SASL needs a user, as in kafka://USER:PASSWORD@HOST".to_owned());
    }
    if has_user && !asked.sasl {
        return Err("a user means SASL: security is sasl_plaintext or sasl_ssl".to_owned());
    }
    if mechanism.is_some() && !asked.sasl {
        return Err("mechanism is looked at with a user only".to_owned());
    }
    if has_files && !asked.tls {
        return Err("ca, cert and key are looked at with security=ssl or sasl_ssl only".to_owned());
    }
    if !asked.tls {
        return Ok(None);
    }
    if !cfg!(feature = "kafka-tls") {
        return Err("TLS to Kafka: built without the feature kafka-tls".to_owned());
    }
    let client = match (&files.certificate, &files.key) {
        (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
        (None, None) => None,
        _ => return Err("cert and key belong together".to_owned()),
    };
    Ok(Some(Tls { authorities: files.authorities.clone(), client }))
}

/// `None` when it cannot be decoded.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
