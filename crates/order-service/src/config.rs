//! Settings: from the command line, the environment and a file, checked all at once before anything starts.

mod file;
mod replica;
mod scrub;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use order_bus::BrokerUrl;
use order_domain::Currency;
use serde::Deserialize;
use tracing_subscriber::EnvFilter;

use crate::cli::Failure;
use crate::listen::ListenAddress;
use crate::logging::LogFormat;
use crate::server::Limits;
use crate::store_url::StoreUrl;

pub(crate) use file::File;
pub(crate) use replica::{
    ExportOptions, ExportSettings, ReplicaOptions, ReplicaSettings, resolve_export, resolve_replica,
};
use scrub::{ScrubOptions, scrub_rate};

/// Where orders are kept.
#[derive(Debug, Default, Args, Deserialize)]
pub(crate) struct StoreOptions {
    /// Keep orders under this directory [default: data].
    #[arg(long, value_name = "DIR", env = "ORDER_SERVICE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Keep orders in this store instead: `sqlite:FILE`, `postgres://USER@HOST/DATABASE`, or `memory:` (gone at exit).
    #[arg(long, value_name = "URL", env = "ORDER_SERVICE_STORE", hide_env_values = true)]
    store: Option<String>,
    /// Connections to PostgreSQL for reads; all else takes up to four more [default: 8].
    #[arg(long, value_name = "N", env = "ORDER_SERVICE_POSTGRES_CONNECTIONS")]
    postgres_connections: Option<u32>,
    /// Serve from a PostgreSQL that acknowledges before it has synced (`fsync=off` and the like), and so loses orders
    /// when it crashes.
    #[arg(long, env = "ORDER_SERVICE_ALLOW_UNSAFE_DURABILITY", num_args = 0..=1, default_missing_value = "true")]
    allow_unsafe_durability: Option<bool>,
}

/// How requests come in.
#[derive(Debug, Default, Args, Deserialize)]
pub(crate) struct HttpOptions {
    /// Where requests come in: `:8080` (this machine only), `0.0.0.0:8080` (every interface) [default: :8080].
    #[arg(long, value_name = "ADDRESS", env = "ORDER_SERVICE_LISTEN")]
    listen: Option<String>,
    /// Most connections at once; more wait [default: 10000].
    #[arg(long, value_name = "N", env = "ORDER_SERVICE_MAX_CONNECTIONS")]
    max_connections: Option<u32>,
    /// How long a request's head may take, and a connection may stay idle, in seconds [default: 60].
    #[arg(long, value_name = "SECONDS", env = "ORDER_SERVICE_IDLE_TIMEOUT_SECONDS")]
    idle_timeout_seconds: Option<u32>,
    /// How long a request's body may take, in seconds [default: 30].
    #[arg(long, value_name = "SECONDS", env = "ORDER_SERVICE_BODY_TIMEOUT_SECONDS")]
    body_timeout_seconds: Option<u32>,
    /// How long what is in flight may take after SIGTERM or Ctrl+C, in seconds [default: 25].
    #[arg(long, value_name = "SECONDS", env = "ORDER_SERVICE_GRACE_SECONDS")]
    grace_seconds: Option<u32>,
}

/// How events look outside of the store.
#[derive(Debug, Default, Args, Deserialize)]
pub(crate) struct EventOptions {
    /// What events give as their source; on a replica as on its primary [default: /order-service].
    #[arg(long, value_name = "URI", env = "ORDER_SERVICE_EVENT_SOURCE")]
    event_source: Option<String>,
}

/// What goes to standard error.
#[derive(Debug, Default, Args, Deserialize)]
pub(crate) struct LogOptions {
    /// What is logged: a level, or a list such as `info,order_store=debug` [default: info].
    #[arg(long, value_name = "FILTER", env = "ORDER_SERVICE_LOG")]
    log: Option<String>,
    /// How log lines look [default: auto].
    #[arg(long, value_enum, env = "ORDER_SERVICE_LOG_FORMAT")]
    log_format: Option<LogFormat>,
}

/// Where events go, and how.
#[derive(Debug, Default, Args, Deserialize)]
pub(crate) struct RelayOptions {
    /// Relay every event to this broker: `nats://HOST` (JetStream) or `kafka://HOST`, with options such as `?stream=ORDERS`
    /// or `?topic=orders.events`. May be given several times; in the environment they are separated by spaces.
    #[arg(
        long,
        value_name = "URL",
        env = "ORDER_SERVICE_BUS",
        hide_env_values = true,
        value_delimiter = ' '
    )]
    bus: Option<Vec<String>>,
    #[command(flatten)]
    #[serde(flatten)]
    events: EventOptions,
    #[command(flatten)]
    #[serde(flatten)]
    log: LogOptions,
}

