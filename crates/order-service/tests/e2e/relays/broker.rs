//! A broker of either kind, for something to befall it.

use std::path::{Path, PathBuf};
use std::process::Command;

use test_servers::{KafkaOptions, KafkaServer, NatsOptions, NatsServer};

use super::channel::{Channel, Kind};

#[derive(Debug)]
pub(crate) enum Broker {
    Nats(NatsServer),
    Kafka(KafkaServer),
}

/// The same for both.
macro_rules! befalls {
    ($($what:ident)*) => {
        $(
            #[track_caller]
            pub(crate) fn $what(&mut self) {
                match self {
                    Self::Nats(server) => server.$what().unwrap(),
                    Self::Kafka(server) => server.$what().unwrap(),
                }
            }
        )*
    };
}

impl Broker {
    /// One that no other test uses.
    pub(crate) fn start(kind: Kind) -> Self {
        match kind {
            Kind::Nats => Self::Nats(NatsServer::start(&NatsOptions::default()).unwrap()),
            Kind::Kafka => Self::Kafka(KafkaServer::start(&KafkaOptions::default()).unwrap()),
        }
    }

    befalls! { kill_hard start_again stop wipe freeze thaw }

    /// Puts a copy of what it has stored aside.
    #[track_caller]
    pub(crate) fn put_copy_aside(&mut self) {
        self.stop();
        let [store, copy] = self.store_and_copy();
        copy_directory(&store, &copy);
        self.start_again();
    }

    /// Ends it without a word, and starts it with that copy: what came later is lost.
    #[track_caller]
    pub(crate) fn go_back_to_copy(&mut self) {
        self.wipe();
        let [store, copy] = self.store_and_copy();
        copy_directory(&copy, &store);
        self.start_again();
    }

    fn store_and_copy(&self) -> [PathBuf; 2] {
        let directory = match self {
            Self::Nats(server) => server.directory(),
            Self::Kafka(server) => server.directory(),
        };
        ["store", "copy"].map(|name| directory.join(name))
    }

    pub(crate) fn channel(&self) -> Channel {
        let (kind, port) = match self {
            Self::Nats(server) => (Kind::Nats, server.port()),
            Self::Kafka(server) => (Kind::Kafka, server.port()),
        };
        Channel::fresh(kind, &format!("127.0.0.1:{port}"))
    }
}

/// With its owners, who are not whoever runs the tests.
#[track_caller]
fn copy_directory(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// A channel of the broker that all tests share which do not break it.
pub(crate) fn shared_channel(kind: Kind) -> Channel {
    let port = match kind {
        Kind::Nats => NatsServer::shared().unwrap().port(),
        Kind::Kafka => KafkaServer::shared().unwrap().port(),
    };
    Channel::fresh(kind, &format!("127.0.0.1:{port}"))
}
