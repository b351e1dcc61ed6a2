//! A running server, or several: where they are, and who leads.

use std::sync::OnceLock;

use anyhow::{Context, Result};
use serde_json::Value;

use super::configuration::{CERTIFICATE, KEY, Ports, configuration};
use super::options::NatsOptions;
use super::program::program;
use crate::certificate::Certificate;
use crate::http;
use crate::port::free_port;
use crate::server::{Cluster, Conduct, Server};
use crate::supervised::{Supervised, private_directory};
use crate::user::ServerUser;

/// A NATS server with JetStream, alone or one of a [`NatsCluster`].
pub type NatsServer = Server<Nats>;

/// Several NATS servers with JetStream, which replicate streams (`num_replicas`).
pub type NatsCluster = Cluster<Nats>;

/// What is particular to a NATS server.
#[derive(Debug)]
pub struct Nats {
    name: String,
    ports: Ports,
    has_tls: bool,
    is_alone: bool,
}

impl Server<Nats> {
    /// Starts a server with an empty store of its own.
    ///
    /// # Errors
    ///
    /// When there is no program, or when the server refuses its configuration: the message has the end of its log.
    pub fn start(options: &NatsOptions) -> Result<Self> {
        Cluster::<Nats>::start_with(1, options)?.into_one()
    }

    /// One server for the whole test process, for tests that only need streams of names that no other test takes.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and the same for every caller.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<NatsServer>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Self::start(&NatsOptions::default()));
        // An error cannot be given to many; its text can.
        shared.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))
    }

    /// Where clients go: `nats://127.0.0.1:PORT`, or `tls://…`, without a user.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.kind.has_tls { "tls" } else { "nats" };
        format!("{scheme}://127.0.0.1:{}", self.port())
    }

    /// Where clients go on 127.0.0.1: the same for the server's whole life.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.kind.ports.clients
    }

    /// Where it tells how it is: `http://127.0.0.1:PORT`, with paths such as `/jsz?streams=1`. Never TLS, nor a user.
    #[must_use]
    pub fn monitor_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.kind.ports.monitor)
    }

    /// The name that it has among the servers of its cluster.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.kind.name
    }

    /// Somebody else may listen on its port, before it finds out and ends: it must know its own name.
    fn is_healthy(&self, condition: &str) -> bool {
        let told = self.monitored("/varz").ok();
        told.is_some_and(|told| told["server_name"] == *self.kind.name)
            && http::get(self.kind.ports.monitor, &format!("/healthz{condition}")).is_ok()
    }

    fn monitored(&self, path: &str) -> Result<Value> {
        serde_json::from_str(&http::get(self.kind.ports.monitor, path)?).context("read the monitor's answer")
    }
}

impl Cluster<Nats> {
    /// Starts this many servers with routes between them. Three are the fewest that survive the loss of one.
    ///
    /// # Errors
    ///
    /// As for [one server](NatsServer::start).
    pub fn start(servers: usize) -> Result<Self> {
        Self::start_with(servers, &NatsOptions::default())
    }

    /// The same with options, which hold for all.
    ///
    /// # Errors
    ///
    /// As for [one server](NatsServer::start).
    pub fn start_with(servers: usize, options: &NatsOptions) -> Result<Self> {
        let ports = || -> Result<Ports> {
            Ok(Ports { clients: free_port()?, monitor: free_port()?, routes: free_port()? })
        };
        let all = (0..servers).map(|_| ports()).collect::<Result<Vec<_>>>()?;
        Self::launch(all.iter().map(|&own| make(options, own, &all)).collect::<Result<_>>()?)
    }

    /// Where clients go to each server.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes().iter().map(Server::url).collect()
    }

    /// The server that leads a stream, as an index of [`nodes`](Self::nodes); `None` while nobody does, or when no
    /// server that can be asked has the stream.
    #[must_use]
    pub fn leader_of_stream(&self, stream: &str) -> Option<usize> {
        // A follower may not have heard of the loss of its leader: only who says so of itself leads.
        self.nodes().iter().position(|node| {
            node.answers()
                && node
                    .monitored("/jsz?accounts=true&streams=true")
                    .is_ok_and(|told| leader_in(&told, stream) == Some(node.name()))
        })
    }
}

fn leader_in<'a>(told: &'a Value, stream: &str) -> Option<&'a str> {
    let details = |value: &'a Value, name| value[name].as_array().into_iter().flatten();
    let streams = details(told, "account_details").flat_map(|account| details(account, "stream_detail"));
    streams.filter(|detail| detail["name"] == stream).find_map(|detail| detail["cluster"]["leader"].as_str())
}

/// A server that does not run yet.
fn make(options: &NatsOptions, own: Ports, all: &[Ports]) -> Result<NatsServer> {
    let user = ServerUser::find()?;
    let directory = private_directory("nats", user)?;
    let name = directory.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = directory.path().join("nats.conf");
    let text = configuration(options, &name, directory.path(), own, all);
    user.write_private(&file, text.as_bytes())?;
    if let Some(Certificate { certificate, key }) = &options.certificate {
        for (from, name) in [(certificate, CERTIFICATE), (key, KEY)] {
            user.copy_private(from, &directory.path().join(name))?;
        }
    }
    let mut command = user.words(program()?);
    command.extend(["-c".into(), file.into()]);
    let kind = Nats { name, ports: own, has_tls: options.certificate.is_some(), is_alone: all.len() == 1 };
    Ok(Server { supervised: Supervised::new(directory, "KILL", command)?, kind, conduct: NATS })
}

const NATS: Conduct<Nats> = Conduct {
    name: "NATS",
    // It makes its store itself.
    prepare: |_| Ok(()),
    is_ready: |server| server.is_healthy(if server.kind.is_alone { "" } else { "?js-enabled-only=true" }),
    // With all streams recovered, and somebody who leads.
    is_joined: |server| server.is_healthy(""),
};