/// How to serve.
#[derive(Debug, Default, Args, Deserialize)]
pub(crate) struct ServeOptions {
    #[command(flatten)]
    #[serde(flatten)]
    http: HttpOptions,
    /// The currency of an order that names none, by its ISO 4217 code [default: USD].
    #[arg(long, value_name = "CODE", env = "ORDER_SERVICE_CURRENCY")]
    currency: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    scrub: ScrubOptions,
    #[command(flatten)]
    #[serde(flatten)]
    relay: RelayOptions,
}

/// Everything that `serve` needs to know, valid.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) store: StoreUrl,
    pub(crate) http: HttpSettings,
    pub(crate) currency: Currency,
    pub(crate) scrub_rate: Option<NonZeroU32>,
    pub(crate) brokers: Vec<BrokerUrl>,
    pub(crate) event_source: String,
    pub(crate) log: LogSettings,
}

/// How requests come in.
#[derive(Debug)]
pub(crate) struct HttpSettings {
    pub(crate) listen: ListenAddress,
    pub(crate) limits: Limits,
    pub(crate) body_timeout: Duration,
    pub(crate) grace: Duration,
}

/// What goes to standard error, and how.
#[derive(Debug)]
pub(crate) struct LogSettings {
    pub(crate) filter: EnvFilter,
    pub(crate) format: LogFormat,
}

/// Puts the sources together and names every fault at once.
pub(crate) fn resolve(store: StoreOptions, serve: ServeOptions, mut file: File) -> Result<Settings, Failure> {
    let mut faults = Vec::new();
    let store = store_url(store, file.take(&mut faults), &mut faults);
    let in_file: ServeOptions = file.take(&mut faults);
    let http = http_settings(serve.http, in_file.http, &mut faults);
    let currency = serve.currency.or(in_file.currency).unwrap_or_else(|| "USD".to_owned());
    let currency = Currency::from_code(&currency).unwrap_or_else(|| {
        faults.push(format!("currency: {currency:?} is not an ISO 4217 code such as USD"));
        Currency::USD
    });
    let scrub_rate = scrub_rate(serve.scrub, in_file.scrub);
    let (relay, in_file) = (serve.relay, in_file.relay);
    let brokers = broker_urls(relay.bus.or(in_file.bus), &mut faults);
    let event_source = event_source(relay.events, in_file.events, &mut faults);
    let log = log_settings(relay.log, in_file.log, &mut faults);
    let settings = Settings { store, http, currency, scrub_rate, brokers, event_source, log };
    file.rest(&mut faults);
    if faults.is_empty() { Ok(settings) } else { Err(Failure::Usage(faults)) }
}

/// What `relay` needs to know.
#[derive(Debug)]
pub(crate) struct RelaySettings {
    pub(crate) store: StoreUrl,
    pub(crate) brokers: Vec<BrokerUrl>,
    pub(crate) event_source: String,
    pub(crate) log: LogSettings,
}

/// The same for `relay`.
pub(crate) fn resolve_relay(
    store: StoreOptions,
    relay: RelayOptions,
    mut file: File,
) -> Result<RelaySettings, Failure> {
    let mut faults = Vec::new();
    let store = store_url(store, file.take(&mut faults), &mut faults);
    let in_file: RelayOptions = file.take(&mut faults);
    let brokers = broker_urls(relay.bus.or(in_file.bus), &mut faults);
    if brokers.is_empty() && faults.is_empty() {
        faults.push("bus: name the broker to publish to".to_owned());
    }
    let event_source = event_source(relay.events, in_file.events, &mut faults);
    let log = log_settings(relay.log, in_file.log, &mut faults);
    let settings = RelaySettings { store, brokers, event_source, log };
    file.rest(&mut faults);
    if faults.is_empty() { Ok(settings) } else { Err(Failure::Usage(faults)) }
}

/// The same for commands that only open a store.
pub(crate) fn resolve_store(store: StoreOptions, mut file: File) -> Result<StoreUrl, Failure> {
    let mut faults = Vec::new();
    let store = store_url(store, file.take(&mut faults), &mut faults);
    file.rest(&mut faults);
    if faults.is_empty() { Ok(store) } else { Err(Failure::Usage(faults)) }
}

