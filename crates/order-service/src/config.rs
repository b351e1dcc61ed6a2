//! Options: what they mean, how they are spelt, what they are when nobody gives them. Where they are given is the matter of
//! [`sources`], and what may be given that of [`values`].
//!
//! Help shows them under headings, in the order in which `serve` has its groups here: from what whoever starts it for the first
//! time asks to what one may never need.

mod file;
mod sources;
mod values;
mod variables;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};
use order_bus::BrokerUrl;
use order_domain::Currency;
use tracing_subscriber::EnvFilter;

use crate::access::AccessOptions;
use crate::listen::ListenAddress;
use crate::logging::{LogFormat, log_filter};
use crate::server::Limits;
use crate::store_url::StoreUrl;
use crate::tls::TlsFiles;

pub(crate) use sources::{command, read};
pub(crate) use values::positive;
pub(crate) use variables::unknown_variables;

/// A client that has moved within this time is about to move again.
const LEAST_STILLNESS: Duration = Duration::from_millis(200);
/// How many connections may wait for a place, each for others of its address to be still. As long as some are, a thousand have one
/// within a second or so.
const MOST_WAITING: usize = 1024;
/// What a command may take besides its wait in the store's queue before its connection may give way to another: 5 s behind others
/// to the same order, and being written.
const IN_SERVICE_BESIDES: Duration = Duration::from_secs(9);

/// How to serve.
#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    #[command(flatten)]
    pub(crate) listening: ListenOptions,
    #[command(flatten)]
    pub(crate) store: StoreOptions,
    /// Serve from a store from which acknowledged events are missing as something still knows, or from SQLite files that do not
    /// belong together: with what is there, and without what knows of more. Restore a backup instead if there is one.
    #[arg(long, help_heading = "Store", value_name = "true|false", hide_possible_values = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    pub(crate) accept_loss: bool,
    /// Serve only from a store that is there: where there is none, end, and make no new, empty one.
    #[arg(long, help_heading = "Store", value_name = "true|false", hide_possible_values = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    pub(crate) existing_store: bool,
    #[command(flatten)]
    pub(crate) scrub: ScrubOptions,
    #[command(flatten)]
    pub(crate) access: AccessOptions,
    #[command(flatten)]
    pub(crate) relay: RelayOptions,
    #[command(flatten)]
    pub(crate) orders: OrderOptions,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
    #[command(flatten)]
    pub(crate) queue: QueueOptions,
    #[command(flatten)]
    pub(crate) stopping: StopOptions,
    #[command(flatten)]
    pub(crate) log: LogOptions,
}

/// What to follow, and how to serve.
#[derive(Debug, Args)]
pub(crate) struct ReplicaOptions {
    /// The broker that the primary relays its events to: `nats://HOST` or `kafka://HOST`, with options such as
    /// `?stream=ORDERS` or `?topic=orders.events`.
    #[arg(long, help_heading = "Events", value_name = "URL")]
    pub(crate) from: BrokerUrl,
    /// Read this file first: what `export` has written on the primary, one event a line. For a broker whose history does
    /// not reach back to the first event, or not to where this replica is.
    #[arg(long, help_heading = "Events", value_name = "FILE")]
    pub(crate) from_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) events: EventOptions,
    #[command(flatten)]
    pub(crate) listening: ListenOptions,
    /// Keep orders here: `sqlite:FILE`, or `memory:` (gone at exit).
    // A directory of its own, beside that of `serve`.
    #[arg(long, help_heading = "Store", value_name = "URL", default_value = "sqlite:replica/orders.db", value_parser = values::replica_store)]
    pub(crate) store: StoreUrl,
    #[command(flatten)]
    pub(crate) scrub: ScrubOptions,
    #[command(flatten)]
    pub(crate) access: AccessOptions,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
    #[command(flatten)]
    pub(crate) stopping: StopOptions,
    #[command(flatten)]
    pub(crate) log: LogOptions,
}

/// Where requests come in.
#[derive(Debug, Args)]
#[command(next_help_heading = "Listening")]
pub(crate) struct ListenOptions {
    /// Where requests come in: `:8080` (this machine only), `0.0.0.0:8080` (every interface).
    #[arg(long, value_name = "ADDRESS", default_value = ":8080")]
    pub(crate) listen: ListenAddress,
    /// Encrypt what comes in at `listen`, with the certificate in this PEM file, followed by those that lead to its root. It is
    /// read again when it changes.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key, in a PEM file, without a passphrase.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Where operators alone come in, as for `listen`: `/health` (the process is alive), `/ready` (it serves) and `/metrics`,
    /// answered whatever clients do elsewhere.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) operate_listen: Option<ListenAddress>,
}

