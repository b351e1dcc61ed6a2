//! A server's configuration file.

use std::path::Path;

use super::options::{KafkaOptions, Sasl, User};
use crate::server::STORE;

/// Where one server listens on 127.0.0.1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) clients: u16,
    /// For the other servers and for this crate: never TLS, nor a user.
    pub(super) internal: u16,
    /// For the quorum of controllers.
    pub(super) controller: u16,
}

/// The key and the certificate, beside the configuration.
pub(super) const KEY_AND_CERTIFICATE: &str = "server.pem";

/// What every server has, unless it is set otherwise.
const ALWAYS: &[(&str, &str)] = &[
    // Broker and controller at once.
    ("process.roles", "broker,controller"),
    ("inter.broker.listener.name", "INTERNAL"),
    ("controller.listener.names", "CONTROLLER"),
    // A misspelt name is an error.
    ("auto.create.topics.enable", "false"),
    ("num.partitions", "3"),
    // Of the topics that it makes itself: fewer files.
    ("offsets.topic.num.partitions", "1"),
    ("transaction.state.log.num.partitions", "1"),
    ("share.coordinator.state.topic.num.partitions", "1"),
    // A group's first member does not wait for more.
    ("group.initial.rebalance.delay.ms", "0"),
    // A killed server is missed after 4 s instead of 9 s.
    ("broker.session.timeout.ms", "4000"),
    ("broker.heartbeat.interval.ms", "500"),
    // A small machine, and many servers on it.
    ("num.network.threads", "2"),
    ("num.io.threads", "2"),
    ("background.threads", "2"),
    ("log.cleaner.dedupe.buffer.size", "4194304"),
    ("log.segment.bytes", "16777216"),
    ("log.index.size.max.bytes", "1048576"),
];

/// The configuration of the server `node`, which lies in `directory`, among `all` servers, itself included.
pub(super) fn configuration(options: &KafkaOptions, directory: &Path, node: usize, all: &[Ports]) -> String {
    let mut text = String::new();
    let mut set = |name: &str, value: &str| text.push_str(&property(name, value));
    ALWAYS.iter().for_each(|(name, value)| set(name, value));
    set("node.id", &node.to_string());
    set("log.dirs", &directory.join(STORE).display().to_string());
    let Ports { clients, internal, controller } = all[node];
    set(
        "listeners",
        &format!(
            "CLIENTS://127.0.0.1:{clients},INTERNAL://127.0.0.1:{internal},CONTROLLER://127.0.0.1:{controller}"
        ),
    );
    if let Some(port) = options.clients_go_to {
        set("advertised.listeners", &format!("CLIENTS://127.0.0.1:{port},INTERNAL://127.0.0.1:{internal}"));
    }
    let clients = protocol(options);
    set(
        "listener.security.protocol.map",
        &format!("CLIENTS:{clients},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"),
    );
    let voter = |(node, ports): (usize, &Ports)| format!("{node}@127.0.0.1:{}", ports.controller);
    // A fixed list, in which a server with an empty store takes its place again.
    set("controller.quorum.voters", &all.iter().enumerate().map(voter).collect::<Vec<_>>().join(","));
    replicate(all.len(), &mut set);
    if let Some(user) = &options.user {
        set("listener.name.clients.sasl.enabled.mechanisms", user.mechanism.name());
        let mechanism = user.mechanism.name().to_lowercase();
        set(&format!("listener.name.clients.{mechanism}.sasl.jaas.config"), &login(user));
    }
    if options.certificate.is_some() {
        set("listener.name.clients.ssl.keystore.type", "PEM");
        let file = directory.join(KEY_AND_CERTIFICATE);
        set("listener.name.clients.ssl.keystore.location", &file.display().to_string());
    }
    options.settings.iter().for_each(|(name, value)| set(name, value));
    text
}

/// A line as `java.util.Properties` reads it.
pub(super) fn property(name: &str, value: &str) -> String {
    format!("{name}={}\n", value.replace('\\', "\\\\"))
}

/// Three copies, of which two are written before an acknowledgement; as many as there are servers for.
fn replicate(servers: usize, set: &mut impl FnMut(&str, &str)) {
    let copies = servers.min(3).to_string();
    let written = servers.min(3).div_ceil(2).to_string();
    let topics = ["offsets.topic", "transaction.state.log", "share.coordinator.state.topic"]
        .map(|topic| (format!("{topic}.replication.factor"), copies.as_str()));
    topics.iter().for_each(|(name, value)| set(name, value));
    set("default.replication.factor", &copies);
    for name in
        ["min.insync.replicas", "transaction.state.log.min.isr", "share.coordinator.state.topic.min.isr"]
    {
        set(name, &written);
    }
}

fn protocol(options: &KafkaOptions) -> &'static str {
    match (options.user.is_some(), options.certificate.is_some()) {
        (false, false) => "PLAINTEXT",
        (false, true) => "SSL",
        (true, false) => "SASL_PLAINTEXT",
        (true, true) => "SASL_SSL",
    }
}

fn login(User { mechanism, name, password }: &User) -> String {
    match mechanism {
        Sasl::Plain => {
            let password = password.replace('\\', "\\\\").replace('"', "\\\"");
            format!(
                "org.apache.kafka.common.security.plain.PlainLoginModule required user_{name}=\"{password}\";"
            )
        }
        // The users are in the store.
        Sasl::ScramSha256 | Sasl::ScramSha512 => {
            "org.apache.kafka.common.security.scram.ScramLoginModule required;".to_owned()
        }
    }
}
