//! Measures the order service beside its limits.
//!
//! Absolute figures say little on shared machines, so each scenario lets the service and a limit (a bare axum program
//! that does nothing but parse and answer, a raw write+fdatasync loop) take turns in one run and reports the ratio.
//!
//! - [`scenario`]: what is measured, one function for each claim
//! - [`load`]: the load generator
//! - [`work`], [`request`], [`order_ids`]: what it asks for
//! - [`echo_server`]: the limit
//! - [`bench`], [`prepared`], [`server`], [`process`], [`interrupt`]: the surroundings of a scenario
//! - [`report`]: what comes out

mod bench;
mod drive;
mod echo_server;
mod interrupt;
mod load;
mod order_ids;
mod prepared;
mod process;
mod report;
mod request;
mod scenario;
mod server;
mod work;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

use crate::bench::{Bench, Options};
use crate::scenario::Scenario;

/// The service's own allocator, so that the echo server differs from it by nothing that is not asked about.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the order service beside its limits
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    /// What to measure [default: everything]
    #[arg(value_enum)]
    scenarios: Vec<Scenario>,

    #[command(flatten)]
    options: Options,

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
    /// Become this program, and end with the parent
    #[command(hide = true)]
    Child {
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> Result<()> {
    let Arguments { scenarios, options, command } = Arguments::parse();
    match command {
        Some(Command::EchoServer) => echo_server::run(),
        Some(Command::Child { program, arguments }) => server::become_child(&program, &arguments),
        Some(Command::Drive(drive)) => {
            interrupt::listen()?;
            drive::run(&drive)
        }
        None => {
            interrupt::listen()?;
            measure(&scenarios, options)
        }
    }
}

fn measure(scenarios: &[Scenario], options: Options) -> Result<()> {
    let scenarios = if scenarios.is_empty() { Scenario::value_variants() } else { scenarios };
    let bench = Bench::new(options)?;
    for scenario in scenarios {
        let outcome = scenario.run(&bench)?;
        report::print(&outcome)?;
    }
    Ok(())
}
