//! `republish`: publishes events to a broker again.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use order_application::{
    Follower, FollowerLimits, FollowerPorts, FollowerState, IdSource, Position, Relay, UuidV7Ids,
    ViewsProgress,
};
use order_bus::{BrokerUrl, InProcessBus};
use order_store::{DEFAULT_QUEUE_WAIT, LogReader, OpenMode, StoreLocation};
use tokio_util::sync::CancellationToken;

use crate::cli::Failure;
use crate::config::{LogOptions, RelayOptions, StoreOptions, positive};
use crate::export::told;
use crate::open_store::{self, Opening};
use crate::process;
use crate::progress::Progress;
use crate::store_url::StoreUrl;

/// What to publish, and where.
#[derive(Debug, Args)]
pub(crate) struct RepublishArguments {
    /// The first event to publish again, by its position.
    #[arg(long, value_name = "N", value_parser = positive::<u64>)]
    from_position: u64,
    #[command(flatten)]
    relay: RelayOptions,
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    pub(crate) log: LogOptions,
}

pub(crate) fn run(arguments: RepublishArguments) -> Result<ExitCode, Failure> {
    let RepublishArguments { from_position, relay, store, log: _ } = arguments;
    let store = store.url();
    let location = store.location("there is nothing to publish")?;
    let publishing = async {
        must_be_there(&location).await?;
        publish_again(Position(from_position), &store, &relay.bus, &relay.events.event_source).await
    };
    Ok(process::runtime()?.block_on(publishing)?)
}

/// To open a store is to make it where there is none, and a mistyped directory has none.
async fn must_be_there(location: &StoreLocation) -> anyhow::Result<()> {
    LogReader::open(location).await.map_err(told)?;
    Ok(())
}

async fn publish_again(
    from: Position,
    store: &StoreUrl,
    brokers: &[BrokerUrl],
    event_source: &str,
) -> anyhow::Result<ExitCode> {
    let bus = Arc::new(InProcessBus::new());
    let opening =
        Opening { mode: OpenMode::EXISTING, queue_wait: DEFAULT_QUEUE_WAIT, awaits_database: false };
    let store = open_store::open(store, opening, bus.clone(), ViewsProgress::default()).await?;
    let ports = FollowerPorts { log: store.clone(), checkpoints: store.clone(), bus };
    let end = ports.log.end().await?;
    for url in brokers {
        let done = publish_to(url, from, end, &ports, event_source).await;
        done.with_context(|| url.to_string())?;
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn publish_to(
    url: &BrokerUrl,
    from: Position,
    end: Position,
    ports: &FollowerPorts,
    event_source: &str,
) -> anyhow::Result<()> {
    let holder = UuidV7Ids.next().to_string();
    let relay = Relay::new(ports.log.clone(), url.broker(event_source));
    let relay = Follower::new(url.name(), &holder, ports.clone(), relay, FollowerLimits::default());
    let mut status = relay.status();
    let mut progress = Progress::begin("connecting");
    let (before, total) = (from.0.saturating_sub(1), (end.0 + 1).saturating_sub(from.0));
    let publishing = relay.run_again(from, CancellationToken::new());
    tokio::pin!(publishing);
    loop {
        tokio::select! {
            done = &mut publishing => {
                done?;
                break;
            }
            Ok(()) = status.changed() => {
                let now = status.borrow_and_update();
                if now.state == FollowerState::Following {
                    progress.show("publishing again", now.position.0.saturating_sub(before), total);
                }
            }
        }
    }
    progress.finish();
    tracing::info!(broker = %url, events = total, "published again");
    Ok(())
}
