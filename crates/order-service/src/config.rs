//! Options: what they mean, how they are spelt, what they are when nobody gives them. Where they are given is the matter of
//! [`sources`].

mod file;
mod sources;
mod variables;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, Args};
use order_bus::BrokerUrl;
use order_domain::Currency;
use tracing_subscriber::EnvFilter;

use crate::access::{AccessOptions, FileAccess};
use crate::cli::Failure;
use crate::listen::ListenAddress;
use crate::logging::{LogFormat, log_filter};
use crate::server::Limits;
use crate::store_url::StoreUrl;
use crate::tls::TlsFiles;

pub(crate) use sources::read;
pub(crate) use variables::unknown_variables;

/// What a command may take besides its wait in the store's queue before its connection may give way to another: 5 s behind others
/// to the same order, and being written.
const IN_SERVICE_BESIDES: Duration = Duration::from_secs(9);

/// Where orders are kept.
#[derive(Debug, Args)]
pub(crate) struct StoreOptions {
    /// Keep orders under this directory.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,
    /// Keep orders in this store instead: `sqlite:FILE`, `postgres://USER@HOST/DATABASE`, or `memory:` (gone at exit).
    #[arg(long, value_name = "URL", hide_env_values = true)]
    store: Option<StoreUrl>,
    /// Connections to PostgreSQL for reads; two more are for appends and for repairing views.
    #[arg(long, value_name = "N", default_value = "8", value_parser = positive::<usize>)]
    postgres_connections: usize,
    /// Serve from a PostgreSQL that acknowledges before it has synced (`fsync=off` and the like), and so loses orders
    /// when it crashes.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    allow_unsafe_durability: bool,
}

impl StoreOptions {
    /// The store that they name.
    pub(crate) fn url(self) -> StoreUrl {
        let mut url = self.store.unwrap_or_else(|| StoreUrl::Sqlite(self.data_dir.join("orders.db")));
        if let StoreUrl::Postgres { options, .. } = &mut url {
            options.read_connections = self.postgres_connections;
            options.allow_unsafe_durability = self.allow_unsafe_durability;
        }
        url
    }
}

/// How requests come in.
#[derive(Debug, Args)]
pub(crate) struct HttpOptions {
    /// Where requests come in: `:8080` (this machine only), `0.0.0.0:8080` (every interface).
    #[arg(long, value_name = "ADDRESS", default_value = ":8080")]
    pub(crate) listen: ListenAddress,
    /// Where operators alone come in, as for `listen`: `/health`, `/ready` and `/metrics`, answered whatever clients do elsewhere.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) operate_listen: Option<ListenAddress>,
    /// Encrypt what comes in at `listen`, with the certificate in this PEM file, followed by those that lead to its root. It is
    /// read again when it changes.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, in a PEM file, without a passphrase.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    #[command(flatten)]
    access: AccessOptions,
    /// Most connections at once; when there are as many, the one gives way on which nothing has moved for longest.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = positive::<u32>)]
    max_connections: u32,
    /// Most bytes of answers that clients have not taken yet, of all connections together; more wait until some are taken.
    #[arg(long, value_name = "BYTES", default_value = "134217728", value_parser = answer_bytes)]
    max_answer_bytes: u32,
    /// How long a request's head may take, a connection may stay idle, and a client may take nothing of an answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    idle_timeout_seconds: Duration,
    /// How long a request's body may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) body_timeout_seconds: Duration,
    /// Most bytes of bodies that are being read, of all requests together; beyond it the answer is 503.
    #[arg(long, value_name = "BYTES", default_value = "67108864", value_parser = positive::<usize>)]
    pub(crate) max_open_body_bytes: usize,
    /// Most bytes, about, of pages of orders and events that are being made and sent, all together; beyond it the answer is 503.
    #[arg(long, value_name = "BYTES", default_value = "134217728", value_parser = positive::<usize>)]
    pub(crate) max_open_page_bytes: usize,
    /// Most live feeds at once; beyond it the answer is 503.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = positive::<usize>)]
    pub(crate) max_feeds: usize,
    /// How long requests are served on after SIGTERM or Ctrl+C while `/ready` says no, in seconds: until load balancers have
    /// seen it.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds_or_none)]
    pub(crate) drain_delay_seconds: Duration,
    /// How long what is in flight may take after that, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "25", value_parser = seconds)]
    pub(crate) grace_seconds: Duration,
}

