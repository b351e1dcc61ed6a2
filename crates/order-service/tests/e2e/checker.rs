//! Holds a server to what its clients were told: every acknowledged command is there, none is there by half, and what is
//! read is the fold of what is stored.
//!
//! Each breach is an `Err`, so that a test can also ask whether a planted fault is found.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::http::Client;
use crate::load::{Claim, STEPS};
use crate::server::{Program, Server};

type Checked<T = ()> = Result<T, String>;

fn ensure(holds: bool, breach: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(breach()) }
}

/// An order as the log tells it, and its view as that makes it.
struct Folded {
    events: Vec<Value>,
    view: String,
}

/// Checks the orders of `claims`, whose events all come after `position` in the log, and nobody else's do. Answers
/// with the log's last position.
pub(crate) fn check(server: &Server, position: u64, claims: &[Claim]) -> Checked<u64> {
    let mut client = server.connect();
    let (head, mut streams) = streams_of_log(&mut client, position)?;
    for claim in claims {
        if let Some(answer) = &claim.contradiction {
            return Err(format!("what was acknowledged does not hold: {answer}"));
        }
        let stored = match streams.remove(&claim.order_id) {
            Some(events) => Some(fold(claim, events)?),
            None => None,
        };
        let count = stored.as_ref().map_or(0, |stored| stored.events.len());
        ensure((claim.acknowledged..=claim.attempted).contains(&count), || {
            format!("{claim:?} has {count} events in the store")
        })?;
        check_reads(&mut client, claim, stored.as_ref())?;
    }
    ensure(streams.is_empty(), || format!("nobody asked for {:?}", streams.keys()))?;
    Ok(head)
}

/// Everything after a position, by order.
fn streams_of_log(client: &mut Client, position: u64) -> Checked<(u64, HashMap<String, Vec<Value>>)> {
    let mut streams: HashMap<String, Vec<Value>> = HashMap::new();
    let mut head = position;
    loop {
        let page = read(client, &format!("/events?limit=1000&after={head}"))?;
        let events = page.as_array().cloned().unwrap_or_default();
        if events.is_empty() {
            return Ok((head, streams));
        }
        for event in events {
            ensure(number(&event, "position") == Some(head + 1), || {
                format!("position {} follows on {head}", event["position"])
            })?;
            head += 1;
            streams.entry(text(&event, "subject")).or_default().push(event);
        }
    }
}

/// Folds an order's events, each of which must be the whole of the command with its number.
fn fold(claim: &Claim, events: Vec<Value>) -> Checked<Folded> {
    for (index, event) in events.iter().enumerate() {
        let step = STEPS.get(index).ok_or_else(|| format!("{} has too many events", claim.order_id))?;
        let whole = number(event, "version") == Some(index as u64 + 1)
            && event["type"] == step.event_type
            && event["data"][step.id_field] == claim.own_id(index);
        ensure(whole, || format!("{} is not {} of {}", event, step.event_type, claim.order_id))?;
    }
    let (Some(step), Some(last)) = (STEPS.get(events.len() - 1), events.last()) else {
        return Err(format!("{} has no events", claim.order_id));
    };
    let updated: jiff::Timestamp = text(last, "time").parse().map_err(|error| format!("{last}: {error}"))?;
    let view = format!(
        r#"{{"OrderID":"{}","CustomerID":"{}","Status":"{}","TotalCents":{},"LastUpdated":{}}}"#,
        claim.order_id,
        claim.own_id(0),
        step.status,
        claim.total_cents,
        updated.as_second()
    );
    Ok(Folded { events, view })
}

fn check_reads(client: &mut Client, claim: &Claim, stored: Option<&Folded>) -> Checked {
    let path = format!("/orders/{}", claim.order_id);
    let answer = client.get(&path).map_err(|error| format!("{path}: {error}"))?;
    let Some(stored) = stored else {
        return ensure(answer.status == 404, || format!("{path} has no events and reads {answer:?}"));
    };
    ensure(
        answer.status == 200
            && answer.text() == stored.view
            && answer.version() == Some(stored.events.len() as u64),
        || format!("{path} reads {answer:?}, its events make {}", stored.view),
    )?;
    let history = read(client, &format!("{path}/events"))?;
    ensure(history.as_array() == Some(&stored.events), || format!("{path}/events reads {history}"))
}

/// Every order is listed once, in placement order, as it reads by itself. Answers with their number.
pub(crate) fn check_list(server: &Server) -> Checked<usize> {
    let mut client = server.connect();
    let mut listed = HashSet::new();
    let mut next = Some("/orders?limit=1000".to_owned());
    while let Some(path) = next {
        let answer = client.get(&path).map_err(|error| format!("{path}: {error}"))?;
        ensure(answer.status == 200, || format!("{path}: {answer:?}"))?;
        for order in answer.json().as_array().into_iter().flatten() {
            let order_id = text(order, "OrderID");
            ensure(listed.insert(order_id.clone()), || format!("{order_id} is listed twice"))?;
        }
        next = answer
            .header("link")
            .and_then(|link| Some(link.split_once('>')?.0.trim_start_matches('<').to_owned()));
    }
    Ok(listed.len())
}

/// `verify` on a store whose server has ended.
pub(crate) fn verify(directory: &std::path::Path) -> Checked {
    let ended = Program::new(["verify"]).argument("--data-dir", directory).run();
    ensure(ended.status == Some(0), || format!("verify: {ended:?}"))
}

fn read(client: &mut Client, path: &str) -> Checked<Value> {
    let answer = client.get(path).map_err(|error| format!("{path}: {error}"))?;
    ensure(answer.status == 200, || format!("{path}: {answer:?}"))?;
    Ok(answer.json())
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

/// A decimal string, as CloudEvents have large integers.
fn number(event: &Value, field: &str) -> Option<u64> {
    event[field].as_str()?.parse().ok()
}
