//! The thread that rebuilds views beside the server: into a file of their own, which takes the place of the one that is
//! served once it is complete. Before that it fills the filters of known orders and keys from the views that the store opens
//! with, and looks at the numbers of all receipts.
//!
//! Most of it is done here: the build up to where the log ends when it begins ([`build()`]), and what comes in
//! meanwhile ([`catch_up`]). The last bit and the change of files are the view writer's, which alone knows
//! how far the served views have come ([`BuiltViews::bring_up`]).

pub(crate) mod build;
pub(crate) mod catch_up;
pub(crate) mod folding;
mod known_orders_filling;
pub(crate) mod opening;
mod receipts;
mod sorter;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use order_application::{Backoff, Position};
use rustix::fs::statvfs;

use crate::sqlite::rebuild::build::{BuildOptions, BuiltViews, SORTED_BYTES_PER_EVENT, build};
use crate::sqlite::rebuild::folding::OnUnreadable;
use crate::sqlite::rebuild_requests::WantedRebuild;
use crate::sqlite::state::StoreState;
use crate::sqlite::threads::StoreThread;
use crate::sqlite::view_writer::work::ViewWriterWork;
use crate::sqlite::views::files;
use crate::sqlite_error::SqliteError;

/// Events that are left for the view writer, about. While it adds them, what changes gathers in the overlay.
const LAST_BIT: u64 = 20_000;
/// How often what came in meanwhile is added. Each time less comes in, unless the log grows as fast as it is read.
const MAX_ROUNDS: usize = 20;
/// The first wait after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Commands come first, and yet it comes to an end on a machine that has no core to spare.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 16;
/// What is left free on the disk for the log, in bytes.
const SPARE_BYTES: u64 = 16 * 1024 * 1024;
/// What an event takes in the views, in bytes, about.
const BYTES_PER_EVENT: u64 = 64;

/// Starts the thread, which ends with the [requests](crate::sqlite::rebuild_requests::RebuildRequests::finish), also in the middle.
/// `looks_at_receipts`: the start has only looked at some.
pub(crate) fn start(shared: Arc<StoreState>, looks_at_receipts: bool) -> Result<StoreThread, SqliteError> {
    let log_path = shared.log_path.clone();
    StoreThread::start("rebuilder", &log_path, move || {
        // Before anything that may take long, since placements wait for it.
        known_orders_filling::fill(&shared);
        receipts::fill_known_keys(&shared);
        lower_priority();
        if looks_at_receipts {
            receipts::find_missing(&shared);
        }
        run(&shared);
    })
}

/// Of this thread, and not of the whole process, which Linux alone can do.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "views are rebuilt at the requests' priority");
    }
}

fn run(shared: &StoreState) {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    while let Some(WantedRebuild { why, is_damage }) = shared.readers.rebuilds.wait() {
        tracing::info!(why, "rebuilding the views");
        // Views that are right may know what the log has lost. Of those that are not, one order must not keep all others.
        let unreadable = if is_damage { OnUnreadable::Quarantine } else { OnUnreadable::GiveUp };
        match rebuild(shared, unreadable).and_then(|made| hand_over(shared, made)) {
            Ok(()) => {
                backoff.reset();
                // The index was damaged when it was read last. These have the same hashes, and have them all.
                if !shared.known_orders.is_complete() {
                    known_orders_filling::fill(shared);
                }
                if !shared.known_keys.is_complete() {
                    receipts::fill_known_keys(shared);
                }
            }
            Err(SqliteError::Stopped) => return,
            Err(error) => {
                if let SqliteError::Lost { losses, .. } = &error {
                    losses.iter().for_each(|loss| shared.health.log_damage.found(loss.to_string()));
                }
                tracing::error!(%error, "the views could not be rebuilt; those that are there are served on");
                shared.readers.rebuilds.failed(error.to_string());
                if !shared.readers.rebuilds.pause(backoff.next_wait()) {
                    return;
                }
            }
        }
    }
}

/// Complete views that are nearly at the end of the log.
fn rebuild(shared: &StoreState, unreadable: OnUnreadable) -> Result<BuiltViews, SqliteError> {
    let log_path = &shared.log_path;
    let served = shared.readers.views.number();
    let end = shared.log_end();
    check_space(&files::path(log_path, served), log_path, end)?;
    let highest = files::numbers(log_path)?.first().copied().unwrap_or_default().max(served);
    let number = files::next_number(log_path, Some(highest))?;
    let path = files::path(log_path, number);
    let options = BuildOptions {
        number,
        log_identity: shared.log_identity,
        hash_seed: shared.readers.hash_seed,
        up_to: end,
        memory: shared.limits.rebuild_bytes,
        unreadable,
        progress: &mut |done, total| shared.readers.rebuilds.progress(done, total),
    };
    let made = build(log_path, options).and_then(|made| follow(shared, made));
    if made.is_err() {
        // Half of them are of no use to anybody, and may be what fills the disk.
        files::remove(&path)?;
    }
    made
}

/// Adds what has come in meanwhile, until not much is left.
fn follow(shared: &StoreState, mut made: BuiltViews) -> Result<BuiltViews, SqliteError> {
    for _ in 0..MAX_ROUNDS {
        let end = shared.log_end();
        if end.0 - made.views.progress().position.0 <= LAST_BIT {
            break;
        }
        made = made.bring_up(&shared.log_path, &shared.limits, end, &mut |done, _| {
            shared.readers.rebuilds.progress(done, shared.log_end().0)
        })?;
    }
    Ok(made)
}

/// Has the view writer go on with these.
fn hand_over(shared: &StoreState, made: BuiltViews) -> Result<(), SqliteError> {
    let (done, outcome) = sync_channel(1);
    // It answers all that it is sent, unless the store has stopped.
    let _ = shared.view_work.send(ViewWriterWork::Replace(Box::new(made), done));
    outcome.recv().unwrap_or(Err(SqliteError::Stopped))
}

/// Whether there is room for what is about to be written.
fn check_space(served: &Path, log_path: &Path, end: Position) -> Result<(), SqliteError> {
    let directory = files::directory(log_path);
    let space = statvfs(directory).map_err(|error| SqliteError::io(directory)(error.into()))?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let now = std::fs::metadata(served).map_or(0, |file| file.len());
    let views = now.max(end.0.saturating_mul(BYTES_PER_EVENT));
    let sorting = end.0.saturating_mul(SORTED_BYTES_PER_EVENT);
    let needed = views.saturating_add(sorting).saturating_add(SPARE_BYTES);
    if free >= needed {
        return Ok(());
    }
    let what = format!("new views need about {needed} bytes, and {free} are free");
    Err(SqliteError::io(directory)(io::Error::new(io::ErrorKind::StorageFull, what)))
}
