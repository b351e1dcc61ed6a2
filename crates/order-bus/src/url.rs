//! What brokers' URLs have in common: `scheme://user:password@host:port,…?name=value&…`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;

use order_application::nearest::did_you_mean;
use percent_encoding::percent_decode_str;

/// The longest name of a checkpoint, in characters.
const MAX_NAME_CHARS: usize = 200;

/// A URL's scheme, its users and hosts, and its parameters.
pub(crate) fn split(url: &str) -> Result<(&str, &str, Parameters), String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
    Ok((scheme, authority.strip_suffix('/').unwrap_or(authority), Parameters::read(query)?))
}

/// What stands before the last `@`, if there is one, and what comes after it.
pub(crate) fn split_user(authority: &str) -> (Option<&str>, &str) {
    authority.rsplit_once('@').map_or((None, authority), |(user, hosts)| (Some(user), hosts))
}

/// A part of what stands before the last `@`. The error does not show it, since it may be a secret.
pub(crate) fn decode_user(text: &str) -> Result<String, String> {
    // More than one user, most likely, each with its host.
    let is_plain = !text.contains(['@', ',', '/']);
    let decoded = percent_decode_str(text).decode_utf8().ok().filter(|_| is_plain);
    decoded.map(Into::into).ok_or_else(|| "what stands before the @ is not UTF-8, percent-encoded".to_owned())
}

/// Hosts with commas between, as `host:port`.
pub(crate) fn servers(list: &str, default_port: u16) -> Result<String, String> {
    let servers: Result<Vec<_>, _> = list.split(',').map(|host| server(host, default_port)).collect();
    servers.map(|servers| servers.join(","))
}

fn server(text: &str, default_port: u16) -> Result<String, String> {
    // An IPv6 address has colons of its own, and brackets.
    let end_of_host = text.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match text[end_of_host..].split_once(':') {
        Some((rest, port)) => (&text[..end_of_host + rest.len()], port.parse().unwrap_or(0)),
        None => (text, default_port),
    };
    let is_strange = |c: char| c.is_whitespace() || "/@%#".contains(c);
    // What is no port may be a password whose host was forgotten.
    if port == 0 || host.is_empty() || host.contains(is_strange) {
        return Err(format!("{host:?} is not a host with an optional port"));
    }
    Ok(format!("{host}:{port}"))
}

/// What stands after the question mark. Whoever knows a parameter takes it out.
pub(crate) struct Parameters {
    given: BTreeMap<String, String>,
    /// Those that were asked for.
    known: Vec<String>,
}

impl Parameters {
    fn read(query: &str) -> Result<Self, String> {
        let mut given = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            if value.is_empty() {
                return Err(format!("{name}= is empty"));
            }
            match given.entry(name) {
                Entry::Vacant(entry) => entry.insert(value),
                Entry::Occupied(entry) => return Err(format!("{}= is given twice", entry.key())),
            };
        }
        Ok(Self { given, known: Vec::new() })
    }

    /// A parameter that `read` understands. If it does not, the error says what was `expected`.
    pub(crate) fn take<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let Some(value) = self.remove(name) else { return Ok(None) };
        match read(&value) {
            Some(read) => Ok(Some(read)),
            None => Err(format!("{name}={value} is not {expected}")),
        }
    }

    /// A parameter that is one of these words.
    pub(crate) fn one_of(
        &mut self,
        name: &str,
        words: &[&'static str],
    ) -> Result<Option<&'static str>, String> {
        let expected = format!("one of {}", words.join(", "));
        self.take(name, &expected, |value| words.iter().copied().find(|word| *word == value))
    }

    /// A parameter that names a file.
    pub(crate) fn file(&mut self, name: &str) -> Option<PathBuf> {
        self.remove(name).map(PathBuf::from)
    }

    fn remove(&mut self, name: &str) -> Option<String> {
        self.known.push(name.to_owned());
        self.given.remove(name)
    }

    /// The checkpoint's name.
    pub(crate) fn checkpoint_name(&mut self) -> Result<Option<String>, String> {
        let expected =
            format!("a name: at most {MAX_NAME_CHARS} characters, none of them a control character");
        self.take("name", &expected, |value| {
            let fits = value.chars().count() <= MAX_NAME_CHARS && !value.contains(char::is_control);
            fits.then(|| value.to_owned())
        })
    }

    /// Refuses a parameter that nobody has taken out.
    pub(crate) fn finish(self) -> Result<(), String> {
        match self.given.keys().next() {
            None => Ok(()),
            Some(name) => {
                let meant = did_you_mean(name, self.known.iter().map(String::as_str));
                Err(format!("this URL has no parameter {name}={meant}"))
            }
        }
    }
}
