//! NATS.

use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions};
use test_servers::{Authority, NatsCluster, NatsOptions, NatsServer};

const PATIENCE: Duration = Duration::from_secs(60);

/// The nkey of a user, and its seed: <https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/nkey_auth>.
const NKEY: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";

#[tokio::test]
async fn a_server_keeps_its_streams_however_it_ends() {
    let mut server = NatsServer::start(&NatsOptions::default().sync_always()).unwrap();
    let url = server.url();
    create_stream(&connect(&url).await, "kept", 1).await;
    for end in [NatsServer::stop, NatsServer::kill_hard] {
        publish(&connect(&url).await, "kept").await;
        end(&mut server).unwrap();
        assert!(!server.is_running());
        assert!(async_nats::connect(&url).await.is_err());
        server.start_again().unwrap();
        assert_eq!(server.url(), url);
    }
    assert_eq!(messages(&connect(&url).await, "kept").await, 2);
}

#[tokio::test]
async fn a_wiped_server_is_empty() {
    let mut server = NatsServer::start(&NatsOptions::default()).unwrap();
    create_stream(&connect(&server.url()).await, "lost", 1).await;
    server.wipe().unwrap();
    assert!(!server.is_running());
    server.start_again().unwrap();
    let client = connect(&server.url()).await;
    assert!(jetstream::new(client).get_stream("lost").await.is_err());
}

#[tokio::test]
async fn a_frozen_server_says_nothing_until_it_is_thawed() {
    let mut server = NatsServer::start(&NatsOptions::default()).unwrap();
    let context = jetstream::new(connect(&server.url()).await);
    server.freeze().unwrap();
    assert!(server.is_running());
    assert!(tokio::time::timeout(Duration::from_millis(300), context.query_account()).await.is_err());
    server.thaw().unwrap();
    context.query_account().await.unwrap();
}

#[test]
fn the_shared_server_is_one() {
    assert_eq!(NatsServer::shared().unwrap().url(), NatsServer::shared().unwrap().url());
}

#[tokio::test]
async fn a_user_a_nkey_or_a_token_is_demanded() {
    let options = NatsOptions::default().user("app", r#"a "secret" \ word"#).nkey(NKEY);
    let server = NatsServer::start(&options).unwrap();
    let url = server.url();
    let by_password = |password: &str| ConnectOptions::with_user_and_password("app".into(), password.into());
    assert!(async_nats::connect(&url).await.is_err());
    assert!(by_password("wrong").connect(&url).await.is_err());
    by_password(r#"a "secret" \ word"#).connect(&url).await.unwrap();
    ConnectOptions::with_nkey(SEED.into()).connect(&url).await.unwrap();

    let server = NatsServer::start(&NatsOptions::default().token("secret")).unwrap();
    assert!(async_nats::connect(server.url()).await.is_err());
    ConnectOptions::with_token("secret".into()).connect(server.url()).await.unwrap();
}

#[tokio::test]
async fn tls_is_demanded_and_the_certificate_is_the_given_one() {
    let authority = Authority::new("test").unwrap();
    let options = NatsOptions::default().tls(authority.certificate("127.0.0.1").unwrap());
    let server = NatsServer::start(&options).unwrap();
    assert!(server.url().starts_with("tls://"));
    let trusting = ConnectOptions::new().add_root_certificates(authority.root());
    trusting.connect(server.url()).await.unwrap();
    assert!(async_nats::connect(server.url()).await.is_err());
}

#[tokio::test]
async fn settings_reach_the_server() {
    let options = NatsOptions::default().max_payload_bytes(2048).line("max_subscriptions: 7");
    let server = NatsServer::start(&options).unwrap();
    assert_eq!(connect(&server.url()).await.server_info().max_payload, 2048);
    let error = NatsServer::start(&options.line("no_such_setting: 1")).unwrap_err();
    assert!(format!("{error:#}").contains("no_such_setting"), "{error:#}");
}

#[tokio::test]
async fn another_server_leads_when_the_leader_is_killed() {
    let mut cluster = NatsCluster::start(3).unwrap();
    let client = ConnectOptions::new().connect(cluster.urls()).await.unwrap();
    create_stream(&client, "kept", 3).await;
    publish(&client, "kept").await;
    let first = leader(&cluster, |_| true);
    cluster.nodes_mut()[first].kill_hard().unwrap();
    let second = leader(&cluster, |leader| leader != first);
    let client = connect(&cluster.urls()[second]).await;
    publish(&client, "kept").await;
    // With nothing: it learns all from the others.
    cluster.nodes_mut()[first].wipe().unwrap();
    cluster.start_again().unwrap();
    let client = connect(&cluster.urls()[first]).await;
    assert_eq!(messages(&client, "kept").await, 2);
}

fn leader(cluster: &NatsCluster, accept: impl Fn(usize) -> bool) -> usize {
    let start = Instant::now();
    loop {
        if let Some(leader) = cluster.leader_of_stream("kept").filter(|&leader| accept(leader)) {
            return leader;
        }
        assert!(start.elapsed() < PATIENCE, "no leader in {} s", PATIENCE.as_secs());
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

async fn connect(url: &str) -> Client {
    async_nats::connect(url).await.unwrap()
}

async fn create_stream(client: &Client, name: &str, replicas: usize) {
    let config = stream::Config { name: name.to_owned(), num_replicas: replicas, ..Default::default() };
    jetstream::new(client.clone()).create_stream(config).await.unwrap();
}

/// On a stream that takes messages of its own name; returns when the server has kept it.
async fn publish(client: &Client, stream: &str) {
    jetstream::new(client.clone()).publish(stream.to_owned(), "x".into()).await.unwrap().await.unwrap();
}

async fn messages(client: &Client, stream: &str) -> u64 {
    let stream = jetstream::new(client.clone()).get_stream(stream).await.unwrap();
    stream.cached_info().state.messages
}
