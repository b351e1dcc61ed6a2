//! The log as it is after a run, with every order as it was after each of its events.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::breach::{Breach, Rule};
use super::history::{Action, Command, History};
use super::model::{Order, Verdict};
use crate::http::Client;
use crate::server::Server;

/// An event of the log.
pub(crate) struct Entry {
    pub(crate) position: u64,
    pub(crate) event_id: String,
    pub(crate) version: u64,
    /// When it happened, in whole seconds.
    pub(crate) seconds: i64,
    pub(crate) command: Arc<Command>,
}

/// An order's life.
#[derive(Default)]
pub(crate) struct Life {
    /// Positions of its events, ascending.
    pub(crate) positions: Vec<u64>,
    /// What it was after each of them, and before the first.
    pub(crate) states: Vec<Order>,
    pub(crate) updated_seconds: i64,
}

pub(crate) struct Log {
    pub(crate) entries: Vec<Entry>,
    pub(crate) orders: HashMap<String, Life>,
    /// In the order of placement.
    pub(crate) placed: Vec<String>,
    /// Where a command's event is.
    pub(crate) positions: HashMap<Arc<Command>, u64>,
}

/// All events, as an instance tells them.
pub(crate) fn read(server: &Server) -> Vec<Value> {
    let mut client = server.connect();
    let mut events: Vec<Value> = Vec::new();
    while let Some(page) = page_after(&mut client, events.last()) {
        events.extend(page);
    }
    events
}

/// The last position.
pub(crate) fn head(server: &Server) -> u64 {
    read(server).last().map_or(0, |event| number(event, "position"))
}

fn page_after(client: &mut Client, last: Option<&Value>) -> Option<Vec<Value>> {
    let after = last.and_then(|event| event["position"].as_str()).unwrap_or("0");
    let answer = client.get(&format!("/events?limit=1000&after={after}")).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let Value::Array(page) = answer.json() else { panic!("a page is an array: {answer:?}") };
    (!page.is_empty()).then_some(page)
}

impl Log {
    /// Follows the log event by event, and notes what no log should be like.
    pub(crate) fn follow(events: &[Value], history: &History, breaches: &mut Vec<Breach>) -> Self {
        let sent: HashSet<Arc<Command>> =
            history.requests.iter().map(|request| Arc::clone(&request.command)).collect();
        let by_name: HashMap<(Action, &str, &str), &Arc<Command>> = sent
            .iter()
            .map(|command| ((command.action, &*command.order_id, &*command.own_id), command))
            .collect();
        let mut log = Self {
            entries: Vec::new(),
            orders: HashMap::new(),
            placed: Vec::new(),
            positions: HashMap::new(),
        };
        for (event, expected) in events.iter().zip(1..) {
            let name = name(event);
            let Some(&command) = name.as_ref().and_then(|(action, order_id, own_id)| {
                by_name.get(&(*action, order_id.as_str(), own_id.as_str()))
            }) else {
                breaches.push(Breach::new(Rule::Unasked, format!("nobody asked for {event}")));
                continue;
            };
            let entry = Entry {
                position: number(event, "position"),
                version: number(event, "version"),
                event_id: event["id"].as_str().unwrap_or_default().to_owned(),
                seconds: event["time"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_second(),
                command: Arc::clone(command),
            };
            if entry.position != expected {
                let what = format!("position {} is in place {expected}", entry.position);
                breaches.push(Breach::new(Rule::Positions, what));
            }
            log.add(entry, breaches);
        }
        log
    }

    fn add(&mut self, entry: Entry, breaches: &mut Vec<Breach>) {
        let Entry { position, version, ref command, .. } = entry;
        if let Some(earlier) = self.positions.insert(Arc::clone(command), position) {
            let what = format!("{command:?} is at {earlier} and at {position}");
            breaches.push(Breach::new(Rule::Twice, what));
        }
        let life = self.orders.entry(command.order_id.clone()).or_insert_with(|| {
            self.placed.push(command.order_id.clone());
            Life { states: vec![Order::default()], ..Life::default() }
        });
        let Some(before) = life.states.last() else { unreachable!("invariant: there is a first state") };
        if version != before.version + 1 {
            let what = format!("version {version} of {} follows on {}", command.order_id, before.version);
            breaches.push(Breach::new(Rule::Versions, what));
        }
        let verdict = before.judge(command);
        if verdict != Verdict::Done {
            let what = format!("{command:?} was done on {before:?}, where it is {verdict:?}");
            breaches.push(Breach::new(Rule::Decision, what));
        }
        let after = before.after(command);
        life.states.push(after);
        life.positions.push(position);
        life.updated_seconds = entry.seconds;
        self.entries.push(entry);
    }
}

/// Whose event it is, by what stands in its data.
fn name(event: &Value) -> Option<(Action, String, String)> {
    let action = Action::ALL.into_iter().find(|action| event["type"] == action.event_type())?;
    let own_id = event["data"][action.id_field()].as_str()?;
    Some((action, event["subject"].as_str()?.to_owned(), own_id.to_owned()))
}

fn number(event: &Value, field: &str) -> u64 {
    event[field].as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}
