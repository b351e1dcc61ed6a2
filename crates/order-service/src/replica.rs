//! `replica`: builds a read model from a broker, and serves the read half of the API.

mod from_file;

use std::process::ExitCode;
use std::sync::Arc;

use order_api::ApiConfig;
use order_application::{
    EventBus, OrderService, ReadyDetails, Replica, ReplicaLimits, ServiceLimits, SystemClock, UuidV7Ids,
    ViewRepair, ViewsProgress,
};
use order_bus::InProcessBus;
use tokio_util::sync::CancellationToken;

use crate::cli::Failure;
use crate::config::ReplicaSettings;
use crate::logging;
use crate::open_store::{self, Replicating, Store};
use crate::process::{self, StopSignal};
use crate::scrub::Scrub;
use crate::server::Server;

pub(crate) fn run(settings: ReplicaSettings) -> Result<ExitCode, Failure> {
    logging::start(settings.log.format, &settings.log.filter);
    Ok(process::runtime()?.block_on(serve(settings))?)
}

async fn serve(settings: ReplicaSettings) -> anyhow::Result<ExitCode> {
    // Signals count from the start: a stop that comes while the store opens is not lost.
    let mut stop = StopSignal::listen()?;
    let listeners = settings.http.listen.bind().map_err(anyhow::Error::msg)?;
    let bus: Arc<dyn EventBus> = Arc::new(InProcessBus::new());
    let progress = ViewsProgress::default();
    let server = Server::start(listeners, order_api::starting(progress.clone()), settings.http.limits);
    let grace = settings.http.grace;
    let opening = open(&settings, Arc::clone(&bus), progress);
    let Some(replicating) = process::before_serving(&server, &mut stop, opening, grace).await? else {
        return Ok(ExitCode::SUCCESS);
    };

    let store: Arc<dyn Store> = replicating.clone();
    let shutdown = CancellationToken::new();
    let replica = Replica::new(settings.from.log(), replicating.clone(), ReplicaLimits::default());
    let status = replica.status();
    let following = {
        let stop = shutdown.clone();
        tokio::spawn(async move { replica.run(stop).await })
    };
    let scrub = Scrub::start(settings.scrub_rate, open_store::scrubber_ports(&store), shutdown.clone());
    let views_shown: Arc<dyn ReadyDetails> = Arc::new(store.clone() as Arc<dyn ViewRepair>);
    let replica_shown: Arc<dyn ReadyDetails> = Arc::new(status);
    let service = OrderService::new(
        store.clone(),
        store.clone(),
        bus,
        Arc::new(SystemClock),
        Arc::new(UuidV7Ids),
        ServiceLimits::default(),
    );
    let api = ApiConfig {
        event_source: settings.event_source,
        body_timeout: settings.http.body_timeout,
        shutdown: shutdown.clone(),
        takes_commands: false,
        ready_details: [views_shown].into_iter().chain(scrub.shown()).chain([replica_shown]).collect(),
        ..ApiConfig::default()
    };
    server.serve(order_api::router(service, api));
    process::announce(server.port());
    tracing::info!(from = %settings.from, store = %settings.store, "serving a read replica");

    let code = process::serve_until_stopped(server, &mut stop, store.stopped(), shutdown, grace).await;
    scrub.ended().await;
    if let Err(error) = following.await {
        tracing::error!(%error, "the replica ended early");
    }
    store.close().await;
    tracing::info!("stopped");
    Ok(code)
}

/// Opens the store, and adds what the file has to it. A file that is not read to its end is read on another time.
async fn open(
    settings: &ReplicaSettings,
    bus: Arc<dyn EventBus>,
    progress: ViewsProgress,
) -> anyhow::Result<Arc<dyn Replicating>> {
    let store = open_store::open_replica(&settings.store, bus, progress).await?;
    if let Some(path) = &settings.from_file {
        from_file::import(path, store.clone()).await?;
    }
    Ok(store)
}
