//! Settings: from the command line, the environment and a file, checked all at once before anything starts.

mod replica;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use order_bus::BrokerUrl;
use order_domain::Currency;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tracing_subscriber::EnvFilter;

use crate::cli::Failure;
use crate::listen::ListenAddress;
use crate::logging::LogFormat;
use crate::store_url::StoreUrl;

pub(crate) use replica::{
    ExportOptions, ExportSettings, ReplicaOptions, ReplicaSettings, resolve_export, resolve_replica,
};

/// Where orders are kept.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoreOptions {
    /// Keep orders under this directory [default: data].
    #[arg(long, value_name = "DIR", env = "ORDER_SERVICE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Keep orders in this store instead: `sqlite:FILE`, `postgres://USER@HOST/DATABASE`, or `memory:` (gone at exit).
    #[arg(long, value_name = "URL", env = "ORDER_SERVICE_STORE", hide_env_values = true)]
    store: Option<String>,
    /// Connections to PostgreSQL for reads; one more is for writing [default: 8].
    #[arg(long, value_name = "N", env = "ORDER_SERVICE_POSTGRES_CONNECTIONS")]
    postgres_connections: Option<u32>,
    /// Serve from a PostgreSQL that acknowledges before it has synced (`fsync=off` and the like), and so loses orders
    /// when it crashes.
    #[arg(long, env = "ORDER_SERVICE_ALLOW_UNSAFE_DURABILITY", num_args = 0..=1, default_missing_value = "true")]
    allow_unsafe_durability: Option<bool>,
}

/// How to serve.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServeOptions {
    /// Where requests come in: `:8080` (this machine only), `0.0.0.0:8080` (every interface) [default: :8080].
    #[arg(long, value_name = "ADDRESS", env = "ORDER_SERVICE_LISTEN")]
    listen: Option<String>,
    /// The currency of an order that names none, by its ISO 4217 code [default: USD].
    #[arg(long, value_name = "CODE", env = "ORDER_SERVICE_CURRENCY")]
    currency: Option<String>,
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
    /// What events give as their source [default: /order-service].
    #[arg(long, value_name = "URI", env = "ORDER_SERVICE_EVENT_SOURCE")]
    event_source: Option<String>,
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
    /// What is logged: a level, or a list such as `info,order_store=debug` [default: info].
    #[arg(long, value_name = "FILTER", env = "ORDER_SERVICE_LOG")]
    log: Option<String>,
    /// How log lines look [default: auto].
    #[arg(long, value_enum, env = "ORDER_SERVICE_LOG_FORMAT")]
    log_format: Option<LogFormat>,
}

/// The names of [`StoreOptions`]: every command that opens a store knows these, and passes over the others in a file.
const STORE_OPTIONS: [&str; 4] = ["data_dir", "store", "postgres_connections", "allow_unsafe_durability"];

/// What `--config` names: the same options, under the same names.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct File {
    #[serde(flatten)]
    all: toml::Table,
}

impl File {
    /// Reads the file, if one is named.
    pub(crate) fn read(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self::default()) };
        let fault =
            |error: &dyn std::fmt::Display| Failure::Usage(vec![format!("{}: {error}", path.display())]);
        let text = std::fs::read_to_string(path).map_err(|error| fault(&error))?;
        let all: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            fault(&format_args!("line {}: {}", before.matches('\n').count() + 1, error.message()))
        })?;
        Ok(Self { all })
    }

    /// Splits the options by whom they are for. Names that nobody knows and values that cannot be are faults.
    fn options(self, faults: &mut Vec<String>) -> (StoreOptions, ServeOptions) {
        let (store, serve): (toml::Table, toml::Table) = self
            .all
            .into_iter()
            .filter(|(name, _)| !replica::REPLICA_OPTIONS.contains(&name.as_str()))
            .partition(|(name, _)| STORE_OPTIONS.contains(&name.as_str()));
        (read_options(store, faults), read_options(serve, faults))
    }
}

/// Reads options one by one first, so that each fault is told, with the name of the option.
fn read_options<T: Default + DeserializeOwned>(mut table: toml::Table, faults: &mut Vec<String>) -> T {
    table.retain(|name, value| {
        let alone = toml::Table::from_iter([(name.to_owned(), value.clone())]);
        let read = alone.try_into::<T>();
        read.map_err(|error| faults.push(format!("{name} in the file: {}", error.message()))).is_ok()
    });
    table.try_into().unwrap_or_else(|error: toml::de::Error| {
        faults.push(error.message().to_owned());
        T::default()
    })
}

/// Everything that `serve` needs to know, valid.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) store: StoreUrl,
    pub(crate) listen: ListenAddress,
    pub(crate) currency: Currency,
    pub(crate) event_source: String,
    pub(crate) brokers: Vec<BrokerUrl>,
    pub(crate) max_connections: usize,
    pub(crate) idle_timeout: Duration,
    pub(crate) body_timeout: Duration,
    pub(crate) grace: Duration,
    pub(crate) log_filter: EnvFilter,
    pub(crate) log_format: LogFormat,
}

