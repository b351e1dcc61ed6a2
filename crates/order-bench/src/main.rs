//! Measures the order service beside its limits.
//!
//! Absolute figures say little on shared machines, so each scenario lets the service and a limit (a bare axum program
//! that does nothing but parse and answer, a raw write+fdatasync loop) take turns in one run and reports the ratio.
//!
//! - [`scenario`]: what is measured, one function for each claim
//! - [`load`]: the load generator
//! - [`work`], [`request`], [`order_ids`], [`shop_orders`]: what it asks for
//! - [`echo_server`], [`disk`], [`mod@postgres`]: the limits
//! - [`feeds`], [`paced`]: readers of live feeds with the bare stream that is their limit, and commands at a given rate
//! - [`collector`]: who takes traces
//! - [`crowd`]: clients that take places and get nothing done
//! - [`mod@brokers`]: brokers, bare clients that are their limits, a consumer
//! - [`peers`]: other event-sourcing libraries at the same work
//! - [`mod@bench`], [`mod@build`], [`prepared`], [`views_file`], [`server`], [`process`], [`http`], [`interrupt`]: the surroundings
//!   of a scenario
//! - [`report`], [`machine`]: what comes out

mod bench;
mod brokers;
mod build;
mod collector;
mod crowd;
mod disk;
mod drive;
mod echo_server;
mod feeds;
mod http;
mod interrupt;
mod load;
mod machine;
mod order_ids;
mod paced;
mod peers;
mod postgres;
mod prepared;
mod process;
mod report;
mod request;
mod scenario;
mod server;
mod shop_orders;
mod views_file;
mod work;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::bench::{Bench, Options};
use crate::machine::Machine;
use crate::report::Report;
use crate::scenario::Scenario;

/// The service's own allocator, so that the echo server differs from it by nothing that is not asked about.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the order service beside its limits
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    /// What to measure [default: everything; with --against, all that can compare builds]
    #[arg(value_parser = Scenario::parser())]
    scenarios: Vec<Vec<Scenario>>,

    #[command(flatten)]
    options: Options,

    #[command(flatten)]
    output: Output,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Drive a server that already runs, for profiling
    Drive(drive::Drive),
    /// The bare axum program that is the limit
    #[command(hide = true)]
    EchoServer,
    /// The bare hyper server that is the limit for live feeds
    #[command(hide = true)]
    BareStream { file: PathBuf },
    /// Become this program, and end with the parent
    #[command(hide = true)]
    Child {
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// Where the results go, besides standard output.
#[derive(Args)]
struct Output {
    /// Write every round's figures here as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write the tables for docs/BENCHMARKS.md here
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,

    /// The day to name in both
    #[arg(long)]
    date: Option<String>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Some(Command::EchoServer) => echo_server::run(),
        Some(Command::BareStream { file }) => feeds::run_bare_stream(&file),
        Some(Command::Child { program, arguments }) => server::become_child(&program, &arguments),
        Some(Command::Drive(drive)) => {
            interrupt::listen()?;
            drive::run(&drive)
        }
        None => {
            interrupt::listen()?;
            measure(&arguments.scenarios.concat(), arguments.options, &arguments.output)
        }
    }
}

/// Runs the scenarios one after the other; one that fails does not keep the others from running.
fn measure(scenarios: &[Scenario], options: Options, output: &Output) -> Result<()> {
    let scenarios = match (scenarios, &options.against) {
        ([], None) => Scenario::value_variants().to_vec(),
        ([], Some(_)) => Scenario::comparing(),
        (named, _) => named.to_vec(),
    };
    let bench = Bench::new(options)?;
    let mut report = Report {
        date: output.date.clone(),
        machine: Machine::of(bench.scratch()),
        command: command_text(&scenarios, &bench.options),
        outcomes: Vec::new(),
    };
    let mut failures = Vec::new();
    for scenario in &scenarios {
        match scenario.run(&bench) {
            Ok(outcome) => {
                report::print(&outcome)?;
                report.outcomes.push(outcome);
                output.write(&report)?;
            }
            Err(error) => {
                interrupt::check()?;
                eprintln!("\n{}: FAILED: {error:#}", scenario.name());
                failures.push(scenario.name());
            }
        }
    }
    if !failures.is_empty() {
        bail!("could not measure {}", failures.join(", "));
    }
    Ok(())
}

impl Output {
    /// Writes what there is so far.
    fn write(&self, report: &Report) -> Result<()> {
        if let Some(path) = &self.json {
            let json = serde_json::to_vec_pretty(report)?;
            fs::write(path, json).with_context(|| format!("write {}", path.display()))?;
        }
        if let Some(path) = &self.markdown {
            fs::write(path, report::markdown(report)).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }
}

/// What to type to measure the same elsewhere: without the paths of this machine.
fn command_text(scenarios: &[Scenario], options: &Options) -> String {
    let mut words = vec!["cargo xtask bench".to_owned()];
    words.extend(Scenario::words(scenarios));
    let Options { rounds, seconds, connections, orders, read_orders, receipts, snapshot_seconds, .. } =
        options;
    words.push(format!("--rounds {rounds} --seconds {seconds} --connections {connections}"));
    words.push(format!("--orders {orders} --read-orders {read_orders}"));
    if scenarios.contains(&Scenario::PlaceKeyed) {
        words.push(format!("--receipts {receipts}"));
    }
    if scenarios.contains(&Scenario::PgOldSnapshot) {
        words.push(format!("--snapshot-seconds {snapshot_seconds}"));
    }
    if options.against.is_some() {
        words.push("--against OLDER-BUILD".to_owned());
    }
    words.join(" ")
}
