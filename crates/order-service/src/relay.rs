//! `relay`: publishes events to a broker again.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use order_application::{
    Follower, FollowerLimits, FollowerPorts, FollowerState, IdSource, Position, Relay, UuidV7Ids,
    ViewsProgress,
};
use order_bus::{BrokerUrl, InProcessBus};
use tokio_util::sync::CancellationToken;

use crate::cli::Failure;
use crate::config::RelaySettings;
use crate::logging;
use crate::open_store;
use crate::progress::Progress;

#[derive(Debug, Args)]
pub(crate) struct RelayArguments {
    /// The first event to publish again, by its position.
    #[arg(long, value_name = "N")]
    pub(crate) from_position: u64,
}

pub(crate) fn run(arguments: &RelayArguments, settings: RelaySettings) -> Result<ExitCode, Failure> {
    if arguments.from_position == 0 {
        return Err(Failure::Usage(vec!["from-position must be at least 1".to_owned()]));
    }
    logging::start(settings.log.format, &settings.log.filter);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    Ok(runtime.block_on(publish_again(Position(arguments.from_position), settings))?)
}

async fn publish_again(from: Position, settings: RelaySettings) -> anyhow::Result<ExitCode> {
    let bus = Arc::new(InProcessBus::new());
    let store = open_store::open(&settings.store, bus.clone(), ViewsProgress::default()).await?;
    let ports = FollowerPorts { log: store.clone(), checkpoints: store.clone(), bus };
    let head = ports.log.end().await?;
    for url in &settings.brokers {
        let done = publish_to(url, from, head, &ports, &settings.event_source).await;
        done.with_context(|| url.to_string())?;
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn publish_to(
    url: &BrokerUrl,
    from: Position,
    head: Position,
    ports: &FollowerPorts,
    event_source: &str,
) -> anyhow::Result<()> {
    let holder = UuidV7Ids.next().to_string();
    let relay = Relay::new(ports.log.clone(), url.broker(event_source));
    let relay = Follower::new(url.name(), &holder, ports.clone(), relay, FollowerLimits::default());
    let mut status = relay.status();
    let mut progress = Progress::new();
    let (before, total) = (from.0.saturating_sub(1), (head.0 + 1).saturating_sub(from.0));
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
