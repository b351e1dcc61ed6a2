//! What every scenario works with: the options, the limit's server, scratch space, and the alternation of the two.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use tempfile::TempDir;

use crate::interrupt;
use crate::load::{Group, Load, Measurement, Span};
use crate::prepared::Prepared;
use crate::report::Figures;
use crate::server::{Server, child_command};
use crate::work::Work;

/// Driven before each measured span: connections are new, and after a pause caches and clocks are cold.
const WARM_UP: Duration = Duration::from_secs(1);

/// How to measure.
#[derive(Args, Debug, Clone)]
pub(crate) struct Options {
    /// How often limit and service take turns; the figures are medians over the rounds
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,

    /// The measured length of each turn
    #[arg(long, default_value_t = 5.0, value_name = "SECONDS")]
    pub(crate) seconds: f64,

    /// Keep-alive connections, each with one request on its way
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,

    /// How many orders the large store holds
    #[arg(long, default_value_t = 3_000_000)]
    pub(crate) orders: u64,

    /// How many orders the store holds that is read from
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) read_orders: u64,

    /// How long another session keeps an old snapshot while orders are placed
    #[arg(long, default_value_t = 180.0, value_name = "SECONDS")]
    pub(crate) snapshot_seconds: f64,

    /// The service's binary [default: order-service beside this program]
    #[arg(long, value_name = "PATH")]
    pub(crate) service: Option<PathBuf>,

    /// Where scratch data goes, on the disk to be measured [default: this program's target directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// Keep the loaded stores here and use them again in later runs; for another version of the service's files, remove it
    #[arg(long, value_name = "DIR")]
    pub(crate) keep_store: Option<PathBuf>,
}

/// One run of the program.
pub(crate) struct Bench {
    pub(crate) options: Options,
    pub(crate) echo: Server,
    service: PathBuf,
    prepared: Prepared,
    scratch: TempDir,
}

/// Whose turn it is.
#[derive(Clone, Copy)]
pub(crate) enum Turn {
    Limit,
    Service,
}

/// The figures of both, round by round.
pub(crate) struct Pair<T> {
    pub(crate) limit: Vec<T>,
    pub(crate) service: Vec<T>,
}

impl Bench {
    /// Makes the scratch directory and starts the echo server.
    pub(crate) fn new(options: Options) -> Result<Self> {
        let program = std::env::current_exe()?;
        let beside = program.parent().context("this program stands in a directory")?;
        let service = options.service.clone().unwrap_or_else(|| beside.join("order-service"));
        let dir = options.dir.as_deref().or(beside.parent()).unwrap_or(beside);
        let scratch = tempfile::Builder::new()
            .prefix("order-bench-")
            .tempdir_in(dir)
            .with_context(|| format!("make a scratch directory in {}", dir.display()))?;
        // For PostgreSQL's data. Not in the scratch directory, which is for this user alone: root's servers are others'.
        tempfile::env::override_temp_dir(dir).ok().context("nobody else says where temporary files go")?;
        let prepared =
            Prepared::new(options.keep_store.clone().unwrap_or_else(|| scratch.path().join("prepared")));
        let echo = Server::start_echo(scratch.path().join("echo.log"))?;
        Ok(Self { options, echo, service, prepared, scratch })
    }

    /// The disk under measurement.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Where later runs find again what this one has built.
    pub(crate) fn build_dir(&self) -> &Path {
        self.scratch.path().parent().unwrap_or(self.scratch.path())
    }

    /// Starts the service on its durable default store in this directory.
    pub(crate) fn start_service(&self, data_dir: &Path) -> Result<Server> {
        let data_dir = data_dir.to_str().context("the scratch directory's name is UTF-8")?;
        Server::start_service(
            &self.service,
            &["--data-dir", data_dir],
            self.scratch.path().join("service.log"),
        )
    }

    /// The same, relaying events to these brokers.
    pub(crate) fn start_service_with_bus(&self, data_dir: &Path, urls: &[String]) -> Result<Server> {
        let data_dir = data_dir.to_str().context("the scratch directory's name is UTF-8")?;
        let mut arguments = vec!["--data-dir", data_dir];
        arguments.extend(urls.iter().flat_map(|url| ["--bus", url.as_str()]));
        Server::start_service(&self.service, &arguments, self.scratch.path().join("service.log"))
    }

    /// Starts a replica with its store in this directory.
    pub(crate) fn start_replica(&self, from: &str, data_dir: &Path) -> Result<Server> {
        let file = data_dir.join("replica.db");
        let store = format!("sqlite:{}", file.to_str().context("the scratch directory's name is UTF-8")?);
        let arguments = ["--from", from, "--store", &store];
        Server::start_replica(&self.service, &arguments, self.scratch.path().join("replica.log"))
    }

    /// Starts the service on a PostgreSQL database.
    pub(crate) fn start_service_on(&self, database: &str) -> Result<Server> {
        Server::start_service(&self.service, &["--store", database], self.scratch.path().join("service.log"))
    }

