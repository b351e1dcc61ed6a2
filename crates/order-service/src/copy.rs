//! `copy`: takes a store's orders into another.

use std::process::ExitCode;

use clap::Args;
use indicatif::HumanCount;
use order_store::{COPY_CHUNK, CopyReport, CopyStep};

use crate::cli::Failure;
use crate::counted::counted;
use crate::output;
use crate::progress::Progress;
use crate::resumable;
use crate::store_url::StoreUrl;
use crate::verify;

/// From where to where.
#[derive(Debug, Args)]
pub(crate) struct CopyArguments {
    /// The store to copy: `sqlite:FILE` or `postgres://USER@HOST/DATABASE`.
    #[arg(long, value_name = "URL")]
    from: StoreUrl,
    /// The store to make: a file that is not there yet, or an empty database.
    #[arg(long, value_name = "URL")]
    to: StoreUrl,
}

pub(crate) fn run(arguments: &CopyArguments) -> Result<ExitCode, Failure> {
    let so = "it can neither be copied nor be copied to";
    let (from, to) = (arguments.from.location(so)?, arguments.to.location(so)?);
    let mut bar = Progress::begin("copying");
    let mut progress = |step, done, total| match step {
        CopyStep::Copying => bar.show("copying", done, total),
        CopyStep::Checking => bar.show_check(done, total),
    };
    let copied = resumable::run(order_store::copy(&from, &to, COPY_CHUNK, &mut progress))?;
    bar.finish();
    let report = copied.map_err(anyhow::Error::from)?;
    output::print(&told(&report))?;
    Ok(verify::exit_code(&report.check))
}

fn told(report: &CopyReport) -> String {
    let CopyReport { copied, found, check } = report;
    if !check.is_sound() {
        return verify::told(check);
    }
    let (events, orders) = (counted(check.events, "event"), counted(check.orders, "order"));
    let earlier = match *found {
        0 => String::new(),
        found => format!(", {} of them by an earlier run", HumanCount(found)),
    };
    let told = if *copied == 0 && *found > 0 { "nothing was left to copy" } else { "copied and checked" };
    format!("{told}: {events} of {orders}{earlier}")
}
