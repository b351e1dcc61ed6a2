//! A stream that was there already is taken as it is, if it can be.

use std::sync::Once;

use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Info, PersistenceMode, RetentionPolicy, StorageType,
};
use order_application::{BrokerError, MAX_MESSAGE_BYTES};

use super::options::NatsOptions;

/// What does not work is an error; what works, but otherwise than one may think, a warning, which is given once.
///
/// `max_payload` is the most bytes of any message that the server takes.
pub(super) fn check(
    options: &NatsOptions,
    info: &Info,
    max_payload: usize,
    warned: &Once,
) -> Result<(), BrokerError> {
    let config = &info.config;
    let stream = &options.stream;
    if let Some(why) = obstacle(options, config) {
        return Err(BrokerError::Misconfigured(format!("the stream {stream} {why}")));
    }
    warned.call_once(|| {
        for peculiarity in peculiarities(options, config) {
            tracing::warn!("the stream {stream} {peculiarity}");
        }
        if max_payload < MAX_MESSAGE_BYTES {
            tracing::warn!(
                max_payload,
                largest_event_bytes = MAX_MESSAGE_BYTES,
                "NATS does not take the largest events: raise max_payload in its configuration"
            );
        }
    });
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
    let (replicas, wanted) = (config.num_replicas, options.replicas);
    let all = [
        (
            config.storage == StorageType::Memory,
            "is kept in memory: it is empty after a restart, and published again",
        ),
        (
            config.discard == DiscardPolicy::New && (config.max_bytes > 0 || config.max_messages > 0),
            "refuses new messages when it is full (discard: new): publishing stops then, until there is room",
        ),
        (
            config.discard == DiscardPolicy::Old && config.max_messages_per_subject > 0,
            "keeps only some messages of each subject (max_msgs_per_subject): events of an order may be dropped",
        ),
        (
            config.retention != RetentionPolicy::Limits,
            "drops what its consumers have had (retention): a replica cannot read it from the beginning",
        ),
        (
            config.persist_mode == Some(PersistenceMode::Async),
            "acknowledges before it writes (persist_mode: async): after a crash events are missing until they are \
             published again",
        ),
        (
            replicas == 1,
            "is on one server, which acknowledges before it syncs to its disk, unless its jetstream block says \
             `sync_interval: always`: after a loss of power the last two minutes are missing until they are published \
             again; three replicas do without",
        ),
        (
            usize::try_from(config.max_message_size)
                .is_ok_and(|bytes| (1..MAX_MESSAGE_BYTES).contains(&bytes)),
            &format!(
                "takes messages of {} bytes, and the largest event comes to {MAX_MESSAGE_BYTES}: raise its max_msg_size",
                config.max_message_size
            ),
        ),
        (replicas != wanted, &format!("was there already, with replicas={replicas} and not {wanted}")),
    ];
    all.into_iter().filter(|(applies, _)| *applies).map(|(_, text)| text.to_owned()).collect()
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

    #[test]
    fn what_may_surprise_is_warned_of() {
        let options = NatsOptions::parse("nats://h?replicas=3").unwrap();
        let fine = Config { num_replicas: 3, storage: StorageType::File, ..Config::default() };
        assert_eq!(peculiarities(&options, &fine), [""; 0]);
        let limited = Config { max_bytes: 1, discard: DiscardPolicy::Old, ..fine.clone() };
        assert_eq!(peculiarities(&options, &limited), [""; 0], "who made it wanted it so");
        for (config, says) in [
            (Config { storage: StorageType::Memory, ..fine.clone() }, "memory"),
            (Config { max_bytes: 1, discard: DiscardPolicy::New, ..fine.clone() }, "refuses new messages"),
            (Config { max_message_size: 100_000, ..fine.clone() }, "raise its max_msg_size"),
            (Config { max_messages_per_subject: 1, ..fine.clone() }, "max_msgs_per_subject"),
            (Config { retention: RetentionPolicy::WorkQueue, ..fine.clone() }, "retention"),
            (Config { persist_mode: Some(PersistenceMode::Async), ..fine.clone() }, "persist_mode"),
        ] {
            let found = peculiarities(&options, &config);
            assert!(found.len() == 1 && found[0].contains(says), "{found:?}");
        }
        let alone = peculiarities(&options, &Config { num_replicas: 1, ..fine });
        assert!(
            alone[0].contains("sync_interval: always") && alone[1].contains("replicas=1 and not 3"),
            "{alone:?}"
        );
    }
}