impl HttpOptions {
    /// What the service proves its name with, if connections are encrypted.
    pub(crate) fn tls_files(&self) -> Option<TlsFiles> {
        let (certificate, key) = (self.tls_cert.clone()?, self.tls_key.clone()?);
        Some(TlsFiles { certificate, key })
    }

    /// Who may do what.
    ///
    /// # Errors
    /// The file that says it is bad; or nobody says it, and other machines could reach the service.
    pub(crate) fn access(&self) -> Result<Option<Arc<FileAccess>>, Failure> {
        let operators = self.operate_listen.map(|address| ("operate-listen", address));
        let addresses: Vec<_> = [("listen", self.listen)].into_iter().chain(operators).collect();
        self.access.rules(&addresses)
    }

    /// Bounds of the server, given how long a command may wait in the store's queue.
    pub(crate) fn limits(&self, queue_wait: Duration) -> Limits {
        Limits {
            connections: self.max_connections as usize,
            idle_timeout: self.idle_timeout_seconds,
            answer_bytes: self.max_answer_bytes as usize,
            in_service: queue_wait + IN_SERVICE_BESIDES,
        }
    }
}

/// How long commands wait for the store.
#[derive(Debug, Args)]
pub(crate) struct QueueOptions {
    /// How long a command waits in the store's queue at most, in milliseconds; then it is refused as overloaded, and nothing
    /// has happened.
    #[arg(long, value_name = "MILLISECONDS", default_value = "1000", value_parser = milliseconds)]
    pub(crate) queue_wait_milliseconds: Duration,
}

/// How fast the views are compared with the log.
#[derive(Debug, Args)]
pub(crate) struct ScrubOptions {
    /// Compare the views with the log in the background, at this many events a second; 0 switches it off.
    // So slow that nobody notices it, and yet a million events take no more than 17 minutes.
    #[arg(long, value_name = "EVENTS", default_value = "1000")]
    pub(crate) scrub_rate: u32,
}

/// What the service does by itself.
#[derive(Debug, Args)]
pub(crate) struct UpkeepOptions {
    /// How long timers (reservations that run out, orders that are not paid in time) and the forgetting of Idempotency-Keys wait
    /// when the clock has jumped by more than five minutes, in seconds: whoever set it wrong may set it right meanwhile.
    #[arg(long, value_name = "SECONDS", default_value = "900", value_parser = seconds)]
    pub(crate) clock_pause_seconds: Duration,
    /// How long it is known what was answered under an Idempotency-Key, in hours, at least 24.
    #[arg(long, value_name = "HOURS", default_value = "24", value_parser = hours_of_keys)]
    pub(crate) keep_keys_hours: Duration,
}

/// How events look outside of the store.
#[derive(Debug, Args)]
pub(crate) struct EventOptions {
    /// What events give as their source; on a replica as on its primary.
    #[arg(long, value_name = "URI", default_value = "/order-service", value_parser = event_source)]
    pub(crate) event_source: String,
}

/// What goes to standard error.
#[derive(Debug, Args)]
pub(crate) struct LogOptions {
    /// What is logged: a level, or a list such as `info,order_store=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info", value_parser = log_filter)]
    pub(crate) log: EnvFilter,
    /// How log lines look.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) log_format: LogFormat,
}

/// Where events go, and how.
#[derive(Debug, Args)]
pub(crate) struct RelayOptions {
    /// Relay every event to this broker: `nats://HOST` (JetStream) or `kafka://HOST`, with options such as `?stream=ORDERS`
    /// or `?topic=orders.events`. May be given several times; in the environment they are separated by spaces.
    #[arg(long, value_name = "URL", hide_env_values = true, value_delimiter = ' ')]
    pub(crate) bus: Vec<BrokerUrl>,
    #[command(flatten)]
    pub(crate) events: EventOptions,
    #[command(flatten)]
    pub(crate) log: LogOptions,
}

/// How to serve.
#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    #[command(flatten)]
    pub(crate) store: StoreOptions,
    /// Serve from SQLite files that do not belong together, or from which acknowledged events are missing as something still
    /// knows: with what is there, and without what knows of more. Restore a backup instead if there is one.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    pub(crate) accept_loss: bool,
    #[command(flatten)]
    pub(crate) queue: QueueOptions,
    #[command(flatten)]
    pub(crate) http: HttpOptions,
    /// The currency of an order that names none, by its ISO 4217 code.
    #[arg(long, value_name = "CODE", default_value = "USD", value_parser = currency)]
    pub(crate) currency: Currency,
    #[command(flatten)]
    pub(crate) upkeep: UpkeepOptions,
    #[command(flatten)]
    pub(crate) scrub: ScrubOptions,
    #[command(flatten)]
    pub(crate) relay: RelayOptions,
}

