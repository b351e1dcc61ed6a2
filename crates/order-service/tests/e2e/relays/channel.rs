//! A stream of NATS or a topic of Kafka, under a name that no other test takes.

use std::sync::atomic::{AtomicU32, Ordering};

use super::event::{Event, Message};
use super::{kafka, nats};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Nats,
    Kafka,
}

#[derive(Debug, Clone)]
pub(crate) struct Channel {
    pub(crate) kind: Kind,
    /// `host:port`, with commas between, as a consumer reaches it.
    pub(crate) servers: String,
    /// The same as the service reaches it.
    pub(crate) way: String,
    /// Of the stream or the topic.
    pub(crate) name: String,
    /// What all subjects of the stream begin with.
    pub(crate) subject: String,
    parameters: String,
}

impl Channel {
    pub(crate) fn fresh(kind: Kind, servers: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = match kind {
            Kind::Nats => format!("ORDERS-{number}"),
            Kind::Kafka => format!("orders.events-{number}"),
        };
        let subject = format!("orders-{number}");
        Self {
            kind,
            servers: servers.to_owned(),
            way: servers.to_owned(),
            name,
            subject,
            parameters: String::new(),
        }
    }

    /// Another parameter of the URL, as `replicas=3`.
    pub(crate) fn with(mut self, parameter: &str) -> Self {
        self.parameters += "&";
        self.parameters += parameter;
        self
    }

    /// The service goes there by another way than consumers.
    pub(crate) fn by_way_of(mut self, port: u16) -> Self {
        self.way = format!("127.0.0.1:{port}");
        self
    }

    /// As `--bus` wants it.
    pub(crate) fn url(&self) -> String {
        let Self { way, name, subject, parameters, .. } = self;
        match self.kind {
            Kind::Nats => format!("nats://{way}?stream={name}&subject={subject}{parameters}"),
            Kind::Kafka => format!("kafka://{way}?topic={name}{parameters}"),
        }
    }

    /// What the service calls its relay.
    pub(crate) fn relay(&self) -> String {
        match self.kind {
            Kind::Nats => format!("nats/{}", self.name),
            Kind::Kafka => format!("kafka/{}", self.name),
        }
    }

    /// Where an event belongs.
    pub(crate) fn address(&self, event: &Event) -> String {
        match self.kind {
            Kind::Nats => {
                let event_type = event.attribute("type");
                let word = event_type.trim_start_matches("order.").trim_end_matches(".v1");
                format!("{}.{word}.{}", self.subject, event.order().replace('.', "%2E"))
            }
            Kind::Kafka => event.order().to_owned(),
        }
    }

    /// Deletes the stream or topic, with all that it has.
    #[track_caller]
    pub(crate) fn delete(&self) {
        match self.kind {
            Kind::Nats => nats::delete_stream(self),
            Kind::Kafka => kafka::delete_topic(self),
        }
    }

    /// Removes all messages, as if they had grown too old.
    #[track_caller]
    pub(crate) fn empty(&self) {
        match self.kind {
            Kind::Nats => nats::purge_stream(self),
            Kind::Kafka => kafka::delete_records(self),
        }
    }

    /// Everything from the beginning to what is the end now, in the order in which a consumer gets it.
    pub(crate) fn messages(&self) -> Result<Vec<Message>, String> {
        match self.kind {
            Kind::Nats => nats::messages(&self.servers, &self.name),
            Kind::Kafka => kafka::messages(&self.servers, &self.name),
        }
    }
}
