//! `serve`: picks the adapters, and puts the service together.

use std::process::ExitCode;
use std::sync::Arc;

use order_api::ApiConfig;
use order_application::FollowerPorts;
use order_bus::InProcessBus;
use order_store::OpenMode;

use crate::access::FileAccess;
use crate::background::Upkeep;
use crate::cli::Failure;
use crate::config::ServeOptions;
use crate::open_store::{self, Opening};
use crate::process::{self, Process};
use crate::relays::Relays;
use crate::release;
use crate::traces::{TraceSettings, Traces};

pub(crate) fn run(options: ServeOptions) -> Result<ExitCode, Failure> {
    let access = options.access.rules(&options.listening.addresses())?;
    let traces = TraceSettings::read()?;
    if options.existing_store && options.store.is_in_memory() {
        return Err(Failure::usage(
            "memory: has a new store at each start, and --existing-store asks for one that is there",
        ));
    }
    Ok(process::run(serve(options, access, traces))?)
}

async fn serve(
    options: ServeOptions,
    access: Option<Arc<FileAccess>>,
    traces: Option<TraceSettings>,
) -> anyhow::Result<ExitCode> {
    let (listening, queue_wait) = (&options.listening, options.queue.queue_wait_milliseconds);
    let mut process = Process::start(listening, options.bounds, queue_wait, options.stopping, access).await?;
    let traces = traces.map(|settings| Traces::start(settings, &process.metrics)).transpose()?;
    let tracer = traces.as_ref().map(|traces| traces.tracer.clone());
    let bus = Arc::new(InProcessBus::new());
    let url = options.store.url();
    let mode = OpenMode { create: !options.existing_store, accept_loss: options.accept_loss };
    let opening = Opening { mode, queue_wait, awaits_database: true };
    let opening = open_store::open(&url, opening, bus.clone(), process.views_progress.clone());
    let Some(store) = process.before_serving(opening).await? else { return Ok(ExitCode::SUCCESS) };

    let relay_ports = FollowerPorts { log: store.clone(), checkpoints: store.clone(), bus: bus.clone() };
    let event_source = options.relay.events.event_source;
    let (relays, relays_shown) =
        Relays::start(&options.relay.bus, &event_source, &relay_ports, &process.metrics, tracer.as_ref())?;
    tracing::info!(store = %url, version = release::VERSION, commit = release::COMMIT, "serving");
    let api = ApiConfig {
        default_currency: options.orders.currency,
        event_source,
        ready_details: vec![relays_shown],
        tracer,
        ..ApiConfig::default()
    };
    let upkeep = Upkeep {
        clock_pause: options.orders.clock_pause_seconds,
        keys_kept_for: options.orders.keep_keys_hours,
    };
    let code = process.serve(&store, bus, options.scrub.scrub_rate, Some(upkeep), api).await;
    relays.stop().await;
    // What clients that hung up have left in the store's queue is written now.
    store.close().await;
    if let Some(traces) = traces {
        traces.stop().await;
    }
    tracing::info!("stopped");
    Ok(code)
}
