//! `serve`: picks the adapters, puts the service together, and runs it until it is told to stop.

use std::process::ExitCode;
use std::sync::Arc;

use order_api::ApiConfig;
use order_application::{
    FollowerPorts, OrderService, ReadyDetails, ServiceLimits, SystemClock, UuidV7Ids, ViewRepair,
    ViewsProgress,
};
use order_bus::InProcessBus;
use tokio_util::sync::CancellationToken;

use crate::cli::Failure;
use crate::config::Settings;
use crate::logging;
use crate::open_store;
use crate::process::{self, StopSignal};
use crate::relays::Relays;
use crate::scrub::Scrub;
use crate::server::Server;

pub(crate) fn run(settings: Settings) -> Result<ExitCode, Failure> {
    logging::start(settings.log.format, &settings.log.filter);
    Ok(process::runtime()?.block_on(serve(settings))?)
}

async fn serve(settings: Settings) -> anyhow::Result<ExitCode> {
    // Signals count from the start: a stop that comes while the store opens is not lost.
    let mut stop = StopSignal::listen()?;
    let listeners = settings.http.listen.bind().map_err(anyhow::Error::msg)?;
    let bus = Arc::new(InProcessBus::new());
    let progress = ViewsProgress::default();
    let server = Server::start(listeners, order_api::starting(progress.clone()), settings.http.limits);
    let opening = open_store::open(&settings.store, bus.clone(), progress);
    let grace = settings.http.grace;
    let Some(store) = process::before_serving(&server, &mut stop, opening, grace).await? else {
        return Ok(ExitCode::SUCCESS);
    };

    let shutdown = CancellationToken::new();
    let relay_ports = FollowerPorts { log: store.clone(), checkpoints: store.clone(), bus: bus.clone() };
    let (relays, relays_shown) = Relays::start(&settings.brokers, &settings.event_source, &relay_ports)?;
    let scrub = Scrub::start(settings.scrub_rate, open_store::scrubber_ports(&store), shutdown.clone());
    let views_shown: Arc<dyn ReadyDetails> = Arc::new(store.clone() as Arc<dyn ViewRepair>);
    let service = OrderService::new(
        store.clone(),
        store.clone(),
        bus,
        Arc::new(SystemClock),
        Arc::new(UuidV7Ids),
        ServiceLimits::default(),
    );
    let api = ApiConfig {
        default_currency: settings.currency,
        event_source: settings.event_source,
        body_timeout: settings.http.body_timeout,
        shutdown: shutdown.clone(),
        ready_details: [views_shown].into_iter().chain(scrub.shown()).chain([relays_shown]).collect(),
        ..ApiConfig::default()
    };
    server.serve(order_api::router(service, api));
    process::announce(server.port());
    tracing::info!(store = %settings.store, version = env!("CARGO_PKG_VERSION"), "serving");

    let code = process::serve_until_stopped(server, &mut stop, store.stopped(), shutdown, grace).await;
    scrub.ended().await;
    relays.stop().await;
    // What clients that hung up have left in the store's queue is written now.
    store.close().await;
    tracing::info!("stopped");
    Ok(code)
}
