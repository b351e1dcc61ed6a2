//! `verify`: checks a store from end to end.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use order_store::VerifyReport;

use crate::cli::Failure;
use crate::store_url::StoreUrl;

/// Exit status of a check that found faults.
const FAULTS_FOUND: u8 = 3;

pub(crate) fn run(store: &StoreUrl) -> Result<ExitCode, Failure> {
    let path = match store {
        StoreUrl::Sqlite(path) => path,
        StoreUrl::Postgres { .. } => {
            return Err(Failure::Usage(vec!["verify does not know PostgreSQL yet".to_owned()]));
        }
        StoreUrl::Memory => {
            return Err(Failure::Usage(vec![
                "memory: is gone at exit, so there is nothing to check".to_owned(),
            ]));
        }
    };
    let bar = progress_bar();
    let report = order_store::verify(path, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let report = report.map_err(anyhow::Error::from)?;
    tell(&report).context("cannot write to standard output")?;
    Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::from(FAULTS_FOUND) })
}

fn tell(report: &VerifyReport) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for fault in &report.faults {
        writeln!(out, "fault: {fault}")?;
    }
    if report.more_faults > 0 {
        writeln!(out, "and {} more faults", report.more_faults)?;
    }
    let verdict = if report.is_sound() { "all is well" } else { "NOT sound" };
    writeln!(out, "{verdict}: {} events of {} orders checked", report.events, report.orders)
}

/// Drawn on a terminal only.
fn progress_bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("checking {wide_bar} {percent}% ({eta} left)");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
