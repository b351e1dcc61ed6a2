//! `--tls-cert` and `--tls-key`: connections that are encrypted, and certificates that are renewed.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use test_servers::{Authority, Certificate};

use crate::http::Client;
use crate::server::{Program, Server, wait_until};
use crate::start_up::{FAILURE, USAGE, assert_refused};

pub(crate) const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";
const METRICS: &str = "GET /metrics HTTP/1.1\r\nhost: e2e\r\nconnection: close\r\n\r\n";
/// Certificates that were replaced are in use by then, as OPERATIONS says.
const RENEWED_WITHIN: Duration = Duration::from_secs(2);

/// A server whose certificate is in files of its own, and whom it trusts.
pub(crate) struct Encrypted {
    pub(crate) server: Server,
    authority: Authority,
    files: Certificate,
}

impl Encrypted {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let program = Program::serve().argument("--store", "memory:");
        Self::of(arguments.chunks(2).fold(program, |program, option| program.argument(option[0], option[1])))
    }

    pub(crate) fn of(program: Program) -> Self {
        let authority = Authority::new("e2e").unwrap();
        let files = authority.certificate("localhost").unwrap();
        Self { server: encrypted(program, &files).start(), authority, files }
    }

    /// A connection that speaks one of these protocols.
    fn connect(&self, protocols: &[&[u8]]) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        self.client(protocols).encrypt(TcpStream::connect(("127.0.0.1", self.server.port()))?)
    }

    /// Who trusts the server, and speaks one of these protocols.
    pub(crate) fn client(&self, protocols: &[&[u8]]) -> EncryptingClient {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.authority.root()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let mut config = builder
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        EncryptingClient { config: Arc::new(config), port: self.server.port() }
    }

    /// The certificate that new connections get.
    fn shown(&self) -> CertificateDer<'static> {
        let stream = self.connect(&[HTTP1]).unwrap();
        stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
    }
}

/// A client that any number of threads may be.
pub(crate) struct EncryptingClient {
    config: Arc<ClientConfig>,
    pub(crate) port: u16,
}

impl EncryptingClient {
    /// Agrees with the server how to encrypt.
    pub(crate) fn encrypt(&self, tcp: TcpStream) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        tcp.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut stream = StreamOwned::new(self.session(), tcp);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(stream)
    }

    /// A client that has said nothing yet.
    pub(crate) fn session(&self) -> ClientConnection {
        ClientConnection::new(Arc::clone(&self.config), "localhost".try_into().unwrap()).unwrap()
    }
}

fn encrypted(program: Program, files: &Certificate) -> Program {
    program.argument("--tls-cert", &files.certificate).argument("--tls-key", &files.key)
}

/// Sends a request over HTTP/1.1, and reads all that comes until the connection closes.
pub(crate) fn ask(stream: &mut (impl Read + Write), request: &str) -> String {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn in_file(file: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file).unwrap()
}