impl ListenOptions {
    /// What the service proves its name with, if connections are encrypted.
    pub(crate) fn tls_files(&self) -> Option<TlsFiles> {
        let (certificate, key) = (self.tls_cert.clone()?, self.tls_key.clone()?);
        Some(TlsFiles { certificate, key })
    }

    /// Where anybody may come in, each address with the option that names it.
    pub(crate) fn addresses(&self) -> Vec<(&'static str, ListenAddress)> {
        let operators = self.operate_listen.map(|address| ("operate-listen", address));
        [("listen", self.listen)].into_iter().chain(operators).collect()
    }
}

/// Where orders are kept.
#[derive(Debug, Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct StoreOptions {
    /// Orders are under this directory.
    #[arg(long, value_name = "DIR", default_value = "data")]
    data_dir: PathBuf,
    /// Orders are in this store instead: `sqlite:FILE`, `postgres://USER@HOST/DATABASE`, or `memory:` (gone at exit).
    #[arg(long, value_name = "URL")]
    store: Option<StoreUrl>,
    /// Connections to PostgreSQL for reads; two more are for appends and for repairing views.
    #[arg(long, value_name = "N", default_value = "8", value_parser = values::positive::<usize>)]
    postgres_connections: usize,
    /// Use a PostgreSQL that acknowledges before it has synced (`fsync=off` and the like), and so loses orders when it
    /// crashes.
    #[arg(long, value_name = "true|false", hide_possible_values = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    allow_unsafe_durability: bool,
}

impl StoreOptions {
    /// Whether nothing is left of it at exit.
    pub(crate) fn is_in_memory(&self) -> bool {
        matches!(self.store, Some(StoreUrl::Memory))
    }

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

/// How fast the views are compared with the log.
#[derive(Debug, Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct ScrubOptions {
    /// Compare the views with the log in the background, at this many events a second; 0 switches it off.
    // So slow that nobody notices it, and yet a million events take no more than 17 minutes.
    #[arg(long, value_name = "EVENTS", default_value = "1000")]
    pub(crate) scrub_rate: u32,
}

/// Where events go, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Events")]
pub(crate) struct RelayOptions {
    /// Publish events to this broker: `nats://HOST` (JetStream) or `kafka://HOST`, with options such as `?stream=ORDERS`
    /// or `?topic=orders.events`. May be given several times; in the environment they are separated by spaces.
    #[arg(long, value_name = "URL", value_delimiter = ' ')]
    pub(crate) bus: Vec<BrokerUrl>,
    #[command(flatten)]
    pub(crate) events: EventOptions,
}

/// How events look outside of the store.
#[derive(Debug, Args)]
#[command(next_help_heading = "Events")]
pub(crate) struct EventOptions {
    /// What events give as their source; on a replica as on its primary.
    #[arg(long, value_name = "URI", default_value = "/order-service", value_parser = values::event_source)]
    pub(crate) event_source: String,
}

/// What orders are when nobody says otherwise, and what they do by themselves.
#[derive(Debug, Args)]
#[command(next_help_heading = "Orders")]
pub(crate) struct OrderOptions {
    /// The currency of an order that names none, by its ISO 4217 code.
    #[arg(long, value_name = "CODE", default_value = "USD", value_parser = values::currency)]
    pub(crate) currency: Currency,
    /// How long it is known what was answered under an Idempotency-Key, in hours, at least 24.
    #[arg(long, value_name = "HOURS", default_value = "24", value_parser = values::hours_of_keys)]
    pub(crate) keep_keys_hours: Duration,
    /// How long timers (reservations that run out, orders that are not paid in time) and the forgetting of Idempotency-Keys wait
    /// when the clock has jumped by more than five minutes, in seconds: whoever set it wrong may set it right meanwhile.
    #[arg(long, value_name = "SECONDS", default_value = "900", value_parser = values::seconds)]
    pub(crate) clock_pause_seconds: Duration,
}

