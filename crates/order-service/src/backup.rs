//! `backup`: puts what a store has into a directory, or adds what is new.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use order_application::{Clock, SystemClock};
use order_store::{BACKUP_PART_BYTES, BackupError, BackupOptions, BackupReport, LogReader};

use crate::cli::Failure;
use crate::config::{EventOptions, StoreOptions};
use crate::counted::counted;
use crate::losses::warn_of_losses;
use crate::output;
use crate::progress::Progress;
use crate::resumable;

/// Commands come first, and yet it comes to an end on a machine that has no core to spare: from 0 (not at all) to 19.
const NICENESS: i32 = 16;

/// From where to where.
#[derive(Debug, Args)]
pub(crate) struct BackupArguments {
    /// The directory of the backup: a new one, or one to add to.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    events: EventOptions,
}

pub(crate) fn run(arguments: BackupArguments) -> Result<ExitCode, Failure> {
    let location = arguments.store.url().location("there is nothing to back up")?;
    // Before there are other threads, which take it over.
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "the backup takes as much time as others do");
    }
    let options = BackupOptions {
        event_source: arguments.events.event_source,
        made_at: SystemClock.now(),
        part_bytes: BACKUP_PART_BYTES,
    };
    let backup = async {
        let exit_code = warn_of_losses(&LogReader::open(&location).await?).await?;
        let mut bar = Progress::begin("reading the store");
        let mut progress = |done, total| bar.show("backing up", done, total);
        let report = order_store::backup(&location, &arguments.directory, options, &mut progress).await;
        bar.finish();
        Ok::<_, BackupError>((report?, exit_code))
    };
    let (report, exit_code) = resumable::run(backup)?.map_err(anyhow::Error::from)?;
    output::print(&told(&report))?;
    Ok(exit_code)
}

fn told(report: &BackupReport) -> String {
    let BackupReport { position, added, receipts, checkpoints } = *report;
    let (added, receipts) = (counted(added, "event"), counted(receipts, "receipt"));
    let checkpoints = counted(checkpoints as u64, "checkpoint");
    format!("backed up to position {position}: {added} added; {receipts}, {checkpoints}")
}
