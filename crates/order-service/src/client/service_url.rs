//! Where a service is: `https://orders.example.com:8443`.

use std::fmt;
use std::str::FromStr;

use axum::http::Uri;
use axum::http::uri::{Authority, Scheme};

/// The address of a service, without a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServiceUrl {
    scheme: Scheme,
    authority: Authority,
    port: u16,
}

impl ServiceUrl {
    /// Whether TLS is spoken there.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// As a `Host` field has it.
    pub(crate) fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// The name or address to connect to.
    pub(crate) fn host(&self) -> &str {
        self.authority.host().trim_matches(['[', ']'])
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl FromStr for ServiceUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| "must be an address such as http://localhost:8080")?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err("must begin with http:// or https://");
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err("must begin with http:// or https://");
        }
        if authority.as_str().contains('@') {
            return Err("must have no name or password: a key is given with --key");
        }
        if parts.path_and_query.is_some_and(|path| path != "/") {
            return Err("must have no path: it is that of the service itself");
        }
        let usual = if scheme == Scheme::HTTPS { 443 } else { 80 };
        let port = port_in(&authority, usual).ok_or("must have a port from 1 to 65535, or none")?;
        Ok(Self { scheme, authority, port })
    }
}

/// The port that an authority names, or the usual one if it names none. `None`: what it names is no port. A URL's parser takes
/// that as if there were none.
pub(crate) fn port_in(authority: &Authority, usual: u16) -> Option<u16> {
    let text = authority.as_str();
    let host_and_port = text.rsplit_once('@').map_or(text, |(_, after)| after);
    match host_and_port.strip_prefix(authority.host())? {
        "" => Some(usual),
        port => port.strip_prefix(':')?.parse().ok().filter(|port| *port != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_services_are_read() {
        let read = |text: &str| {
            let url: ServiceUrl = text.parse().unwrap();
            (url.is_encrypted(), url.host().to_owned(), url.port())
        };
        assert_eq!(read("http://localhost:8080"), (false, "localhost".to_owned(), 8080));
        assert_eq!(read("https://orders.example.com/"), (true, "orders.example.com".to_owned(), 443));
        assert_eq!(read("http://[::1]"), (false, "::1".to_owned(), 80));
    }

    #[test]
    fn what_is_none_is_told_why() {
        let fault = |text: &str| text.parse::<ServiceUrl>().unwrap_err();
        assert_eq!(fault("localhost"), "must begin with http:// or https://");
        assert_eq!(fault("ftp://localhost"), "must begin with http:// or https://");
        assert_eq!(
            fault("http://me:secret@localhost"),
            "must have no name or password: a key is given with --key"
        );
        assert_eq!(fault("http://localhost/orders"), "must have no path: it is that of the service itself");
        for port in ["99999", "0", "", "80x", "-1"] {
            let no_port = fault(&format!("http://127.0.0.1:{port}"));
            assert!(no_port.starts_with("must "), "{port}: {no_port}");
        }
        assert_eq!(fault("http://[::1]:99999"), "must have a port from 1 to 65535, or none");
        assert_eq!(fault("http://a b"), "must be an address such as http://localhost:8080");
    }
}