#[test]
fn an_order_is_placed_and_read_over_an_encrypted_connection() {
    let encrypted = Encrypted::start(&[]);
    let body = r#"{"order_id":"o","customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":1}]}"#;
    let mut stream = encrypted.connect(&[HTTP1]).unwrap();
    let placed = ask(
        &mut stream,
        &format!(
            "POST /orders HTTP/1.1\r\nhost: e2e\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ),
    );
    assert!(placed.starts_with("HTTP/1.1 201 "), "{placed}");
    let mut stream = encrypted.connect(&[]).unwrap();
    let read = ask(&mut stream, "GET /orders/o HTTP/1.1\r\nhost: e2e\r\nconnection: close\r\n\r\n");
    assert!(read.contains(r#""OrderID":"o""#), "{read}");
}

#[test]
fn who_can_speaks_http2() {
    let encrypted = Encrypted::start(&[]);
    let mut stream = encrypted.connect(&[HTTP2, HTTP1]).unwrap();
    assert_eq!(stream.conn.alpn_protocol(), Some(HTTP2));
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[3], 4, "it answers with its settings: {head:?}");
    assert_eq!(encrypted.connect(&[HTTP1]).unwrap().conn.alpn_protocol(), Some(HTTP1));
}

#[test]
fn a_certificate_that_is_renewed_is_in_use_within_two_seconds_and_open_connections_go_on() {
    let encrypted = Encrypted::start(&[]);
    let before = in_file(&encrypted.files.certificate);
    assert_eq!(encrypted.shown(), before);
    let mut open = encrypted.connect(&[HTTP1]).unwrap();

    // The authority writes to the same files.
    encrypted.authority.certificate("localhost").unwrap();
    let replaced = Instant::now();
    let after = in_file(&encrypted.files.certificate);
    assert_ne!(after, before);
    wait_until("the new certificate is shown", || (encrypted.shown() == after).then_some(()));
    assert!(replaced.elapsed() < RENEWED_WITHIN, "{:?}", replaced.elapsed());
    let health = ask(&mut open, "GET /health HTTP/1.1\r\nhost: e2e\r\nconnection: close\r\n\r\n");
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
}

#[test]
fn a_certificate_that_is_replaced_by_a_broken_one_stays_in_use_and_it_is_told_once() {
    let encrypted = Encrypted::start(&[]);
    let before = in_file(&encrypted.files.certificate);
    let key = fs::read(&encrypted.files.key).unwrap();
    let others = Authority::new("other").unwrap();
    let other = others.certificate("localhost").unwrap();
    let told = "the new certificate cannot be used";
    for (times, fault, file, bytes) in [
        (1, "there is no certificate in it", &encrypted.files.certificate, Vec::new()),
        (
            2,
            "it is not the key of the certificate in ",
            &encrypted.files.certificate,
            fs::read(&other.certificate).unwrap(),
        ),
        (3, "it ends too early", &encrypted.files.key, key[..key.len() / 2].to_vec()),
    ] {
        fs::write(file, bytes).unwrap();
        wait_until(fault, || (encrypted.server.log().contains(fault)).then_some(()));
        assert_eq!(encrypted.shown(), before, "{fault}");
        assert_eq!(encrypted.server.log().matches(told).count(), times, "{}", encrypted.server.log());
        let metrics = ask(&mut encrypted.connect(&[HTTP1]).unwrap(), METRICS);
        assert!(metrics.contains("\norder_tls_certificate_bad 1\n"), "{fault}: {metrics}");
    }
    fs::write(&encrypted.files.key, key).unwrap();
    encrypted.authority.certificate("localhost").unwrap();
    let after = in_file(&encrypted.files.certificate);
    wait_until("the new certificate is shown", || (encrypted.shown() == after).then_some(()));
    let metrics = ask(&mut encrypted.connect(&[HTTP1]).unwrap(), METRICS);
    assert!(metrics.contains("\norder_tls_certificate_bad 0\n"), "{metrics}");
    assert!(metrics.contains("\norder_tls_certificate_expiry_timestamp_seconds 67090118400\n"), "{metrics}");
}

#[test]
fn its_status_is_asked_over_an_encrypted_connection_by_whoever_trusts_its_authority() {
    let encrypted = Encrypted::start(&[]);
    let url = format!("https://localhost:{}", encrypted.server.port());
    let status = || Program::new(["status", "--url", &url]);
    let ended = status().argument("--ca", encrypted.authority.root()).run();
    assert_eq!((ended.status, &ended.stdout[0]), (Some(0), &format!("{url} is ready")));
    let ended = status().run();
    assert_eq!(ended.status, Some(FAILURE));
    assert!(ended.stderr[0].contains("--ca takes the certificate of who did"), "{ended:?}");
}

#[test]
fn whoever_does_not_encrypt_is_told_to() {
    let encrypted = Encrypted::start(&[]);
    let answer = Client::connect(encrypted.server.port()).unwrap().get("/health").unwrap();
    assert_eq!((answer.status, answer.code().as_str()), (400, "malformed-request"));
    assert!(answer.text().contains("https://"), "{}", answer.text());
    assert!(answer.closes());
}

#[test]
fn a_client_that_begins_a_handshake_and_falls_silent_is_hung_up_on() {
    let encrypted = Encrypted::start(&[]);
    let mut client = Client::connect(encrypted.server.port()).unwrap();
    // The head of a record that announces more than ever comes.
    client.send(&[22, 3, 1, 2, 0, 1]).unwrap();
    assert_eq!(client.rest().unwrap(), b"");
}

#[test]
fn a_client_that_says_nothing_at_all_is_idle() {
    let encrypted = Encrypted::start(&["--idle-timeout-seconds", "1"]);
    let mut client = Client::connect(encrypted.server.port()).unwrap();
    assert_eq!(client.rest().unwrap(), b"");
}

#[test]
fn files_that_cannot_be_used_are_refused_at_the_start() {
    let authority = Authority::new("e2e").unwrap();
    let (files, other) =
        (authority.certificate("localhost").unwrap(), authority.certificate("127.0.0.1").unwrap());
    let refused = |files: &Certificate, what: &str| {
        let program = Program::serve().argument("--store", "memory:");
        assert_refused(&encrypted(program, files).run(), FAILURE, &[what]);
    };
    let missing = authority.root().with_file_name("missing.pem");
    refused(&Certificate { certificate: missing, ..files.clone() }, "missing.pem: ");
    refused(
        &Certificate { certificate: files.key.clone(), ..files.clone() },
        "there is no certificate in it",
    );
    refused(
        &Certificate { key: files.certificate.clone(), ..files.clone() },
        "there is no private key without a passphrase in it",
    );
    refused(&Certificate { key: other.key, ..files.clone() }, "it is not the key of the certificate in ");
    let alone = Program::serve().argument("--store", "memory:").argument("--tls-cert", &files.certificate);
    assert_eq!(alone.run().status, Some(USAGE));
}
