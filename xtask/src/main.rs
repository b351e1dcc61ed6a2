//! The developer's commands, run as `cargo xtask <command>`.

mod clients;
mod dependencies;
mod dist;
mod prerequisites;
mod servers;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, iter};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand, ValueEnum};

use crate::prerequisites::{
    CLIENT_PREREQUISITES, FULL_TEST_PREREQUISITES, OPTIONAL, RUST_PREREQUISITES, SERVER_PREREQUISITES,
    left_out, require,
};
use crate::servers::Kind;

/// Gates the tests that need more than Rust and build tools.
const FULL_TESTS: &str =
    "order-bus/full-tests,order-service/full-tests,order-store/full-tests,test-servers/full-tests";

/// The developer's commands
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Check formatting, lints and documentation, and run every test; says first what is not installed
    Test,
    /// The same without the tests that need more than Rust and build tools
    Check,
    /// Build the service and the benchmarks for release and measure; `cargo xtask bench --help` lists the options
    #[command(disable_help_flag = true)]
    Bench {
        /// Handed to order-bench
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Start the servers that the service can work with, say how, and remove them with all their data at Ctrl+C
    Servers {
        /// Which ones; without, one of each kind
        #[arg(value_enum)]
        kinds: Vec<Kind>,
    },
    /// Build a release in target/dist: an archive for this kind of machine, checksums, a bill of materials, notes
    Dist,
    /// Print what CHANGELOG.md says of a version
    ReleaseNotes {
        /// Such as 0.2.0; without, this one
        #[arg(default_value = env!("CARGO_PKG_VERSION"))]
        version: String,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Test => test(),
        Task::Check => check(),
        Task::Bench { arguments } => bench(&arguments),
        Task::Servers { kinds } => serve(if kinds.is_empty() { Kind::value_variants() } else { &kinds }),
        Task::Dist => dist::dist(),
        Task::ReleaseNotes { version } => dist::release_notes(&version),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn test() -> Result<ExitCode> {
    let tests = [RUST_PREREQUISITES, FULL_TEST_PREREQUISITES, CLIENT_PREREQUISITES, SERVER_PREREQUISITES];
    require(tests.into_iter().chain(Kind::value_variants().iter().map(|kind| kind.prerequisites())))?;
    servers::fetch()?;
    clients::fetch()?;
    check_and_test(&["--features", FULL_TESTS], left_out(OPTIONAL))
}

fn serve(kinds: &[Kind]) -> Result<ExitCode> {
    require(iter::once(SERVER_PREREQUISITES).chain(kinds.iter().map(|kind| kind.prerequisites())))?;
    servers::serve(kinds)
}

fn check() -> Result<ExitCode> {
    require([RUST_PREREQUISITES])?;
    check_and_test(&[], Vec::new())
}

/// Says what is left out, first and where it is seen. The quick checks come first. All steps are given the same features: with others, everything would be built twice.
fn check_and_test(features: &[&str], mut left_out: Vec<String>) -> Result<ExitCode> {
    let dependencies = dependencies::checks(&cargo);
    left_out.extend(dependencies.left_out);
    let tell = || left_out.iter().for_each(|line| eprintln!("{line}"));
    tell();
    let workspace = |command: &[&'static str], rest: &[&'static str]| {
        let mut cargo = cargo(command);
        cargo.arg("--workspace").args(features).args(rest);
        cargo
    };
    let mut doc = workspace(&["doc"], &["--no-deps", "--document-private-items"]);
    // A link that leads nowhere is a fault like any other.
    doc.env("RUSTDOCFLAGS", "-D warnings");
    let steps = [
        workspace(&["clippy"], &["--all-targets", "--", "-D", "warnings"]),
        doc,
        workspace(&["test"], &["--no-fail-fast"]),
    ];
    let format = cargo(&["fmt", "--all", "--check"]);
    let code = run_all([format].into_iter().chain(dependencies.commands).chain(steps))?;
    tell();
    Ok(code)
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

/// Where the workspace is.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
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
