//! A stream that was there already is taken as it is, if it can be.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Info, PersistenceMode, RetentionPolicy, StorageType,
};
use order_application::BrokerError;

use super::options::NatsOptions;

/// What does not work is an error; what works, but otherwise than one may think, a warning.
pub(super) fn check(options: &NatsOptions, info: &Info, warnings: &Warnings) -> Result<(), BrokerError> {
    let config = &info.config;
    let stream = &options.stream;
    if let Some(why) = obstacle(options, config) {
        return Err(BrokerError::Misconfigured(format!("the stream {stream} {why}")));
    }
    for peculiarity in peculiarities(options, config) {
        warnings.warn(format!("the stream {stream} {peculiarity}"));
    }
    Ok(())
}

fn obstacle(options: &NatsOptions, config: &Config) -> Option<String> {
    let subject = &options.subject;
    if config.mirror.is_some() {
        return Some("is a mirror: nobody can publish to it".to_owned());
    }
    if config.sealed {
        return Some("is sealed: it takes nothing more".to_owned());
    }
    if config.no_ack {
        return Some("acknowledges nothing (no_ack), so that nobody knows what has arrived".to_owned());
    }
    if !config.subjects.iter().any(|filter| takes_all(filter, subject)) {
        let subjects = config.subjects.join(", ");
        return Some(format!(
            "takes {subjects}, and not {subject}.>: add that to its subjects, or set subject="
        ));
    }
    None
}

fn peculiarities(options: &NatsOptions, config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |applies: bool, text: &str| {
        if applies {
            found.push(text.to_owned());
        }
    };
    add(
        config.storage == StorageType::Memory,
        "is kept in memory: it is empty after a restart, and published again",
    );
    add(
        config.discard == DiscardPolicy::New && (config.max_bytes > 0 || config.max_messages > 0),
        "refuses new messages when it is full (discard: new): publishing stops then, until there is room",
    );
    add(
        config.discard == DiscardPolicy::Old && config.max_messages_per_subject > 0,
        "keeps only some messages of each subject (max_msgs_per_subject): events of an order may be dropped",
    );
    add(
        config.retention != RetentionPolicy::Limits,
        "drops what its consumers have had (retention): a replica cannot read it from the beginning",
    );
    add(
        config.persist_mode == Some(PersistenceMode::Async),
        "acknowledges before it writes (persist_mode: async): after a crash events are missing until they are published \
         again",
    );
    add(
        config.num_replicas == 1,
        "is on one server, which acknowledges before it syncs to its disk, unless its jetstream block says \
         `sync_interval: always`: after a loss of power the last two minutes are missing until they are published again; \
         three replicas do without",
    );
    let (replicas, wanted) = (config.num_replicas, options.replicas);
    add(replicas != wanted, &format!("has {replicas} replicas, not {wanted}: it was there already"));
    found
}

/// Warnings that were given, so that each is given once for as long as the process runs.
#[derive(Default)]
pub(super) struct Warnings(Mutex<HashSet<String>>);

impl Warnings {
    fn warn(&self, text: String) {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if given.insert(text.clone()) {
            tracing::warn!("{text}");
        }
    }
}

/// Whether a stream's subject takes every subject of two words after the prefix.
fn takes_all(filter: &str, prefix: &str) -> bool {
    let mut subject = prefix.split('.').chain(["*", "*"]);
    for word in filter.split('.') {
        if word == ">" {
            return subject.next().is_some();
        }
        match subject.next() {
            Some(own) if word == "*" || word == own => {}
            _ => return false,
        }
    }
    subject.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streams_subject_must_take_every_event() {
        for (filter, prefix, expected) in [
            ("orders.>", "orders", true),
            ("orders.*.*", "orders", true),
            (">", "orders", true),
            ("*.>", "orders", true),
            ("eu.orders.>", "eu.orders", true),
            ("eu.>", "eu.orders", true),
            ("orders.*", "orders", false),
            ("orders.placed.*", "orders", false),
            ("orders.*.*.*", "orders", false),
            ("orders.*.*.>", "orders", false),
            ("order.>", "orders", false),
            ("orders", "orders", false),
        ] {
            assert_eq!(takes_all(filter, prefix), expected, "{filter} for {prefix}");
        }
    }
}
