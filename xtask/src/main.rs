//! The developer's commands, run as `cargo xtask <command>`.

mod prerequisites;

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, iter};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::prerequisites::{TEST_PREREQUISITES, require};

/// Gates the tests that need more than Rust and a C compiler.
const FULL_TESTS: &str = "order-service/full-tests";

/// The developer's commands
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every test, after checking that everything they need is installed
    Test,
    /// Run what needs nothing but Rust and a C compiler: formatting, lints, tests
    Check,
    /// Build the service and the benchmarks for release and measure; `cargo xtask bench --help` lists the options
    #[command(disable_help_flag = true)]
    Bench {
        /// Handed to order-bench
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Test => test(),
        Task::Check => check(),
        Task::Bench { arguments } => bench(&arguments),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn test() -> Result<ExitCode> {
    require(TEST_PREREQUISITES)?;
    run_all([
        cargo(&["fmt", "--all", "--check"]),
        cargo(&["clippy", "--workspace", "--all-targets", "--features", FULL_TESTS, "--", "-D", "warnings"]),
        cargo(&["test", "--workspace", "--features", FULL_TESTS]),
    ])
}

fn check() -> Result<ExitCode> {
    run_all([
        cargo(&["fmt", "--all", "--check"]),
        cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        cargo(&["test", "--workspace"]),
    ])
}

fn bench(arguments: &[String]) -> Result<ExitCode> {
    // Not `cargo run`: built for one package alone, dependencies get other features, and everything is built again.
    let this = env::current_exe()?;
    let target = this.parent().and_then(Path::parent).context("this program stands in target/debug")?;
    let mut order_bench = Command::new(target.join("release").join("order-bench"));
    order_bench.args(arguments);
    run_all([
        cargo(&["build", "--release", "--package", "order-service", "--package", "order-bench"]),
        order_bench,
    ])
}

fn cargo(arguments: &[&str]) -> Command {
    // Set by the cargo that runs this program: the same toolchain goes on.
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments);
    cargo
}

/// Runs one command after the other, each printed before it is run; ends with the first failure's exit status.
fn run_all(commands: impl IntoIterator<Item = Command>) -> Result<ExitCode> {
    for mut command in commands {
        let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_owned();
        let words: Vec<_> =
            iter::once(name.as_os_str()).chain(command.get_args()).map(OsStr::to_string_lossy).collect();
        eprintln!("$ {}", words.join(" "));
        let status = command.status().with_context(|| format!("run {}", command.get_program().display()))?;
        if !status.success() {
            // Ended by a signal: no exit status of its own.
            let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
            return Ok(ExitCode::from(code));
        }
    }
    Ok(ExitCode::SUCCESS)
}
