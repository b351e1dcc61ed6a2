//! `replica`: builds a read model from a broker, and serves the read half of the API.

mod from_file;

use std::process::ExitCode;
use std::sync::Arc;

use order_api::ApiConfig;
use order_application::{EventBus, Replica, ReplicaLimits, ViewsProgress};
use order_bus::InProcessBus;
use order_store::DEFAULT_QUEUE_WAIT;

use crate::access::FileAccess;
use crate::cli::Failure;
use crate::config::ReplicaOptions;
use crate::open_store::{self, Replicating, Store};
use crate::process::{self, Process};
use crate::traces::{TraceSettings, Traces};

pub(crate) fn run(options: ReplicaOptions) -> Result<ExitCode, Failure> {
    let access = options.access.rules(&options.listening.addresses())?;
    let traces = TraceSettings::read()?;
    Ok(process::run(serve(options, access, traces))?)
}

async fn serve(
    options: ReplicaOptions,
    access: Option<Arc<FileAccess>>,
    traces: Option<TraceSettings>,
) -> anyhow::Result<ExitCode> {
    let (bounds, stopping) = (options.bounds.clone(), options.stopping.clone());
    let mut process =
        Process::start(&options.listening, bounds, DEFAULT_QUEUE_WAIT, stopping, access).await?;
    let traces = traces.map(|settings| Traces::start(settings, &process.metrics)).transpose()?;
    let bus: Arc<dyn EventBus> = Arc::new(InProcessBus::new());
    let opening = open(&options, Arc::clone(&bus), process.views_progress.clone());
    let Some(store) = process.before_serving(opening).await? else { return Ok(ExitCode::SUCCESS) };

    let replica = Replica::new(options.from.log(), store.clone(), ReplicaLimits::default());
    let status = Arc::new(replica.status());
    let stop = process.shutdown.clone();
    let following = tokio::spawn(async move { replica.run(stop).await });
    tracing::info!(from = %options.from, store = %options.store, "serving a read replica");
    let api = ApiConfig {
        event_source: options.events.event_source,
        takes_commands: false,
        ready_details: vec![status],
        tracer: traces.as_ref().map(|traces| traces.tracer.clone()),
        ..ApiConfig::default()
    };
    let store: Arc<dyn Store> = store;
    let code = process.serve(&store, bus, options.scrub.scrub_rate, None, api).await;
    if let Err(error) = following.await {
        tracing::error!(%error, "the replica ended early");
    }
    store.close().await;
    if let Some(traces) = traces {
        traces.stop().await;
    }
    tracing::info!("stopped");
    Ok(code)
}

/// Opens the store, and adds what the file has to it. A file that is not read to its end is read on another time.
async fn open(
    options: &ReplicaOptions,
    bus: Arc<dyn EventBus>,
    progress: ViewsProgress,
) -> anyhow::Result<Arc<dyn Replicating>> {
    let store = open_store::open_replica(&options.store, bus, progress).await?;
    if let Some(path) = &options.from_file {
        from_file::import(path, store.clone()).await?;
    }
    Ok(store)
}