/// Puts the sources together and names every fault at once.
pub(crate) fn resolve(store: StoreOptions, serve: ServeOptions, file: File) -> Result<Settings, Failure> {
    let mut faults = Vec::new();
    let (file_store, file_serve) = file.options(&mut faults);
    let store = store_url(store, file_store, &mut faults);

    let mut seconds = |name: &str, given: Option<u32>, in_file: Option<u32>, default: u32| {
        let seconds = given.or(in_file).unwrap_or(default);
        if seconds == 0 {
            faults.push(format!("{name} must be at least 1"));
        }
        Duration::from_secs(seconds.into())
    };
    let idle_timeout =
        seconds("idle-timeout-seconds", serve.idle_timeout_seconds, file_serve.idle_timeout_seconds, 60);
    let body_timeout =
        seconds("body-timeout-seconds", serve.body_timeout_seconds, file_serve.body_timeout_seconds, 30);
    let grace = seconds("grace-seconds", serve.grace_seconds, file_serve.grace_seconds, 25);

    let max_connections = serve.max_connections.or(file_serve.max_connections).unwrap_or(10_000);
    if max_connections == 0 {
        faults.push("max-connections must be at least 1".to_owned());
    }
    let listen = match serve.listen.or(file_serve.listen) {
        Some(text) => text.parse().unwrap_or_else(|fault| {
            faults.push(format!("listen: {fault}"));
            ListenAddress::DEFAULT
        }),
        None => ListenAddress::DEFAULT,
    };
    let currency = serve.currency.or(file_serve.currency).unwrap_or_else(|| "USD".to_owned());
    let currency = Currency::from_code(&currency).unwrap_or_else(|| {
        faults.push(format!("currency: {currency:?} is not an ISO 4217 code such as USD"));
        Currency::USD
    });
    let brokers = broker_urls(serve.bus.or(file_serve.bus).unwrap_or_default(), &mut faults);
    let event_source = event_source(serve.event_source.or(file_serve.event_source), &mut faults);
    let log_filter = log_filter(serve.log.or(file_serve.log), &mut faults);
    let settings = Settings {
        store,
        listen,
        currency,
        event_source,
        brokers,
        max_connections: max_connections as usize,
        idle_timeout,
        body_timeout,
        grace,
        log_filter,
        log_format: serve.log_format.or(file_serve.log_format).unwrap_or(LogFormat::Auto),
    };
    if faults.is_empty() { Ok(settings) } else { Err(Failure::Usage(faults)) }
}

/// What `relay` needs to know.
#[derive(Debug)]
pub(crate) struct RelaySettings {
    pub(crate) store: StoreUrl,
    pub(crate) brokers: Vec<BrokerUrl>,
    pub(crate) event_source: String,
    pub(crate) log_filter: EnvFilter,
}

/// The options of `serve` that `relay` has as well.
#[derive(Debug, Args)]
pub(crate) struct RelayOptions {
    /// The broker to publish to, as for `serve`; may be given several times.
    #[arg(
        long,
        value_name = "URL",
        env = "ORDER_SERVICE_BUS",
        hide_env_values = true,
        value_delimiter = ' '
    )]
    bus: Option<Vec<String>>,
    /// What events give as their source [default: /order-service].
    #[arg(long, value_name = "URI", env = "ORDER_SERVICE_EVENT_SOURCE")]
    event_source: Option<String>,
    /// What is logged: a level, or a list such as `info,order_bus=debug` [default: info].
    #[arg(long, value_name = "FILTER", env = "ORDER_SERVICE_LOG")]
    log: Option<String>,
}

/// The same for `relay`.
pub(crate) fn resolve_relay(
    store: StoreOptions,
    relay: RelayOptions,
    file: File,
) -> Result<RelaySettings, Failure> {
    let mut faults = Vec::new();
    let (file_store, file_serve) = file.options(&mut faults);
    let store = store_url(store, file_store, &mut faults);
    let brokers = broker_urls(relay.bus.or(file_serve.bus).unwrap_or_default(), &mut faults);
    if brokers.is_empty() && faults.is_empty() {
        faults.push("bus: name the broker to publish to".to_owned());
    }
    let event_source = event_source(relay.event_source.or(file_serve.event_source), &mut faults);
    let log_filter = log_filter(relay.log.or(file_serve.log), &mut faults);
    let settings = RelaySettings { store, brokers, event_source, log_filter };
    if faults.is_empty() { Ok(settings) } else { Err(Failure::Usage(faults)) }
}

fn broker_urls(urls: Vec<String>, faults: &mut Vec<String>) -> Vec<BrokerUrl> {
    let mut brokers = Vec::<BrokerUrl>::new();
    for url in urls.iter().filter(|url| !url.is_empty()) {
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

fn event_source(given: Option<String>, faults: &mut Vec<String>) -> String {
    let event_source = given.unwrap_or_else(|| "/order-service".to_owned());
    if event_source.is_empty() || event_source.chars().any(|c| c.is_control() || c.is_whitespace()) {
        faults.push("event-source must be a URI reference such as /order-service".to_owned());
    }
    event_source
}

fn log_filter(given: Option<String>, faults: &mut Vec<String>) -> EnvFilter {
    let log = given.unwrap_or_else(|| "info".to_owned());
    // A client that goes away is no news here, and what goes on inside a broker's client is told by its relay.
    EnvFilter::try_new(format!("hyper=error,async_nats=error,{log}")).unwrap_or_else(|error| {
        faults.push(format!("log: {error}"));
        EnvFilter::default()
    })
}

/// The same for commands that only open a store.
pub(crate) fn resolve_store(store: StoreOptions, file: File) -> Result<StoreUrl, Failure> {
    let mut faults = Vec::new();
    let (file_store, _) = file.options(&mut faults);
    let store = store_url(store, file_store, &mut faults);
    if faults.is_empty() { Ok(store) } else { Err(Failure::Usage(faults)) }
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
            options.limits.read_connections = connections as usize;
        }
    }
    store
}
