//! `restore`: makes a store from a backup.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use order_application::{Position, rfc3339};
use order_domain::Timestamp;
use order_store::{CopyStep, RestoreLimits, RestoreReport, Until};

use crate::cli::Failure;
use crate::config::{StoreOptions, positive};
use crate::counted::counted;
use crate::output;
use crate::progress::Progress;
use crate::resumable;
use crate::verify;

/// From where to where, and how much.
#[derive(Debug, Args)]
pub(crate) struct RestoreArguments {
    /// The directory of the backup.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Leave out what comes after this position.
    #[arg(long, value_name = "N", value_parser = positive::<u64>)]
    until_position: Option<u64>,
    /// Leave out the first event that is later than this time (RFC 3339, such as `2026-11-27T14:30:00Z`), and what comes
    /// after it.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until_time: Option<Timestamp>,
    #[command(flatten)]
    store: StoreOptions,
}

pub(crate) fn run(arguments: RestoreArguments) -> Result<ExitCode, Failure> {
    let to = arguments.store.url().location("nothing can be restored to it")?;
    let until = match (arguments.until_position, arguments.until_time) {
        (Some(_), Some(_)) => {
            let both = "--until-position and --until-time both say how much is restored: give one of them";
            return Err(Failure::usage(both));
        }
        (Some(position), None) => Until::Position(Position(position)),
        (None, Some(time)) => Until::Time(time),
        (None, None) => Until::End,
    };
    let mut bar = Progress::begin("reading the backup");
    let mut progress = |step, done, total| match step {
        CopyStep::Copying => bar.show("restoring", done, total),
        CopyStep::Checking => bar.show_check(done, total),
    };
    let limits = RestoreLimits::default();
    let restoring = order_store::restore(&arguments.directory, &to, until, limits, &mut progress);
    let restored = resumable::run(restoring)?;
    bar.finish();
    let report = restored.map_err(anyhow::Error::from)?;
    output::print(&told(&report))?;
    Ok(verify::exit_code(&report.copy.check))
}

fn told(report: &RestoreReport) -> String {
    let RestoreReport { copy, position, made_at, event_source, receipts_left_out, followers_ahead } = report;
    if !copy.check.is_sound() {
        return verify::told(&copy.check);
    }
    let (events, orders) = (counted(copy.check.events, "event"), counted(copy.check.orders, "order"));
    let mut lines = vec![format!(
        "restored and checked up to position {position}: {events} of {orders}, from the backup of {}",
        rfc3339::format(*made_at)
    )];
    if *receipts_left_out > 0 {
        let receipts = counted(*receipts_left_out, "receipt");
        lines.push(format!("left out: {receipts} of commands after that position"));
    }
    for follower in followers_ahead {
        let follower = output::shown(follower);
        lines.push(format!(
            "{follower} had gone beyond that position: what it knows of later events is not in this store"
        ));
    }
    let event_source = output::shown(event_source);
    lines.push(format!("its service gave its events the source {event_source} (--event-source)"));
    lines.join("\n")
}

fn time(text: &str) -> Result<Timestamp, &'static str> {
    rfc3339::parse_strict(text).ok_or("must be a time such as 2026-11-27T14:30:00Z")
}
