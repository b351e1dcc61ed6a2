//! Settings of `replica` and `export`.

use std::path::PathBuf;

use clap::Args;
use order_bus::BrokerUrl;
use serde::de::DeserializeOwned;

use super::{File, ServeOptions, Settings, StoreOptions, event_source, resolve, store_url};
use crate::cli::Failure;
use crate::logging::LogFormat;
use crate::store_url::StoreUrl;

/// The options of [`ReplicaOptions`] that no other command has. In a file, the others pass over them.
pub(super) const REPLICA_OPTIONS: [&str; 2] = ["from", "from_file"];

/// Where a replica keeps its orders: a directory of its own, beside that of `serve`.
const DEFAULT_STORE: &str = "sqlite:replica/orders.db";

/// What to follow, and how to serve.
#[derive(Debug, Args)]
pub(crate) struct ReplicaOptions {
    /// The broker that the primary relays its events to: `nats://HOST` or `kafka://HOST`, with options such as
    /// `?stream=ORDERS` or `?topic=orders.events`.
    #[arg(long, value_name = "URL", env = "ORDER_SERVICE_FROM", hide_env_values = true)]
    from: Option<String>,
    /// Read this file first: what `export` has written on the primary, one event a line. For a broker whose history does
    /// not reach back to the first event, or not to where this replica is.
    #[arg(long, value_name = "FILE", env = "ORDER_SERVICE_FROM_FILE")]
    from_file: Option<PathBuf>,
    /// Keep orders here: `sqlite:FILE`, or `memory:` (gone at exit) [default: sqlite:replica/orders.db].
    #[arg(long, value_name = "URL", env = "ORDER_SERVICE_STORE", hide_env_values = true)]
    store: Option<String>,
    /// Where requests come in: `:8081` (this machine only), `0.0.0.0:8081` (every interface) [default: :8080].
    #[arg(long, value_name = "ADDRESS", env = "ORDER_SERVICE_LISTEN")]
    listen: Option<String>,
    /// What events give as their source; as on the primary [default: /order-service].
    #[arg(long, value_name = "URI", env = "ORDER_SERVICE_EVENT_SOURCE")]
    event_source: Option<String>,
    /// Most connections at once; more wait [default: 10000].
    #[arg(long, value_name = "N", env = "ORDER_SERVICE_MAX_CONNECTIONS")]
    max_connections: Option<u32>,
    /// How long a request's head may take, and a connection may stay idle, in seconds [default: 60].
    #[arg(long, value_name = "SECONDS", env = "ORDER_SERVICE_IDLE_TIMEOUT_SECONDS")]
    idle_timeout_seconds: Option<u32>,
    /// How long what is in flight may take after SIGTERM or Ctrl+C, in seconds [default: 25].
    #[arg(long, value_name = "SECONDS", env = "ORDER_SERVICE_GRACE_SECONDS")]
    grace_seconds: Option<u32>,
    /// What is logged: a level, or a list such as `info,order_bus=debug` [default: info].
    #[arg(long, value_name = "FILTER", env = "ORDER_SERVICE_LOG")]
    log: Option<String>,
    /// How log lines look [default: auto].
    #[arg(long, value_enum, env = "ORDER_SERVICE_LOG_FORMAT")]
    log_format: Option<LogFormat>,
}

/// Everything that `replica` needs to know, valid.
#[derive(Debug)]
pub(crate) struct ReplicaSettings {
    pub(crate) from: BrokerUrl,
    pub(crate) from_file: Option<PathBuf>,
    /// Its store is the replica's.
    pub(crate) serve: Settings,
}

/// Puts the sources together and names every fault at once.
pub(crate) fn resolve_replica(given: ReplicaOptions, mut file: File) -> Result<ReplicaSettings, Failure> {
    let mut faults = Vec::new();
    let from = given.from.or(file.take("from", &mut faults));
    let from: Option<BrokerUrl> = match from.as_deref().filter(|url| !url.is_empty()).map(str::parse) {
        Some(Ok(url)) => Some(url),
        Some(Err(fault)) => {
            faults.push(format!("from: {fault}"));
            None
        }
        None => {
            faults.push("from: name the broker to follow, such as nats://HOST".to_owned());
            None
        }
    };
    let from_file = given.from_file.or(file.take("from_file", &mut faults));
    let store = given.store.or(file.take("store", &mut faults)).unwrap_or_else(|| DEFAULT_STORE.to_owned());
    let store = StoreOptions { store: Some(store), ..StoreOptions::default() };
    let serve = ServeOptions {
        listen: given.listen,
        event_source: given.event_source,
        max_connections: given.max_connections,
        idle_timeout_seconds: given.idle_timeout_seconds,
        grace_seconds: given.grace_seconds,
        log: given.log,
        log_format: given.log_format,
        ..ServeOptions::default()
    };
    let serve = match resolve(store, serve, file) {
        Ok(serve) => Some(serve),
        Err(Failure::Usage(more)) => {
            faults.extend(more);
            None
        }
        Err(other @ Failure::Runtime(_)) => return Err(other),
    };
    if serve.as_ref().is_some_and(|serve| matches!(serve.store, StoreUrl::Postgres { .. })) {
        faults.push("store: a replica keeps its orders in sqlite:FILE or memory:".to_owned());
    }
    match (from, serve) {
        (Some(from), Some(serve)) if faults.is_empty() => Ok(ReplicaSettings { from, from_file, serve }),
        _ => Err(Failure::Usage(faults)),
    }
}

/// What `export` needs to know.
#[derive(Debug)]
pub(crate) struct ExportSettings {
    pub(crate) store: StoreUrl,
    pub(crate) event_source: String,
}

/// The option of `serve` that `export` has as well.
#[derive(Debug, Args)]
pub(crate) struct ExportOptions {
    /// What events give as their source [default: /order-service].
    #[arg(long, value_name = "URI", env = "ORDER_SERVICE_EVENT_SOURCE")]
    event_source: Option<String>,
}

/// The same for `export`.
pub(crate) fn resolve_export(
    store: StoreOptions,
    export: ExportOptions,
    file: File,
) -> Result<ExportSettings, Failure> {
    let mut faults = Vec::new();
    let (file_store, file_serve) = file.options(&mut faults);
    let store = store_url(store, file_store, &mut faults);
    let event_source = event_source(export.event_source.or(file_serve.event_source), &mut faults);
    let settings = ExportSettings { store, event_source };
    if faults.is_empty() { Ok(settings) } else { Err(Failure::Usage(faults)) }
}

impl File {
    /// Takes an option out, if the file has it.
    fn take<T: DeserializeOwned>(&mut self, name: &str, faults: &mut Vec<String>) -> Option<T> {
        let read = self.all.remove(name)?.try_into::<T>();
        read.map_err(|error: toml::de::Error| faults.push(format!("{name} in the file: {}", error.message())))
            .ok()
    }
}
