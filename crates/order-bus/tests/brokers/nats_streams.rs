//! Streams that are not as one would think.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use order_application::{Broker, BrokerError, BrokerLog, Checkpoint, Position};
use order_bus::{NatsLog, NatsOptions};
use test_servers::NatsServer;

use crate::contract::{checkpoint, events, positions, publish, send, until_it_fails, within};
use crate::nats_support::{broker, config, everything, fresh_stream, open, wanted};

#[tokio::test]
async fn a_stream_is_made_as_the_url_says() {
    let (options, js) = fresh_stream("&max_age=1h&max_bytes=1GB").await;
    drop(open(&options, &Checkpoint::default()).await);
    let limited = config(&js, &options).await;
    assert_eq!((limited.max_age, limited.max_bytes), (Duration::from_secs(3600), 1 << 30));
    assert_eq!((limited.storage, limited.num_replicas), (StorageType::File, 1));
    assert_eq!(limited.discard, DiscardPolicy::Old, "limits were asked for");

    let (options, js) = fresh_stream("&max_age=30s").await;
    drop(open(&options, &Checkpoint::default()).await);
    let short = config(&js, &options).await;
    assert_eq!(short.max_age, Duration::from_secs(30), "less than the server's window for duplicates");

    let (options, js) = fresh_stream("").await;
    drop(open(&options, &Checkpoint::default()).await);
    let unlimited = config(&js, &options).await;
    assert_eq!((unlimited.max_age, unlimited.max_bytes), (Duration::ZERO, -1));
    assert_eq!((unlimited.max_messages, unlimited.max_messages_per_subject), (-1, -1));
    assert_eq!((unlimited.max_message_size, unlimited.max_consumers), (-1, -1));
    assert_eq!(unlimited.discard, DiscardPolicy::New, "nobody asked for anything to be dropped");
}

#[tokio::test]
async fn a_stream_that_is_there_is_taken_as_it_is() {
    let (options, js) = fresh_stream("&replicas=3&max_age=1h").await;
    let made = Config {
        storage: StorageType::Memory,
        max_messages: 1_000_000,
        discard: DiscardPolicy::New,
        ..wanted(&options)
    };
    js.create_stream(made).await.unwrap();
    let before = config(&js, &options).await;
    let mut opened = open(&options, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 10)).await.unwrap();
    assert_eq!(config(&js, &options).await, before);
}

#[tokio::test]
async fn a_stream_that_cannot_work_is_refused_in_one_line() {
    type Change = fn(&mut Config);
    let cases: [(&str, Change); 4] = [
        ("no_ack", |config| config.no_ack = true),
        ("sealed", |config| config.sealed = true),
        (".placed.>, and not", |config| {
            config.subjects = vec![format!("{}.placed.>", config.name.to_lowercase())]
        }),
        ("mirror", |config| {
            config.subjects = vec![];
            config.mirror =
                Some(jetstream::stream::Source { name: "elsewhere".into(), ..Default::default() });
        }),
    ];
    for (says, change) in cases {
        let (options, js) = fresh_stream("").await;
        let mut config = wanted(&options);
        let sealed = {
            change(&mut config);
            std::mem::take(&mut config.sealed)
        };
        js.create_stream(&config).await.unwrap();
        if sealed {
            js.update_stream(Config { sealed, ..config }).await.unwrap();
        }
        let error = broker(&options).open(&Checkpoint::default()).await.err().expect(says);
        let BrokerError::Misconfigured(why) = &error else { panic!("{says}: {error:?}") };
        assert!(why.contains(says) && !why.contains('\n'), "{why}");
    }
}

#[tokio::test]
async fn another_streams_subjects_are_not_taken() {
    let (options, js) = fresh_stream("").await;
    let taken = Config { name: format!("{}-OTHER", wanted(&options).name), ..wanted(&options) };
    js.create_stream(taken).await.unwrap();
    let error = broker(&options).open(&Checkpoint::default()).await.err().expect("the subjects overlap");
    let BrokerError::Misconfigured(why) = &error else { panic!("{error:?}") };
    assert!(why.contains("subject="), "{why}");
}

#[tokio::test]
async fn more_replicas_than_servers_are_refused() {
    let (options, _) = fresh_stream("&replicas=3").await;
    let error = broker(&options).open(&Checkpoint::default()).await.err().expect("there is one server");
    let BrokerError::Misconfigured(why) = &error else { panic!("{error:?}") };
    assert!(why.contains("replicas"), "{why}");
}

