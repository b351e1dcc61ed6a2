//! What every scenario works with: the options, the limit's server, scratch space, and the alternation of the two.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use tempfile::TempDir;

use crate::build::Build;
use crate::load::{Group, Load, Measurement, Span};
use crate::report::Figures;
use crate::server::Server;
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

    /// How many keys have a receipt in the store that orders are placed on with a key; of a kept store that is older than
    /// a day, the service throws them away
    #[arg(long, default_value_t = 3_000_000)]
    pub(crate) receipts: u64,

    /// How long another session keeps an old snapshot while orders are placed
    #[arg(long, default_value_t = 180.0, value_name = "SECONDS")]
    pub(crate) snapshot_seconds: f64,

    /// The service's binary [default: order-service beside this program]
    #[arg(long, value_name = "PATH")]
    pub(crate) service: Option<PathBuf>,

    /// An older build of order-service, to measure in turns with the service instead of its limit
    #[arg(long, value_name = "PATH")]
    pub(crate) against: Option<PathBuf>,

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
    /// What is measured.
    pub(crate) service: Build,
    /// An older build, to compare it with.
    pub(crate) against: Option<Build>,
    scratch: TempDir,
}

/// Whose turn it is. Where two builds are compared, the older one is the limit.
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
        let dir = options.dir.as_deref().or(beside.parent()).unwrap_or(beside);
        let scratch = tempfile::Builder::new()
            .prefix("order-bench-")
            .tempdir_in(dir)
            .with_context(|| format!("make a scratch directory in {}", dir.display()))?;
        // For PostgreSQL's data. Not in the scratch directory, which is for this user alone: root's servers are others'.
        tempfile::env::override_temp_dir(dir).ok().context("nobody else says where temporary files go")?;
        let stores = options.keep_store.clone().unwrap_or_else(|| scratch.path().join("prepared"));
        let build = |program: &Path, stores: PathBuf| -> Result<Build> {
            // A bare name would be looked for in the PATH.
            let program = std::path::absolute(program)?;
            Ok(Build::new(program, stores, scratch.path().to_owned(), options.connections))
        };
        let program = options.service.clone().unwrap_or_else(|| beside.join("order-service"));
        let service = build(&program, stores.clone())?;
        // Each has loaded its own stores: the older one may not know the newer one's files.
        let against = options.against.as_deref().map(|program| build(program, stores.join("against")));
        let against = against.transpose()?;
        let echo = Server::start_echo(scratch.path().join("echo.log"))?;
        Ok(Self { options, echo, service, against, scratch })
    }

    /// The disk under measurement.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Where later runs find again what this one has built.
    pub(crate) fn build_dir(&self) -> &Path {
        self.scratch.path().parent().unwrap_or(self.scratch.path())
    }

    /// A new empty directory on the disk under measurement, gone when dropped.
    pub(crate) fn new_dir(&self) -> Result<TempDir> {
        tempfile::tempdir_in(self.scratch.path()).context("make a data directory")
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
