//! `postgres://…`: what libpq understands, as far as it matters here.

use order_application::error_chain;
use std::path::PathBuf;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// How long a connection may take to come about, unless the URL says otherwise (`connect_timeout`).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// After so long without an answer from the other machine a connection counts as lost.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the database is, and how to talk to it.
#[derive(Debug, Clone)]
pub(super) struct DatabaseUrl {
    pub(super) config: Config,
    pub(super) tls: Tls,
}

/// What a connection asks of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tls {
    /// None (`sslmode=disable`).
    Off,
    /// Encrypted where the server can (`prefer`, the default) or always (`require`), whoever the server is.
    Encrypt,
    /// Encrypted, and the server proves by a certificate that it has the name (`verify-full`). Without own roots
    /// (`sslrootcert`), those of the system count.
    Verify {
        /// A PEM file.
        roots: Option<PathBuf>,
    },
}

impl DatabaseUrl {
    /// Reads a URL. What it complains about never holds the password.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let mut ssl_mode = None;
        let mut roots = None;
        let mut rest = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let decoded = form_urlencoded::parse(parameter.as_bytes()).next();
            match decoded.as_ref().map(|(name, value)| (&**name, &**value)) {
                Some(("sslmode", value)) => ssl_mode = Some(value.to_owned()),
                Some(("sslrootcert", "system")) => roots = None,
                Some(("sslrootcert", value)) => roots = Some(PathBuf::from(value)),
                _ => rest.push(parameter),
            }
        }
        let without_tls =
            if rest.is_empty() { address.to_owned() } else { format!("{address}?{}", rest.join("&")) };
        let mut config: Config =
            without_tls.parse().map_err(|e| format!("not a PostgreSQL URL: {}", error_chain(&e)))?;
        let nameless = |host: &Host| matches!(host, Host::Tcp(name) if name.is_empty());
        if config.get_hosts().is_empty() || config.get_hosts().iter().any(nameless) {
            return Err(
                "not a PostgreSQL URL: it names no host, as in postgres://user@host/database".to_owned()
            );
        }

        let (mode, tls) = match ssl_mode.as_deref() {
            Some("disable") => (SslMode::Disable, Tls::Off),
            None | Some("prefer") => (SslMode::Prefer, Tls::Encrypt),
            Some("require") => (SslMode::Require, Tls::Encrypt),
            Some("verify-full") => (SslMode::Require, Tls::Verify { roots: roots.take() }),
            Some(other) => {
                return Err(format!("sslmode={other} is none of disable, prefer, require, verify-full"));
            }
        };
        if roots.is_some() {
            return Err("sslrootcert is looked at with sslmode=verify-full only".to_owned());
        }
        config.ssl_mode(mode);
        // Whatever else the hosts are, a standby takes no orders.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("order-service");
        }
        config.keepalives_idle(SILENCE_TIMEOUT);
        config.tcp_user_timeout(SILENCE_TIMEOUT);
        Ok(Self { config, tls })
    }
}

/// The URL without its password, for logs.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let address = match address.rsplit_once('@') {
        Some((user, host)) => format!("{}@{host}", user.split_once(':').map_or(user, |(name, _)| name)),
        None => address.to_owned(),
    };
    let shown: Vec<&str> =
        query.split('&').filter(|p| !p.is_empty() && !p.starts_with("password=")).collect();
    let query = if shown.is_empty() { String::new() } else { format!("?{}", shown.join("&")) };
    format!("{scheme}://{address}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(query: &str) -> Result<Tls, String> {
        DatabaseUrl::parse(&format!("postgres://u:secret@db.example/orders{query}")).map(|url| url.tls)
    }

    #[test]
    fn tls_is_as_libpq_has_it() {
        assert_eq!(tls(""), Ok(Tls::Encrypt));
        assert_eq!(tls("?sslmode=disable"), Ok(Tls::Off));
        assert_eq!(tls("?sslmode=require&application_name=x"), Ok(Tls::Encrypt));
        assert_eq!(tls("?sslmode=verify-full"), Ok(Tls::Verify { roots: None }));
        let roots = Some(PathBuf::from("/etc/ca 1.pem"));
        assert_eq!(tls("?sslrootcert=/etc/ca%201.pem&sslmode=verify-full"), Ok(Tls::Verify { roots }));
        assert!(tls("?sslmode=verify-ca").unwrap_err().contains("verify-full"));
        assert!(tls("?sslrootcert=/x&sslmode=require").is_err(), "a root that nobody looks at is a trap");
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_its_password() {
        for url in
            ["postgres://u:secret@h:port/x", "postgres://u:secret@/x?host=", "postgres://u:secret@h/x?bad=1"]
        {
            match DatabaseUrl::parse(url) {
                Err(error) => assert!(!error.contains("secret"), "{error}"),
                Ok(parsed) => panic!("{url} was taken for {parsed:?}"),
            }
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = without_password("postgres://u:s:e@c@h1:1,h2:2/db?password=secret&sslmode=require");
        assert_eq!(shown, "postgres://u@h1:1,h2:2/db?sslmode=require");
        assert_eq!(without_password("postgres://h/db"), "postgres://h/db");
    }
}