#[tokio::test]
async fn a_streams_limits_are_told_and_named() {
    let (options, js) = fresh_stream("").await;
    js.create_stream(Config { max_message_size: 2_000, ..wanted(&options) }).await.unwrap();
    let mut all = events(1, 30);
    all[9].data = format!(r#"{{"long":"{}"}}"#, "x".repeat(2_000)).into();
    let mut opened = open(&options, &Checkpoint::default()).await;
    send(&mut opened, &all).await.unwrap();
    let (reached, error) = until_it_fails(&mut opened).await;
    assert_eq!(reached, Position(9));
    let BrokerError::Refused { position: Position(10), why } = &error else { panic!("{error:?}") };
    assert!(why.contains("max_msg_size"), "{why}");
    assert_eq!(everything(&options).await, (1..=9).collect::<Vec<_>>(), "nothing after it");

    let (options, js) = fresh_stream("").await;
    let full = Config { max_messages: 20, discard: DiscardPolicy::New, ..wanted(&options) };
    js.create_stream(&full).await.unwrap();
    let mut opened = open(&options, &Checkpoint::default()).await;
    send(&mut opened, &events(1, 30)).await.unwrap();
    let (reached, error) = until_it_fails(&mut opened).await;
    assert_eq!(reached, Position(20));
    let BrokerError::Unavailable(why) = &error else { panic!("{error:?}") };
    assert!(why.contains("maximum messages exceeded"), "{why}");
    let kept = checkpoint(20, &opened);
    js.update_stream(Config { max_messages: -1, ..full }).await.unwrap();
    let mut opened = open(&options, &kept).await;
    publish(&mut opened, &events(21, 30)).await.unwrap();
    assert_eq!(everything(&options).await, (1..=30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_purged_stream_has_forgotten_nothing() {
    let (options, js) = fresh_stream("").await;
    let mut opened = open(&options, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 40)).await.unwrap();
    let kept = checkpoint(40, &opened);
    js.get_stream(&wanted(&options).name).await.unwrap().purge().await.unwrap();
    opened.publication.check().await.unwrap();
    let mut opened = open(&options, &kept).await;
    assert_eq!(opened.resume_after, Position(40));
    publish(&mut opened, &events(41, 50)).await.unwrap();
    assert_eq!(everything(&options).await, (41..=50).collect::<Vec<_>>());
    // What was purged comes again if it is asked for, though the stream still knows its ids.
    let mut opened = open(&options, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 50)).await.unwrap();
    assert_eq!(everything(&options).await.len(), 10 + 50);
}

#[tokio::test]
async fn a_stream_that_is_made_anew_is_noticed_on_the_same_connection() {
    let (options, js) = fresh_stream("").await;
    let mut opened = open(&options, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 40)).await.unwrap();
    let kept = checkpoint(40, &opened);
    let mut reader = NatsLog::new(options.clone()).open(None).await.unwrap();
    let bookmark = reader.bookmark(&[Some(41)]);
    js.delete_stream(&wanted(&options).name).await.unwrap();
    let mut other = open(&options, &kept).await;
    assert_eq!(other.resume_after, Position::START);
    publish(&mut other, &events(1, 50)).await.unwrap();

    let error = opened.publication.check().await.unwrap_err();
    assert!(matches!(error, BrokerError::OutOfStep(_)), "{error:?}");
    let error = within(async {
        loop {
            if let Err(error) = reader.next().await {
                return error;
            }
        }
    })
    .await;
    assert!(matches!(error, BrokerError::Unavailable(_)), "{error:?}");
    let mut reader = NatsLog::new(options.clone()).open(Some(&bookmark)).await.unwrap();
    assert_eq!(positions(&reader.next().await.unwrap())[0], 1, "the bookmark was of another stream");
}

#[tokio::test]
async fn events_among_other_messages_are_read_and_what_is_none_is_told() {
    let (options, js) = fresh_stream("").await;
    let prefix = wanted(&options).name.to_lowercase();
    let shared =
        Config { subjects: vec![format!("{prefix}.>"), format!("other-{prefix}")], ..wanted(&options) };
    js.create_stream(shared).await.unwrap();
    let mut opened = open(&options, &Checkpoint::default()).await;
    publish(&mut opened, &events(1, 3)).await.unwrap();
    js.publish(format!("other-{prefix}"), "x".into()).await.unwrap().await.unwrap();
    js.publish(format!("{prefix}.note"), "x".into()).await.unwrap().await.unwrap();
    let mut reader = NatsLog::new(options).open(None).await.unwrap();
    let deliveries = crate::contract::read(&mut *reader, 4).await;
    assert_eq!(positions(&deliveries[..3]), [1, 2, 3]);
    assert_eq!(deliveries[3].offset, 5);
    assert_eq!(deliveries[3].event, Err("it has no headers".to_owned()));
}

#[tokio::test]
async fn whoever_goes_leaves_no_connection_behind() {
    let server = NatsServer::start(&test_servers::NatsOptions::default()).unwrap();
    let options = NatsOptions::parse(&server.url()).unwrap();
    for round in 0..5 {
        let resumed = Checkpoint { position: Position(round), evidence: None };
        let mut opened = open(&options, &resumed).await;
        publish(&mut opened, &events(round + 1, round + 1)).await.unwrap();
        let mut reader = NatsLog::new(options.clone()).open(None).await.unwrap();
        assert!(!reader.next().await.unwrap().is_empty());
        assert!(connections(&server) >= 2);
    }
    within(async {
        while connections(&server) > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// How many clients a server has.
fn connections(server: &NatsServer) -> u64 {
    let address = server.monitor_url().replace("http://", "");
    let mut monitor = TcpStream::connect(address).unwrap();
    monitor.write_all(b"GET /connz HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    monitor.read_to_string(&mut answer).unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str::<serde_json::Value>(body).unwrap()["num_connections"].as_u64().unwrap()
}