/// How much clients may have of the service, and for how long.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Bounds")]
pub(crate) struct Bounds {
    /// Most connections at once; when there are as many, a still one gives way, of the address that has most.
    #[arg(long, value_name = "N", default_value = "10000", value_parser = values::positive::<u32>)]
    max_connections: u32,
    /// How long a request's head may take, a connection may stay idle, and a client may take nothing of an answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = values::seconds)]
    idle_timeout_seconds: Duration,
    /// How long a request's body may take, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = values::seconds)]
    pub(crate) body_timeout_seconds: Duration,
    /// Most bytes of bodies that are being read, of all requests together; beyond it the answer is 503.
    #[arg(long, value_name = "BYTES", default_value = "67108864", value_parser = values::positive::<usize>)]
    pub(crate) max_open_body_bytes: usize,
    /// Most bytes, about, of pages of orders and events that are being made and sent, all together; beyond it the answer is 503.
    #[arg(long, value_name = "BYTES", default_value = "134217728", value_parser = values::positive::<usize>)]
    pub(crate) max_open_page_bytes: usize,
    /// Most bytes of answers that clients have not taken yet, of all connections together; more wait until some are taken.
    #[arg(long, value_name = "BYTES", default_value = "134217728", value_parser = values::answer_bytes)]
    max_answer_bytes: u32,
    /// Most live feeds at once; beyond it the answer is 503.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = values::positive::<usize>)]
    pub(crate) max_feeds: usize,
}

impl Bounds {
    /// Those of the server, given how long a command may wait in the store's queue.
    pub(crate) fn server(&self, queue_wait: Duration) -> Limits {
        Limits {
            connections: self.max_connections as usize,
            waiting: MOST_WAITING,
            idle_timeout: self.idle_timeout_seconds,
            answer_bytes: self.max_answer_bytes as usize,
            least_stillness: LEAST_STILLNESS,
            in_service: queue_wait + IN_SERVICE_BESIDES,
        }
    }
}

/// How long commands wait for the store.
#[derive(Debug, Args)]
#[command(next_help_heading = "Bounds")]
pub(crate) struct QueueOptions {
    /// How long a command waits in the store's queue at most, in milliseconds; then it is refused as overloaded, and nothing
    /// has happened.
    #[arg(long, value_name = "MILLISECONDS", default_value = "1000", value_parser = values::milliseconds)]
    pub(crate) queue_wait_milliseconds: Duration,
}

/// How long it takes to stop.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Stopping")]
pub(crate) struct StopOptions {
    /// How long requests are served on after SIGTERM or Ctrl+C while `/ready` says no, in seconds: until load balancers have
    /// seen it.
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = values::seconds_or_none)]
    pub(crate) drain_delay_seconds: Duration,
    /// How long what is in flight may take after that, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "25", value_parser = values::seconds)]
    pub(crate) grace_seconds: Duration,
}

/// What goes to standard error.
#[derive(Debug, Args)]
#[command(next_help_heading = "Log")]
pub(crate) struct LogOptions {
    /// What is logged: a level, or a list such as `info,order_store=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info", value_parser = log_filter)]
    pub(crate) log: EnvFilter,
    /// How log lines look.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "auto")]
    pub(crate) log_format: LogFormat,
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command, CommandFactory, Parser};

    use super::*;
    use crate::cli::Arguments;

    #[derive(Parser)]
    struct Given {
        #[command(flatten)]
        bounds: Bounds,
        #[command(flatten)]
        queue: QueueOptions,
    }

    #[test]
    fn a_command_keeps_its_connection_however_long_it_may_wait_for_the_store() {
        for (given, in_service) in [(&[][..], 10), (&["--queue-wait-milliseconds", "20000"], 29)] {
            let Given { bounds, queue } = Given::parse_from([&["serve"][..], given].concat());
            let limits = bounds.server(queue.queue_wait_milliseconds);
            assert_eq!(limits.in_service, Duration::from_secs(in_service));
        }
    }

    /// The headings under which a command shows its options, in its order. Only `config`, which names a file with all of them,
    /// stands before.
    #[track_caller]
    fn headings(command: &Command) -> Vec<&str> {
        let options = command.get_arguments().filter(|option| option.get_id() != "config");
        let (under_one, without): (Vec<&Arg>, _) =
            options.partition(|option| option.get_help_heading().is_some());
        let without: Vec<_> = without.iter().map(|option: &&Arg| option.get_id()).collect();
        assert!(without.is_empty(), "{} has options under no heading: {without:?}", command.get_name());
        let mut headings = Vec::new();
        for heading in under_one.iter().filter_map(|option| option.get_help_heading()) {
            if !headings.contains(&heading) {
                headings.push(heading);
            }
        }
        headings
    }

    #[test]
    fn every_option_of_what_serves_stands_under_a_heading_and_the_first_ones_are_asked_for_first() {
        let serve = ["Listening", "Store", "Access", "Events", "Orders", "Bounds", "Stopping", "Log"];
        let replica = ["Events", "Listening", "Store", "Access", "Bounds", "Stopping", "Log"];
        let command = Arguments::command();
        assert_eq!(headings(&command), serve);
        assert_eq!(headings(command.find_subcommand("serve").unwrap()), serve);
        assert_eq!(headings(command.find_subcommand("replica").unwrap()), replica);
    }
}
