//! The log as the service tells it: the truth that brokers are held to.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::event::Event;
use crate::server::Server;

/// All events, in the log's order.
#[track_caller]
pub(crate) fn log(server: &Server) -> Vec<Event> {
    let mut client = server.connect();
    let mut log: Vec<Event> = Vec::new();
    loop {
        let after = log.last().map_or(0, Event::position);
        let answer = client.get(&format!("/events?limit=1000&after={after}")).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let page: Vec<BTreeMap<String, Box<RawValue>>> = serde_json::from_slice(&answer.body).unwrap();
        if page.is_empty() {
            return log;
        }
        log.extend(page.into_iter().map(event));
    }
}

/// The bytes of the data are as they came.
fn event(mut members: BTreeMap<String, Box<RawValue>>) -> Event {
    let data = members.remove("data").map(|data| data.get().as_bytes().to_vec()).unwrap_or_default();
    let text = |(name, value): (String, Box<RawValue>)| (name, serde_json::from_str(value.get()).unwrap());
    Event { attributes: members.into_iter().map(text).collect(), data }
}
