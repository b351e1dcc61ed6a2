//! What a consumer may rely on, whatever happened to service and broker: each order's events come in order, at least once,
//! and as they are in the log.

use std::collections::HashMap;
use std::iter;

use super::channel::Channel;
use super::event::{Event, Message};

/// A promise, by what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Rule {
    /// The events of an order come for the first time as its versions 1, 2, …
    Order,
    /// What comes again is what came before, to the byte.
    Repetition,
    /// What is in the log comes.
    Missing,
    /// What comes is in the log, as it comes.
    Unknown,
    /// It names the event before it in the log.
    Previous,
    /// It comes where consumers of an order, or of a kind of event, look for it.
    Address,
}

/// A promise that was not kept.
#[derive(Debug)]
pub(crate) struct Breach {
    pub(crate) rule: Rule,
    what: String,
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

/// Holds what a consumer got, from the beginning, against the log.
pub(crate) fn check(log: &[Event], channel: &Channel, messages: &[Message]) -> Vec<Breach> {
    let mut found = Vec::new();
    let mut breach = |rule, what| found.push(Breach { rule, what });
    let before = iter::once(None).chain(log.iter().map(|event| Some(event.attribute("id"))));
    let by_id: HashMap<&str, (&Event, Option<&str>)> =
        log.iter().zip(before).map(|(event, before)| (event.attribute("id"), (event, before))).collect();
    let mut first_of: HashMap<(&str, u64), &Message> = HashMap::new();
    let mut versions: HashMap<&str, u64> = HashMap::new();
    for (place, message) in messages.iter().enumerate() {
        let Message { event, address, previous_id } = message;
        let name = || format!("message {place}, version {} of {}", event.version(), event.order());
        match by_id.get(event.attribute("id")) {
            None => breach(Rule::Unknown, format!("{} is not in the log: {event:?}", name())),
            Some((logged, _)) if *logged != event => {
                breach(Rule::Unknown, format!("{} is {event:?}, and in the log {logged:?}", name()));
            }
            Some((_, before)) if *before != previous_id.as_deref() => {
                let what = format!("{} comes after {before:?}, and names {previous_id:?}", name());
                breach(Rule::Previous, what);
            }
            Some(_) => {}
        }
        let wanted = channel.address(event);
        if *address != wanted {
            breach(Rule::Address, format!("{} came to {address}, not to {wanted}", name()));
        }
        if let Some(first) = first_of.get(&(event.order(), event.version())) {
            if *first != message {
                breach(Rule::Repetition, format!("{} is {message:?}, and was {first:?}", name()));
            }
            continue;
        }
        first_of.insert((event.order(), event.version()), message);
        let before = versions.insert(event.order(), event.version()).unwrap_or_default();
        if event.version() != before + 1 {
            breach(Rule::Order, format!("{} comes after version {before}", name()));
        }
    }
    for event in log {
        if !first_of.contains_key(&(event.order(), event.version())) {
            let (position, order) = (event.position(), event.order());
            breach(
                Rule::Missing,
                format!("position {position}, version {} of {order}, has not come", event.version()),
            );
        }
    }
    found
}

/// The first of them are enough to read.
const SHOWN: usize = 8;

#[track_caller]
pub(crate) fn assert_none(channel: &Channel, breaches: &[Breach]) {
    let shown: Vec<String> = breaches.iter().take(SHOWN).map(Breach::to_string).collect();
    assert!(breaches.is_empty(), "{} breaches of {}:\n{}", breaches.len(), channel.name, shown.join("\n"));
}

// Not `#[cfg(test)]`: all of this is.
mod tests;
