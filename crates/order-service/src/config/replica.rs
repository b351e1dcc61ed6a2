//! Settings of `replica` and `export`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;
use order_bus::BrokerUrl;
use serde::Deserialize;

use super::{
    EventOptions, File, HttpOptions, HttpSettings, LogOptions, LogSettings, ScrubOptions, StoreOptions,
    event_source, http_settings, log_settings, scrub_rate, store_url,
};
use crate::cli::Failure;
use crate::store_url::StoreUrl;

/// Where a replica keeps its orders: a directory of its own, beside that of `serve`.
const DEFAULT_STORE: &str = "sqlite:replica/orders.db";

/// What to follow, and how to serve.
#[derive(Debug, Default, Args, Deserialize)]
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
    #[command(flatten)]
    #[serde(flatten)]
    http: HttpOptions,
    #[command(flatten)]
    #[serde(flatten)]
    scrub: ScrubOptions,
    #[command(flatten)]
    #[serde(flatten)]
    events: EventOptions,
    #[command(flatten)]
    #[serde(flatten)]
    log: LogOptions,
}

/// Everything that `replica` needs to know, valid.
#[derive(Debug)]
pub(crate) struct ReplicaSettings {
    pub(crate) from: BrokerUrl,
    pub(crate) from_file: Option<PathBuf>,
    pub(crate) store: StoreUrl,
    pub(crate) http: HttpSettings,
    pub(crate) scrub_rate: Option<NonZeroU32>,
    pub(crate) event_source: String,
    pub(crate) log: LogSettings,
}

/// Puts the sources together and names every fault at once.
pub(crate) fn resolve_replica(given: ReplicaOptions, mut file: File) -> Result<ReplicaSettings, Failure> {
    let mut faults = Vec::new();
    let in_file: ReplicaOptions = file.take(&mut faults);
    let from = primary(given.from.or(in_file.from), &mut faults);
    let from_file = given.from_file.or(in_file.from_file);
    let store = given.store.or(in_file.store).unwrap_or_else(|| DEFAULT_STORE.to_owned());
    let store = StoreOptions { store: Some(store), ..StoreOptions::default() };
    let store = store_url(store, StoreOptions::default(), &mut faults);
    if matches!(store, StoreUrl::Postgres { .. }) {
        faults.push("store: a replica keeps its orders in sqlite:FILE or memory:".to_owned());
    }
    let http = http_settings(given.http, in_file.http, &mut faults);
    let scrub_rate = scrub_rate(given.scrub, in_file.scrub);
    let event_source = event_source(given.events, in_file.events, &mut faults);
    let log = log_settings(given.log, in_file.log, &mut faults);
    file.rest(&mut faults);
    match from {
        Some(from) if faults.is_empty() => {
            Ok(ReplicaSettings { from, from_file, store, http, scrub_rate, event_source, log })
        }
        _ => Err(Failure::Usage(faults)),
    }
}

fn primary(from: Option<String>, faults: &mut Vec<String>) -> Option<BrokerUrl> {
    let Some(url) = from.filter(|url| !url.is_empty()) else {
        faults.push("from: name the broker to follow, such as nats://HOST".to_owned());
        return None;
    };
    url.parse().map_err(|fault| faults.push(format!("from: {fault}"))).ok()
}

/// How to export.
#[derive(Debug, Default, Args, Deserialize)]
pub(crate) struct ExportOptions {
    #[command(flatten)]
    #[serde(flatten)]
    events: EventOptions,
}

/// What `export` needs to know.
#[derive(Debug)]
pub(crate) struct ExportSettings {
    pub(crate) store: StoreUrl,
    pub(crate) event_source: String,
}

/// The same for `export`.
pub(crate) fn resolve_export(
    store: StoreOptions,
    export: ExportOptions,
    mut file: File,
) -> Result<ExportSettings, Failure> {
    let mut faults = Vec::new();
    let store = store_url(store, file.take(&mut faults), &mut faults);
    let in_file: ExportOptions = file.take(&mut faults);
    let event_source = event_source(export.events, in_file.events, &mut faults);
    let settings = ExportSettings { store, event_source };
    file.rest(&mut faults);
    if faults.is_empty() { Ok(settings) } else { Err(Failure::Usage(faults)) }
}
