//! A broker of either kind, for something to befall it.

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

    befalls! { kill_hard start_again wipe freeze thaw }

    pub(crate) fn channel(&self) -> Channel {
        let (kind, port) = match self {
            Self::Nats(server) => (Kind::Nats, server.port()),
            Self::Kafka(server) => (Kind::Kafka, server.port()),
        };
        Channel::fresh(kind, &format!("127.0.0.1:{port}"))
    }
}

/// A channel of the broker that all tests share which do not break it.
pub(crate) fn shared_channel(kind: Kind) -> Channel {
    let port = match kind {
        Kind::Nats => NatsServer::shared().unwrap().port(),
        Kind::Kafka => KafkaServer::shared().unwrap().port(),
    };
    Channel::fresh(kind, &format!("127.0.0.1:{port}"))
}
