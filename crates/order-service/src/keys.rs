//! `keys`: makes keys for the access file, and checks the file.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use order_api::Scope;
use order_application::{Clock, SystemClock, rfc3339};
use order_domain::Timestamp;

use crate::access::{self, KeyEntry};
use crate::cli::Failure;
use crate::output;

/// The rights to a file with a key.
const OWNER_ALONE: u32 = 0o600;

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key. What the access file gets goes to standard output, to be added with `>> access.toml`; the key itself goes to
    /// standard error, or to a file, this once: only its hash is in the access file.
    Create(CreateArguments),
    /// Check an access file: every fault is told with its line. Exit status 0: it is good. Keys that have expired are named.
    Check {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// Who uses it, as events will name them. Two keys may have one name, as while one takes the other's place.
    #[arg(long, value_name = "NAME", value_parser = access::key_name)]
    name: String,
    /// What it opens, separated by commas: read, place, pay, fulfil, returns, cancel, refund, events, operate.
    #[arg(long = "scope", value_name = "SCOPES", value_delimiter = ',', required = true, value_parser = access::scope)]
    scopes: Vec<Scope>,
    /// When it ends, such as 2027-01-01T00:00:00Z; without it, when it is taken out of the file.
    #[arg(long, value_name = "TIME", value_parser = time)]
    expires: Option<Timestamp>,
    /// Where the key goes instead: a new file that only its owner may read.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

pub(crate) fn run(command: KeysCommand) -> Result<ExitCode, Failure> {
    match command {
        KeysCommand::Create(arguments) => create(arguments)?,
        KeysCommand::Check { file } => {
            let keys = access::check(&file, SystemClock.now()).map_err(Failure::Usage)?;
            output::print(&format!("{}: good, {keys}", file.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn create(CreateArguments { name, scopes, expires, key_file }: CreateArguments) -> Result<(), Failure> {
    if expires.is_some_and(|expires| expires <= SystemClock.now()) {
        return Err(Failure::usage("--expires: that time is over: the key would open nothing"));
    }
    let (key, entry) = KeyEntry { name, scopes, expires }.make().context("cannot make a key")?;
    // First, for an entry without its key is of no use, and not as what is logged, which may be lost.
    match &key_file {
        Some(file) => write_new(file, &key).with_context(|| format!("--key-file {}", file.display()))?,
        None => output::print_aside(&format!("the key, which is not shown again: {key}"))?,
    }
    output::write(&entry)?;
    Ok(())
}

/// Another key that is there already stays.
fn write_new(file: &Path, key: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(OWNER_ALONE).open(file)?;
    writeln!(file, "{key}")?;
    file.sync_all()
}

fn time(text: &str) -> Result<Timestamp, &'static str> {
    let time =
        rfc3339::parse_strict(text).ok_or("must be a time with an offset, such as 2027-01-01T00:00:00Z")?;
    // Beyond what can be written it would be another time in the file.
    rfc3339::parse(text)
        .map(|_| time)
        .ok_or("must be before 9999-12-30T22:00:00Z; leave it out for a key without an end")
}