fn http_settings(given: HttpOptions, in_file: HttpOptions, faults: &mut Vec<String>) -> HttpSettings {
    let mut at_least_1 = |name: &str, given: Option<u32>, in_file: Option<u32>, default: u32| {
        let value = given.or(in_file).unwrap_or(default);
        if value == 0 {
            faults.push(format!("{name} must be at least 1"));
        }
        value
    };
    let connections = at_least_1("max-connections", given.max_connections, in_file.max_connections, 10_000);
    let mut seconds =
        |name, given, in_file, default| Duration::from_secs(at_least_1(name, given, in_file, default).into());
    let idle_timeout =
        seconds("idle-timeout-seconds", given.idle_timeout_seconds, in_file.idle_timeout_seconds, 60);
    let body_timeout =
        seconds("body-timeout-seconds", given.body_timeout_seconds, in_file.body_timeout_seconds, 30);
    let grace = seconds("grace-seconds", given.grace_seconds, in_file.grace_seconds, 25);
    let listen = given.listen.or(in_file.listen).map_or(ListenAddress::DEFAULT, |text| {
        text.parse().unwrap_or_else(|fault| {
            faults.push(format!("listen: {fault}"));
            ListenAddress::DEFAULT
        })
    });
    let limits = Limits { connections: connections as usize, idle_timeout };
    HttpSettings { listen, limits, body_timeout, grace }
}

fn broker_urls(urls: Option<Vec<String>>, faults: &mut Vec<String>) -> Vec<BrokerUrl> {
    let mut brokers = Vec::<BrokerUrl>::new();
    for url in urls.unwrap_or_default().iter().filter(|url| !url.is_empty()) {
        match url.parse::<BrokerUrl>() {
            Ok(broker) if brokers.iter().any(|other| other.name() == broker.name()) => faults.push(format!(
                "bus: two brokers go by the name {}, which their checkpoint would share; tell them apart with ?name=…",
                broker.name()
            )),
            Ok(broker) => brokers.push(broker),
            Err(fault) => faults.push(format!("bus: {fault}")),
        }
    }
    brokers
}

fn event_source(given: EventOptions, in_file: EventOptions, faults: &mut Vec<String>) -> String {
    let event_source =
        given.event_source.or(in_file.event_source).unwrap_or_else(|| "/order-service".to_owned());
    if event_source.is_empty() || event_source.chars().any(|c| c.is_control() || c.is_whitespace()) {
        faults.push("event-source must be a URI reference such as /order-service".to_owned());
    }
    event_source
}

fn log_settings(given: LogOptions, in_file: LogOptions, faults: &mut Vec<String>) -> LogSettings {
    let log = given.log.or(in_file.log).unwrap_or_else(|| "info".to_owned());
    // A client that goes away is no news here, and what goes on inside a broker's client is told by its relay.
    let filter = EnvFilter::try_new(format!("hyper=error,async_nats=error,{log}")).unwrap_or_else(|error| {
        faults.push(format!("log: {error}"));
        EnvFilter::default()
    });
    LogSettings { filter, format: given.log_format.or(in_file.log_format).unwrap_or(LogFormat::Auto) }
}

fn store_url(given: StoreOptions, in_file: StoreOptions, faults: &mut Vec<String>) -> StoreUrl {
    let connections = given.postgres_connections.or(in_file.postgres_connections);
    let allow_unsafe = given.allow_unsafe_durability.or(in_file.allow_unsafe_durability).unwrap_or_default();
    // Naming a store takes the place of naming a directory in the file, and the other way round.
    let options = if given.data_dir.is_some() || given.store.is_some() { given } else { in_file };
    let mut store = match (options.data_dir, options.store) {
        (Some(_), Some(_)) => {
            faults.push("data-dir and store both say where orders are kept: give one of them".to_owned());
            StoreUrl::Memory
        }
        (Some(directory), None) => StoreUrl::in_directory(&directory),
        (None, Some(url)) => url.parse().unwrap_or_else(|fault| {
            faults.push(format!("store: {fault}"));
            StoreUrl::Memory
        }),
        (None, None) => StoreUrl::in_directory(Path::new("data")),
    };
    if connections == Some(0) {
        faults.push("postgres-connections must be at least 1".to_owned());
    }
    if let StoreUrl::Postgres { options, .. } = &mut store {
        options.allow_unsafe_durability = allow_unsafe;
        if let Some(connections) = connections {
            options.read_connections = connections as usize;
        }
    }
    store
}
