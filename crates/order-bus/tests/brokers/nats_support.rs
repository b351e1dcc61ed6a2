//! What tests of NATS's streams have in common.

use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{self, Context};
use order_application::{Broker, BrokerLog, Checkpoint, Opened};
use order_bus::{NatsBroker, NatsLog, NatsOptions};
use test_servers::NatsServer;

use crate::contract::within;
use crate::nats::{SOURCE, fresh};

/// A stream's name and subjects that nobody else has; it is not made yet.
pub(crate) async fn fresh_stream(parameters: &str) -> (NatsOptions, Context) {
    let url = NatsServer::shared().unwrap().url();
    let js = jetstream::new(async_nats::connect(&url).await.unwrap());
    (fresh(&url, parameters), js)
}

/// A stream for these options, as somebody else would make it.
pub(crate) fn wanted(options: &NatsOptions) -> Config {
    let name = options.name().trim_start_matches("nats/").to_owned();
    Config { subjects: vec![format!("{}.>", name.to_lowercase())], name, ..Default::default() }
}

pub(crate) async fn config(js: &Context, options: &NatsOptions) -> Config {
    js.get_stream(&wanted(options).name).await.unwrap().cached_info().config.clone()
}

pub(crate) fn broker(options: &NatsOptions) -> NatsBroker {
    NatsBroker::new(options.clone(), SOURCE)
}

pub(crate) async fn open(options: &NatsOptions, checkpoint: &Checkpoint) -> Opened {
    broker(options).open(checkpoint).await.unwrap()
}

/// The positions of all events that the stream has.
pub(crate) async fn everything(options: &NatsOptions) -> Vec<u64> {
    let mut reader = NatsLog::new(options.clone()).open(None).await.unwrap();
    let mut positions = Vec::new();
    within(async {
        while reader.behind().await.unwrap() > 0 {
            let events = reader.next().await.unwrap().into_iter().filter_map(|delivery| delivery.event.ok());
            positions.extend(events.map(|message| message.event.position.0));
        }
    })
    .await;
    positions
}
