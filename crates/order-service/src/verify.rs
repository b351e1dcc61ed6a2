//! `verify`: checks a store from end to end.

use std::process::ExitCode;

use order_store::{PostgresStore, SqliteStore, StoreLocation, VerifyReport};

use crate::cli::Failure;
use crate::counted::counted;
use crate::output;
use crate::process;
use crate::progress::Progress;
use crate::store_url::StoreUrl;

/// Exit status of a check that found faults.
const FAULTS_FOUND: u8 = 3;

pub(crate) fn run(store: &StoreUrl) -> Result<ExitCode, Failure> {
    let location = store.location("there is nothing to check")?;
    let mut bar = Progress::begin("reading the store");
    let mut progress = |done, total| bar.show_check(done, total);
    let report = match location {
        StoreLocation::Sqlite(path) => {
            SqliteStore::verify(&path, &mut progress).map_err(anyhow::Error::from)?
        }
        StoreLocation::Postgres(url) => {
            let report = process::runtime()?.block_on(PostgresStore::verify(&url, &mut progress));
            report.map_err(anyhow::Error::from)?
        }
    };
    bar.finish();
    output::print(&told(&report))?;
    Ok(exit_code(&report))
}

/// One line for each fault, and the verdict.
pub(crate) fn told(report: &VerifyReport) -> String {
    let mut lines: Vec<_> = report.faults.iter().map(|fault| format!("fault: {fault}")).collect();
    if report.more_faults > 0 {
        lines.push(format!("and {}", counted(report.more_faults, "more fault")));
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
