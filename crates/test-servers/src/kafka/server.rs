//! A running server, or several: where they are, and who leads.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context, Result};

use super::configuration::{KEY_AND_CERTIFICATE, Ports, configuration};
use super::java::{MEASURED, SMALL, java};
use super::options::{KafkaOptions, Sasl};
use super::wire::{Metadata, create_topic, metadata};
use crate::certificate::Certificate;
use crate::port::free_port;
use crate::server::{Cluster, Conduct, Server};
use crate::supervised::{Supervised, private_directory};
use crate::user::ServerUser;

/// A Kafka server, broker and controller at once, alone or one of a [`KafkaCluster`].
pub type KafkaServer = Server<Kafka>;

/// Several Kafka servers, each a broker and a controller. With three or more, topics have three copies, of which two
/// must be written before a record is acknowledged.
pub type KafkaCluster = Cluster<Kafka>;

/// What is particular to a Kafka server.
#[derive(Debug)]
pub struct Kafka {
    /// By chance: whoever answers with another one is not of these servers.
    cluster: String,
    ports: Ports,
    number: usize,
    servers: usize,
    /// What makes an empty store.
    format: Vec<OsString>,
}

impl Server<Kafka> {
    /// Starts a server with an empty store of its own.
    ///
    /// # Errors
    ///
    /// When there are no programs, or when the server refuses its settings: the message has the end of its log.
    pub fn start(options: &KafkaOptions) -> Result<Self> {
        Cluster::<Kafka>::start_with(1, options)?.into_one()
    }

    /// One server for the whole test process, for tests that only need topics of names that no other test takes.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and the same for every caller.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<KafkaServer>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| Self::start(&KafkaOptions::default()));
        // An error cannot be given to many; its text can.
        shared.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))
    }

    /// Where clients go: `127.0.0.1:PORT`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    /// Where clients go on 127.0.0.1: the same for the server's whole life.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.kind.ports.clients
    }

    /// Creates a topic, with as many copies as there are servers, up to three.
    ///
    /// # Errors
    ///
    /// When there is one of that name, or when there is no quorum.
    pub fn create_topic(&self, topic: &str, partitions: u16) -> Result<()> {
        create_topic(self.kind.ports.internal, topic, i32::from(partitions))
    }

    /// What it knows, if it is of this cluster: somebody else may listen on its port, before it finds out and ends.
    fn metadata(&self) -> Option<Metadata> {
        metadata(self.kind.ports.internal).ok().filter(|metadata| metadata.cluster == self.kind.cluster)
    }

    fn serves(&self) -> bool {
        self.metadata().is_some_and(|told| told.servers.iter().any(|&server| self.is(server)))
    }

    fn has_joined(&self) -> bool {
        self.metadata().is_some_and(|told| {
            told.servers.len() == self.kind.servers
                && told
                    .partitions
                    .iter()
                    .all(|one| one.leader >= 0 && one.in_sync.len() == one.replicas.len())
        })
    }

    fn is(&self, server: i32) -> bool {
        usize::try_from(server) == Ok(self.kind.number)
    }
}

impl Cluster<Kafka> {
    /// Starts this many servers. Three are the fewest that survive the loss of one.
    ///
    /// # Errors
    ///
    /// As for [one server](KafkaServer::start).
    pub fn start(servers: usize) -> Result<Self> {
        Self::start_with(servers, &KafkaOptions::default())
    }

    /// The same with options, which hold for all.
    ///
    /// # Errors
    ///
    /// As for [one server](KafkaServer::start).
    pub fn start_with(servers: usize, options: &KafkaOptions) -> Result<Self> {
        let ports = || -> Result<Ports> {
            Ok(Ports { clients: free_port()?, internal: free_port()?, controller: free_port()? })
        };
        let all = (0..servers).map(|_| ports()).collect::<Result<Vec<_>>>()?;
        // 16 bytes in base64.
        let cluster = format!("order{:016x}Q", RandomState::new().hash_one(0));
        let made = (0..servers).map(|number| make(options, &cluster, number, &all));
        Self::launch(made.collect::<Result<_>>()?)
    }

    /// Where clients go to any server: `127.0.0.1:PORT,127.0.0.1:PORT,…`
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.nodes().iter().map(Server::bootstrap).collect::<Vec<_>>().join(",")
    }

    /// The server that leads a partition, as an index of [`nodes`](Self::nodes), as one of those knows that can be
    /// asked; `None` while nobody leads who runs.
    #[must_use]
    pub fn leader_of(&self, topic: &str, partition: u16) -> Option<usize> {
        let told = self.nodes().iter().filter(|node| node.answers()).find_map(Server::metadata)?;
        let found =
            told.partitions.iter().find(|one| one.topic == topic && one.number == i32::from(partition))?;
        self.nodes().iter().position(|node| node.is(found.leader) && node.answers())
    }
}

/// A server that does not run yet.
fn make(options: &KafkaOptions, cluster: &str, number: usize, all: &[Ports]) -> Result<KafkaServer> {
    let user = ServerUser::find()?;
    let directory = private_directory("kafka", user)?;
    let temporary = directory.path().join("tmp");
    DirBuilder::new().create(&temporary)?;
    user.own(&temporary)?;
    let file = directory.path().join("server.properties");
    let text = configuration(options, directory.path(), number, all);
    user.write_private(&file, text.as_bytes())?;
    if let Some(certificate) = &options.certificate {
        offer_tls(user, certificate, &directory.path().join(KEY_AND_CERTIFICATE))?;
    }
    let (program, words) = java(SMALL, "kafka.tools.StorageTool")?;
    let mut format = user.words(program);
    format.extend(words);
    format.extend(["format", "--cluster-id", cluster, "--config"].map(Into::into));
    format.push((&file).into());
    format.extend(scram_user(options).into_iter().flatten());

    let (program, words) = java(if options.is_measured { MEASURED } else { SMALL }, "kafka.Kafka")?;
    let mut command = user.words(program);
    let mut setting = OsString::from("-Djava.io.tmpdir=");
    setting.push(&temporary);
    command.push(setting);
    command.extend(words);
    command.push(file.into());
    let kind = Kafka { cluster: cluster.to_owned(), ports: all[number], number, servers: all.len(), format };
    Ok(Server { supervised: Supervised::new(directory, "KILL", command)?, kind, conduct: KAFKA })
}

/// Such users are in the store, from its beginning.
fn scram_user(options: &KafkaOptions) -> Option<[OsString; 2]> {
    let user = options.user.as_ref().filter(|user| user.mechanism != Sasl::Plain)?;
    let text = format!("{}=[name={},password={}]", user.mechanism.name(), user.name, user.password);
    Some(["--add-scram".into(), text.into()])
}

fn offer_tls(user: ServerUser, Certificate { certificate, key }: &Certificate, to: &Path) -> Result<()> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("read {}", path.display()));
    user.write_private(to, &[read(key)?, read(certificate)?].concat())
}

const KAFKA: Conduct<Kafka> = Conduct {
    name: "Kafka",
    prepare: |server| server.supervised.run(&server.kind.format),
    is_ready: KafkaServer::serves,
    is_joined: KafkaServer::has_joined,
};
