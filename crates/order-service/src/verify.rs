//! `verify`: checks a store or a backup from end to end.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use order_store::{PostgresStore, SqliteStore, StoreLocation, VerifyReport, verify_backup};

use crate::cli::Failure;
use crate::config::StoreOptions;
use crate::counted::counted;
use crate::output;
use crate::process;
use crate::progress::Progress;

/// Exit status of a check that found faults.
pub(crate) const FAULTS_FOUND: u8 = 3;
/// Faults of a backup say themselves what to do.
const WHERE_TO_READ_ON: &str = "; docs/OPERATIONS.md (When verify finds faults) says what to do about each";

/// What to check.
#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// Check the backup in this directory instead of a store.
    #[arg(long, value_name = "DIR")]
    backup: Option<PathBuf>,
    #[command(flatten)]
    store: StoreOptions,
}

pub(crate) fn run(arguments: VerifyArguments) -> Result<ExitCode, Failure> {
    let mut bar = Progress::begin("reading the store");
    let mut progress = |done, total| bar.show_check(done, total);
    let is_of_store = arguments.backup.is_none();
    let report = match arguments.backup {
        Some(directory) => verify_backup(&directory, &mut progress).map_err(anyhow::Error::from)?,
        None => verify_store(arguments.store, &mut progress)?,
    };
    bar.finish();
    let read_on = if is_of_store && !report.is_sound() { WHERE_TO_READ_ON } else { "" };
    output::print(&format!("{}{read_on}", told(&report)))?;
    Ok(exit_code(&report))
}

fn verify_store(
    store: StoreOptions,
    progress: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<VerifyReport, Failure> {
    Ok(match store.url().location("there is nothing to check")? {
        StoreLocation::Sqlite(path) => SqliteStore::verify(&path, progress).map_err(anyhow::Error::from)?,
        StoreLocation::Postgres(url) => {
            let report = process::runtime()?.block_on(PostgresStore::verify(&url, progress));
            report.map_err(anyhow::Error::from)?
        }
    })
}

/// One line for each fault, and the verdict.
pub(crate) fn told(report: &VerifyReport) -> String {
    let mut lines: Vec<_> = report.faults.iter().map(|fault| format!("fault: {fault}")).collect();
    if report.more_faults > 0 {
        lines.push(format!("and {}", counted(report.more_faults, "more fault")));
    }
    if report.is_unfinished_start {
        lines.push(
            "a first start that did not finish: there is nothing in the log yet, and nothing is lost"
                .to_owned(),
        );
    }
    let verdict = if report.is_sound() { "all is well" } else { "NOT sound" };
    let (events, orders) = (counted(report.events, "event"), counted(report.orders, "order"));
    lines.push(format!("{verdict}: {events} of {orders} checked"));
    lines.join("\n")
}

/// Tells scripts whether faults were found.
pub(crate) fn exit_code(report: &VerifyReport) -> ExitCode {
    if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::from(FAULTS_FOUND) }
}