    /// Runs one of the service's commands to its end.
    pub(crate) fn run_service(&self, arguments: &[&str]) -> Result<()> {
        let output = child_command(&self.service)?.args(arguments).output().context("run the service")?;
        interrupt::check()?;
        if !output.status.success() {
            bail!("{}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// Starts the service on the memory store.
    pub(crate) fn start_service_in_memory(&self) -> Result<Server> {
        Server::start_service(&self.service, &["--store", "memory:"], self.scratch.path().join("service.log"))
    }

    /// A new empty directory on the disk under measurement, gone when dropped.
    pub(crate) fn new_dir(&self) -> Result<TempDir> {
        tempfile::tempdir_in(self.scratch.path()).context("make a data directory")
    }

    /// A directory with a fresh copy of a store that holds this many random orders, loaded on first use.
    pub(crate) fn prepared_dir(&self, orders: u64) -> Result<TempDir> {
        let dir = self.new_dir()?;
        self.prepared.copy_to(dir.path(), orders, self)?;
        Ok(dir)
    }

    /// The largest resident memory (bytes) of the service while it was loaded with this many orders.
    pub(crate) fn peak_bytes_while_loading(&self, orders: u64) -> Result<u64> {
        self.prepared.peak_bytes(orders, self)
    }

    /// Lets limit and service take turns; who begins changes from round to round, so that a drift of the machine
    /// favours neither.
    pub(crate) fn alternate<T>(&self, mut take: impl FnMut(Turn) -> Result<T>) -> Result<Pair<T>> {
        let mut pair = Pair { limit: Vec::new(), service: Vec::new() };
        for round in 0..self.options.rounds {
            let turns =
                if round % 2 == 0 { [Turn::Limit, Turn::Service] } else { [Turn::Service, Turn::Limit] };
            for turn in turns {
                let figures = take(turn)?;
                match turn {
                    Turn::Limit => pair.limit.push(figures),
                    Turn::Service => pair.service.push(figures),
                }
            }
        }
        Ok(pair)
    }

    /// Drives a server with one kind of work on all connections and measures.
    pub(crate) fn measure(&self, server: &Server, work: &mut dyn Work) -> Result<Figures> {
        self.measure_on(self.options.connections, server, work)
    }

    /// Drives a server with one kind of work on this many connections and measures.
    pub(crate) fn measure_on(
        &self,
        connections: usize,
        server: &Server,
        work: &mut dyn Work,
    ) -> Result<Figures> {
        let [figures] = measure_groups(self.span(), server, [Group { connections, work }])?;
        Ok(figures)
    }

    /// The same on all connections, for a time of its own.
    pub(crate) fn measure_for(&self, span: Span, server: &Server, work: &mut dyn Work) -> Result<Figures> {
        let [figures] =
            measure_groups(span, server, [Group { connections: self.options.connections, work }])?;
        Ok(figures)
    }

    /// The same, for a server that has more to do afterwards: nobody waits for that.
    pub(crate) fn measure_unsettled(&self, server: &Server, work: &mut dyn Work) -> Result<Figures> {
        let mut load =
            Load::connect(server.address(), vec![Group { connections: self.options.connections, work }])?;
        let measurements = load.run(self.span(), Some(server.process()))?;
        load.drain()?;
        let measurement = measurements.first().context("the group has its measurement")?;
        Ok(Figures::new(measurement, None))
    }

    /// Drives a server with several groups of connections at once; the figures of each.
    pub(crate) fn measure_groups<const N: usize>(
        &self,
        server: &Server,
        groups: [Group<'_>; N],
    ) -> Result<[Figures; N]> {
        measure_groups(self.span(), server, groups)
    }

    /// Drives several servers at once, each by the group beside it; the figures of all together.
    pub(crate) fn measure_together(&self, shares: Vec<(&Server, Group<'_>)>) -> Result<Figures> {
        let (servers, groups): (Vec<_>, Vec<_>) =
            shares.into_iter().map(|(server, group)| (server, (server.address(), group))).unzip();
        let mut load = Load::connect_each(groups)?;
        let measurements = load.run(self.span(), None)?;
        load.drain()?;
        for server in servers {
            server.process().settle()?;
        }
        let all = Measurement::together(measurements).context("somebody drives a server")?;
        Ok(Figures::new(&all, None))
    }

    /// Warm-up and measured time of one turn.
    pub(crate) fn span(&self) -> Span {
        let measured = Duration::from_secs_f64(self.options.seconds);
        Span { warm_up: WARM_UP.min(measured), measured }
    }
}

fn measure_groups<const N: usize>(
    span: Span,
    server: &Server,
    groups: [Group<'_>; N],
) -> Result<[Figures; N]> {
    let mut load = Load::connect(server.address(), groups.into())?;
    let measurements = load.run(span, Some(server.process()))?;
    load.drain()?;
    // What the server put off is part of what the requests cost.
    server.process().settle()?;
    // With several groups it cannot be told apart which one's requests the CPU time went to.
    let cpu = (N == 1).then(|| server.process().cpu()).transpose()?;
    let figures: Vec<Figures> =
        measurements.iter().map(|measurement| Figures::new(measurement, cpu)).collect();
    figures.try_into().ok().context("each group has its measurement")
}