/// What to follow, and how to serve.
#[derive(Debug, Args)]
pub(crate) struct ReplicaOptions {
    /// The broker that the primary relays its events to: `nats://HOST` or `kafka://HOST`, with options such as
    /// `?stream=ORDERS` or `?topic=orders.events`.
    #[arg(long, value_name = "URL", hide_env_values = true)]
    pub(crate) from: BrokerUrl,
    /// Read this file first: what `export` has written on the primary, one event a line. For a broker whose history does
    /// not reach back to the first event, or not to where this replica is.
    #[arg(long, value_name = "FILE")]
    pub(crate) from_file: Option<PathBuf>,
    /// Keep orders here: `sqlite:FILE`, or `memory:` (gone at exit).
    // A directory of its own, beside that of `serve`.
    #[arg(long, value_name = "URL", hide_env_values = true, default_value = "sqlite:replica/orders.db", value_parser = replica_store)]
    pub(crate) store: StoreUrl,
    #[command(flatten)]
    pub(crate) http: HttpOptions,
    #[command(flatten)]
    pub(crate) scrub: ScrubOptions,
    #[command(flatten)]
    pub(crate) events: EventOptions,
    #[command(flatten)]
    pub(crate) log: LogOptions,
}

/// A whole number from 1.
pub(crate) fn positive<N: FromStr + Default + PartialOrd>(text: &str) -> Result<N, &'static str> {
    text.parse().ok().filter(|number| *number > N::default()).ok_or("must be a whole number from 1")
}

/// Room for any answer that is there as a whole.
const LEAST_ANSWER_BYTES: u32 = 16 * 1024 * 1024;

fn answer_bytes(text: &str) -> Result<u32, &'static str> {
    let bytes = text.parse().ok().filter(|bytes| *bytes >= LEAST_ANSWER_BYTES);
    bytes.ok_or("must be a whole number from 16777216")
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    Ok(Duration::from_secs(positive::<u32>(text)?.into()))
}

fn seconds_or_none(text: &str) -> Result<Duration, &'static str> {
    let seconds = text.parse::<u32>().map_err(|_| "must be a whole number from 0")?;
    Ok(Duration::from_secs(seconds.into()))
}

fn milliseconds(text: &str) -> Result<Duration, &'static str> {
    Ok(Duration::from_millis(positive::<u32>(text)?.into()))
}

/// For as long as clients may rely on, whatever the setting.
const LEAST_HOURS_OF_KEYS: u32 = 24;

fn hours_of_keys(text: &str) -> Result<Duration, &'static str> {
    let hours = text.parse::<u32>().ok().filter(|hours| *hours >= LEAST_HOURS_OF_KEYS);
    hours.map(|hours| Duration::from_secs(u64::from(hours) * 3600)).ok_or("must be a whole number from 24")
}

fn currency(text: &str) -> Result<Currency, String> {
    Currency::from_code(text).ok_or_else(|| format!("{text:?} is not an ISO 4217 code such as USD"))
}

fn event_source(text: &str) -> Result<String, &'static str> {
    let usable = !text.is_empty() && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    usable.then(|| text.to_owned()).ok_or("must be a URI reference such as /order-service")
}

fn replica_store(text: &str) -> Result<StoreUrl, String> {
    match text.parse()? {
        StoreUrl::Postgres { .. } => Err("a replica keeps its orders in sqlite:FILE or memory:".to_owned()),
        store @ (StoreUrl::Memory | StoreUrl::Sqlite(_)) => Ok(store),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Given {
        #[command(flatten)]
        http: HttpOptions,
        #[command(flatten)]
        queue: QueueOptions,
    }

    #[test]
    fn a_command_keeps_its_connection_however_long_it_may_wait_for_the_store() {
        for (given, in_service) in [(&[][..], 10), (&["--queue-wait-milliseconds", "20000"], 29)] {
            let Given { http, queue } = Given::parse_from([&["serve"][..], given].concat());
            let limits = http.limits(queue.queue_wait_milliseconds);
            assert_eq!(limits.in_service, Duration::from_secs(in_service));
        }
    }
}
