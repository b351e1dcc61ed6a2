//! One key sent to two instances at once.

use std::collections::HashSet;
use std::thread;

use test_servers::{PostgresOptions, PostgresServer};

use super::scenario::serving;
use crate::http::{Client, post_under};

const ORDER: &str = r#"{"customer_id":"c","items":[{"SKU":"s","Quantity":1,"UnitPriceCents":100}]}"#;
const KEYS: usize = 40;

#[test]
fn a_key_that_comes_to_two_instances_at_once_places_one_order() {
    let database = PostgresServer::start(PostgresOptions::durable()).unwrap();
    let (one, other) = (serving(&database.url()).start(), serving(&database.url()).start());
    let ports = [one.port(), one.port(), other.port(), other.port()];
    for key in 0..KEYS {
        let clients = ports.map(|port| {
            thread::spawn(move || {
                let mut client = Client::connect(port).unwrap();
                client.send(post_under(&format!("key-{key}"), "/orders", ORDER).as_bytes()).unwrap();
                client.answer().unwrap()
            })
        });
        let answers = clients.map(|client| client.join().unwrap());
        for answer in &answers {
            assert_eq!((answer.status, answer.version()), (201, Some(1)), "{}", answer.text());
        }
        let ids: HashSet<_> = answers.iter().map(|answer| answer.json()["order_id"].to_string()).collect();
        assert_eq!(ids.len(), 1, "{answers:?}");
        let first = answers.iter().filter(|answer| answer.header("idempotent-replayed").is_none());
        assert_eq!(first.count(), 1, "{answers:?}");
    }
    assert_eq!(one.get("/orders?limit=1000").json().as_array().unwrap().len(), KEYS);
    one.stop();
    other.stop();
}
