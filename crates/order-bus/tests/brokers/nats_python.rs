//! What another language's client sees.

use std::collections::BTreeMap;
use std::process::Command;

use order_application::{Broker, Checkpoint, cloud_event};
use order_bus::NatsBroker;
use serde_json::Value;
use test_servers::{NatsServer, python_packages};

use crate::contract::{events, previous_id, publish};
use crate::nats::{SOURCE, fresh};

/// A client, the CloudEvents SDK, and what these need.
const PACKAGES: &[&str] =
    &["nats-py==2.16.0", "cloudevents==2.2.0", "python-dateutil==2.9.0.post0", "six==1.17.0"];

#[tokio::test]
async fn another_client_and_the_cloudevents_sdk_see_the_same() {
    let url = NatsServer::shared().unwrap().url();
    let options = fresh(&url, "");
    let stream = options.name().trim_start_matches("nats/").to_owned();
    let prefix = stream.to_lowercase();
    let mut opened = NatsBroker::new(options, SOURCE).open(&Checkpoint::default()).await.unwrap();
    publish(&mut opened, &events(1, 20)).await.unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/brokers/nats_python.py");
    let python = Command::new("python3")
        .args([script, &url, &stream, &format!("{prefix}.>"), "20"])
        .env("PYTHONPATH", python_packages(PACKAGES).unwrap())
        .output()
        .unwrap();
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    let printed = String::from_utf8(python.stdout).unwrap();
    assert_eq!(printed.lines().count(), 20);
    for (line, event) in printed.lines().zip(events(1, 20)) {
        let seen: Value = serde_json::from_str(line).unwrap();
        let word = event.event_type.split('.').nth(1).unwrap();
        let id = event.order_id.as_str().replace('.', "%2E");
        assert_eq!(seen["subject"], format!("{prefix}.{word}.{id}"));
        let previous_id = previous_id(event.position.0);
        let mut attributes: BTreeMap<_, _> = cloud_event::attributes(SOURCE, &event, previous_id).collect();
        attributes.insert("datacontenttype".into(), cloud_event::DATA_CONTENT_TYPE.into());
        // As Python shows a time.
        attributes.insert("time".into(), "2026-01-01 00:00:00.123456+00:00".into());
        let seen_attributes: BTreeMap<String, String> =
            serde_json::from_value(seen["attributes"].clone()).unwrap();
        let sent: BTreeMap<_, _> =
            attributes.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        assert_eq!(seen_attributes, sent);
        let named = seen_attributes.get("previousid").cloned();
        assert_eq!(named, previous_id.map(|id| id.to_string()), "of the event {}", event.position);
        assert_eq!(seen["data"], serde_json::from_str::<Value>(&event.data).unwrap());
    }
}
