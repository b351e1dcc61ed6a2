//! Who is let in, and what is said when nobody is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use order_application::{Broker, BrokerError, BrokerLog, Checkpoint};
use order_bus::{NatsBroker, NatsLog, NatsOptions};
use test_servers::{Authority, NatsOptions as ServerOptions, NatsServer};

use crate::contract::{SOON, events, publish};
use crate::nats::SOURCE;

/// The nkey of a user, and its seed, from NATS's documentation.
const NKEY: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";

#[tokio::test]
async fn a_user_or_an_nkey_is_let_in() {
    let options = ServerOptions::default().user("app", "s@c,r:t/ \"ü\"").nkey(NKEY);
    let server = NatsServer::start(&options).unwrap();
    let seed = tempfile::NamedTempFile::new().unwrap();
    fs::write(&seed, format!("# the relay's\n{SEED}\n")).unwrap();
    let host = host(&server);
    works(&format!("nats://app:s%40c%2Cr%3At%2F%20%22%C3%BC%22@{host}")).await;
    works(&format!("nats://{host}?nkey={}", seed.path().display())).await;
    for url in [
        format!("nats://{host}"),
        format!("nats://app:guessed@{host}"),
        format!("nats://some-token@{host}"),
        // The next host is not asked: the user is the same there.
        format!("nats://app:guessed@{host},{host}"),
    ] {
        misconfigured(&url, "does not let us in").await;
    }
    misconfigured(&format!("nats://{host}?nkey=/no/such/file"), "nkey=/no/such/file").await;
}

#[tokio::test]
async fn a_token_is_let_in() {
    let server = NatsServer::start(&ServerOptions::default().token("to/ken")).unwrap();
    works(&format!("nats://to%2Fken@{}", host(&server))).await;
    misconfigured(&format!("nats://other@{}", host(&server)), "does not let us in").await;
}

#[tokio::test]
async fn credentials_are_let_in() {
    let options = ServerOptions::default().line(include_str!("nats_operator.conf"));
    let server = NatsServer::start(&options).unwrap();
    let credentials = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/brokers/nats_user.creds");
    works(&format!("{}?creds={credentials}", server.url())).await;
    misconfigured(&server.url(), "does not let us in").await;
    misconfigured(&format!("{}?creds=/no/such/file", server.url()), "creds=/no/such/file").await;
}

#[tokio::test]
async fn what_a_user_may_not_do_is_told() {
    let options = ServerOptions::default().line(
        "authorization { users: [{ user: app, password: x, permissions: { \
         publish: { deny: \"orders.>\" } } }] }",
    );
    let server = NatsServer::start(&options).unwrap();
    let broker = broker(&format!("nats://app:x@{}", host(&server)));
    let mut opened = broker.open(&Checkpoint::default()).await.unwrap();
    let error = publish(&mut opened, &events(1, 5)).await.unwrap_err();
    let BrokerError::Misconfigured(why) = &error else { panic!("{error:?}") };
    assert!(why.contains("Permissions Violation") && why.contains("orders."), "{why}");
}

#[tokio::test]
async fn tls_is_spoken_with_a_server_whose_root_is_known() {
    let authority = Authority::new("test").unwrap();
    let options = ServerOptions::default().tls(authority.certificate("127.0.0.1").unwrap());
    let server = NatsServer::start(&options).unwrap();
    let root = authority.root().display().to_string();
    works(&format!("tls://{}?ca={root}", host(&server))).await;
    // Where the server wants TLS, a client follows.
    works(&format!("nats://{}?ca={root}", host(&server))).await;
    let stranger = Authority::new("stranger").unwrap().root().display().to_string();
    misconfigured(&format!("tls://{}?ca={root}", host(&server).replace("127.0.0.1", "localhost")), "TLS")
        .await;
    misconfigured(&format!("tls://{}?ca=/no/such/file", host(&server)), "ca=/no/such/file").await;
    misconfigured(&format!("tls://{}?ca={stranger}", host(&server)), "ca=").await;
    misconfigured(&format!("tls://{}", host(&server)), "TLS").await;
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_is_shown_it() {
    let authority = Authority::new("test").unwrap();
    let root = authority.root();
    let own = authority.certificate("127.0.0.1").unwrap();
    let client = authority.certificate("relay").unwrap();
    // The server may run as somebody else.
    fs::set_permissions(root.parent().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    let options = ServerOptions::default().line(&format!(
        "tls {{ cert_file: {:?}, key_file: {:?}, ca_file: {root:?}, verify: true }}",
        own.certificate, own.key
    ));
    let server = NatsServer::start(&options).unwrap();
    let url = format!("tls://{}?ca={}", host(&server), root.display());
    let (certificate, key) = (client.certificate.display(), client.key.display());
    works(&format!("{url}&cert={certificate}&key={key}")).await;
    misconfigured(&url, "TLS").await;
    misconfigured(&format!("{url}&cert={certificate}&key=/no/such/file"), "key=/no/such/file").await;
}

#[tokio::test]
async fn a_server_without_tls_or_without_jetstream_is_refused() {
    let server = NatsServer::shared().unwrap();
    let error = refusal(&format!("{}?tls=required", server.url())).await;
    assert!(error.to_string().contains("TLS"), "{error}");

    // Accounts other than the first have no JetStream until they are given it.
    let options = ServerOptions::default().line("accounts { other { users: [{ user: app, password: x }] } }");
    let server = NatsServer::start(&options).unwrap();
    misconfigured(&format!("nats://app:x@{}", host(&server)), "no JetStream").await;
}

#[tokio::test]
async fn a_closed_port_is_told_soon() {
    let error = refusal("nats://127.0.0.1:1").await;
    let BrokerError::Unavailable(why) = &error else { panic!("{error:?}") };
    assert!(why.contains("127.0.0.1:1"), "{why}");
}

fn host(server: &NatsServer) -> String {
    format!("127.0.0.1:{}", server.port())
}

fn broker(url: &str) -> NatsBroker {
    NatsBroker::new(NatsOptions::parse(url).unwrap(), SOURCE)
}

async fn works(url: &str) {
    let mut opened =
        broker(url).open(&Checkpoint::default()).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    publish(&mut opened, &events(1, 3)).await.unwrap();
    let log = NatsLog::new(NatsOptions::parse(url).unwrap());
    assert!(!log.open(None).await.unwrap().next().await.unwrap().is_empty());
}

async fn refusal(url: &str) -> BrokerError {
    let start = Instant::now();
    let error = broker(url).open(&Checkpoint::default()).await.err().expect("it is refused");
    assert!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
    assert!(!error.to_string().contains('\n'), "{error}");
    error
}

async fn misconfigured(url: &str, says: &str) {
    let error = refusal(url).await;
    let BrokerError::Misconfigured(why) = &error else { panic!("{url}: {error:?}") };
    assert!(why.contains(says), "{url}: {why}");
    let password = url.contains(":guessed@").then_some("guessed");
    assert!(password.is_none_or(|password| !why.contains(password)), "{why}");
}
