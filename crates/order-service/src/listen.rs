//! `--listen`: where requests come in.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// Connections that the system queues up for us, if its own limit (`net.core.somaxconn`) is no lower. Whoever finds the queue
/// full tries again after a second.
const BACKLOG: u32 = 4096;

/// As many bytes of answers the system keeps for a connection that it has not sent, and what is written at once besides. It asks for
/// more when half of them are left, and only then is it seen that a client takes something: with more, whoever reads slowly looks like
/// one who does not read, and nobody counts what lies there. (To ask how much a client has acknowledged is not to be had without
/// `unsafe`.) What is under way does not count, so that a fast client is no slower for it, or hardly.
const MAX_UNSENT_BYTES: u32 = 16 * 1024;

/// An address to listen on. Without a host: this machine only, on IPv4 and, where present, IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListenAddress {
    host: Option<IpAddr>,
    port: u16,
}

impl ListenAddress {
    /// Whether no other machine reaches it.
    pub(crate) fn is_this_machine(self) -> bool {
        self.host.is_none_or(|host| host.to_canonical().is_loopback())
    }

    /// Opens the sockets. Port 0 takes a free one, the same for both.
    pub(crate) fn bind(self) -> Result<Vec<TcpListener>, String> {
        let bind = |host, port| {
            let address = SocketAddr::new(host, port);
            bind(address).map_err(|error| (error.kind(), format!("cannot listen on {address}: {error}")))
        };
        if let Some(host) = self.host {
            return Ok(vec![bind(host, self.port).map_err(|(_, message)| message)?]);
        }
        let v4 = bind(Ipv4Addr::LOCALHOST.into(), self.port).map_err(|(_, message)| message)?;
        let port = v4.local_addr().map_err(|error| error.to_string())?.port();
        match bind(Ipv6Addr::LOCALHOST.into(), port) {
            Ok(v6) => Ok(vec![v4, v6]),
            // A taken port is told when it was asked for; a machine without IPv6, or a free port that only IPv4 has, is fine.
            Err((io::ErrorKind::AddrInUse, message)) if self.port != 0 => Err(message),
            Err(_) => Ok(vec![v4]),
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for the connections of the process before.
    socket.set_reuseaddr(true)?;
    keep_little_unsent(&socket)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Connections have it from the socket that they were accepted on.
#[cfg(target_os = "linux")]
fn keep_little_unsent(socket: &TcpSocket) -> io::Result<()> {
    socket2::SockRef::from(socket).set_tcp_notsent_lowat(MAX_UNSENT_BYTES)
}

/// Other systems keep what they like.
#[cfg(not(target_os = "linux"))]
fn keep_little_unsent(_: &TcpSocket) -> io::Result<()> {
    Ok(())
}

impl std::str::FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is not an address: use :8080, 0.0.0.0:8080 or [::1]:8080");
        if let Some(port) = text.strip_prefix(':') {
            return Ok(Self { host: None, port: port.parse().map_err(|_| wrong())? });
        }
        let text =
            text.strip_prefix("localhost:").map_or(text.to_owned(), |port| format!("127.0.0.1:{port}"));
        let address: SocketAddr = text.parse().map_err(|_| wrong())?;
        Ok(Self { host: Some(address.ip()), port: address.port() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let read = |text: &str| text.parse::<ListenAddress>().map(|a| (a.host, a.port));
        assert_eq!(read(":8081"), Ok((None, 8081)));
        assert_eq!(read("0.0.0.0:80"), Ok((Some(Ipv4Addr::UNSPECIFIED.into()), 80)));
        assert_eq!(read("[::1]:80"), Ok((Some(Ipv6Addr::LOCALHOST.into()), 80)));
        assert_eq!(read("localhost:80"), Ok((Some(Ipv4Addr::LOCALHOST.into()), 80)));
        let reached = |text: &str| !text.parse::<ListenAddress>().unwrap().is_this_machine();
        for of_this_machine in [":80", "localhost:80", "127.0.0.2:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert!(!reached(of_this_machine), "{of_this_machine}");
        }
        assert!(["0.0.0.0:80", "[::]:80", "192.0.2.1:80", "[::ffff:0.0.0.0]:80"].into_iter().all(reached));
        for wrong in ["", "8080", ":", ":99999", "example.com:80", "0.0.0.0"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
