//! Chooses the views that a store opens with, or builds some.

use order_application::Position;

use crate::sqlite::SqliteLimits;
use crate::sqlite::log::Log;
use crate::sqlite::loss;
use crate::sqlite::rebuild::build::{BuildOptions, BuildProgress, BuiltViews, build};
use crate::sqlite::rebuild::catch_up::{self, CatchUpOptions, CaughtUp};
use crate::sqlite::rebuild::folding::OnUnreadable;
use crate::sqlite::views::progress::FileProgress;
use crate::sqlite::views::{Views, ViewsError, files, new_hash_seed};
use crate::sqlite_error::SqliteError;

/// Opens the views of a log and brings them up to it. Where there are none that are of use, they are built. Those of another log
/// that know of events are made anew only for whoever accepts that. So are those of a log that has lost what its receipts know of.
pub(crate) fn open_views(
    log: &Log,
    limits: &SqliteLimits,
    accept_loss: bool,
    progress: BuildProgress<'_>,
) -> Result<CaughtUp, SqliteError> {
    let end = log.end()?;
    if !accept_loss {
        loss::refuse_views_of_another(log.path(), Some((log.identity(), end)))?;
    }
    let mut opened = None;
    if let Some(views) = choose(log)? {
        let path = views.path().to_owned();
        match catch_up(log, end, views, limits, progress) {
            // Views that contradict their log are rebuilt. If it is the log that is corrupt, that says so too.
            Err(SqliteError::Corrupt { what, .. }) => {
                tracing::warn!(path = %path.display(), what, "the views are damaged; they are rebuilt");
            }
            caught_up => opened = Some(caught_up?),
        }
    } else if end > Position::START {
        tracing::info!(events = end.0, "building the views");
    }
    let are_new = opened.is_none();
    let opened = match opened {
        Some(opened) => opened,
        None => build_and_catch_up(log, end, limits, progress)?,
    };
    let Some(loss) = loss::receipts::lost_events(log, &opened.readers)? else { return Ok(opened) };
    if accept_loss {
        tracing::warn!(%loss, "events are missing, and it is accepted");
        loss::receipts::delete_those_of_lost_events(log, &opened.readers)?;
        drop(opened);
        return build_and_catch_up(log, end, limits, progress);
    }
    drop(opened);
    if are_new {
        remove_all(log)?;
    }
    Err(SqliteError::Lost { path: log.path().to_owned(), losses: vec![loss] })
}

/// If something turns out to be lost, no views are left of what there is: they would know no better.
fn build_and_catch_up(
    log: &Log,
    end: Position,
    limits: &SqliteLimits,
    progress: BuildProgress<'_>,
) -> Result<CaughtUp, SqliteError> {
    let built = build_all(log, OnUnreadable::Quarantine, limits.rebuild_bytes, progress)?;
    let caught_up = catch_up(log, end, built.views, limits, progress);
    if matches!(caught_up, Err(SqliteError::Lost { .. })) {
        remove_all(log)?;
    }
    caught_up
}

fn remove_all(log: &Log) -> Result<(), SqliteError> {
    let numbers = files::numbers(log.path())?;
    numbers.into_iter().try_for_each(|number| files::remove(&files::path(log.path(), number)))
}

fn catch_up(
    log: &Log,
    end: Position,
    views: Views,
    limits: &SqliteLimits,
    progress: BuildProgress<'_>,
) -> Result<CaughtUp, SqliteError> {
    let unreadable = OnUnreadable::Quarantine;
    let options = CatchUpOptions { up_to: end, known: None, unreadable, limits, progress };
    let caught_up = catch_up::run(log.path(), views, options)?;
    if caught_up.views.are_of_another_release() {
        caught_up.readers.rebuilds.want("they were made by another release", false);
    }
    Ok(caught_up)
}

/// The highest complete file that fits the log. All others go: they were being built, or have been replaced.
fn choose(log: &Log) -> Result<Option<Views>, SqliteError> {
    let mut chosen = None;
    for number in files::numbers(log.path())? {
        let path = files::path(log.path(), number);
        if chosen.is_none() {
            match Views::open(log.path(), number, log.identity()) {
                Ok(views) if log_continues(log, views.progress())? => {
                    chosen = Some(views);
                    continue;
                }
                Ok(_) => {
                    let why = "the log does not have the event or the receipt that they end with";
                    tracing::warn!(path = %path.display(), why, "these views are of no use");
                }
                Err(ViewsError::Useless(why)) => {
                    tracing::info!(path = %path.display(), why, "these views are of no use");
                }
                Err(error) if error.damage().is_some() => {
                    tracing::warn!(path = %path.display(), %error, "these views cannot be read");
                }
                // It may pass, and they may know what the log has lost.
                Err(error) => return Err(error.at(&path)),
            }
        }
        files::remove(&path)?;
    }
    Ok(chosen)
}

/// Whether the log has the event and the receipt that views end with.
fn log_continues(log: &Log, progress: &FileProgress) -> Result<bool, SqliteError> {
    let FileProgress { position, event_id, receipts, hash_seed, .. } = progress;
    let has_event = *position == Position::START || log.event_id_at(*position)? == Some(*event_id);
    let may_have_receipt = receipts.may_be_of(log.connection(), *hash_seed);
    Ok(has_event && may_have_receipt.map_err(SqliteError::sqlite(log.path()))?)
}

/// Builds views of all of a log that nobody is writing to, and removes all others.
pub(crate) fn build_all(
    log: &Log,
    unreadable: OnUnreadable,
    memory: usize,
    progress: BuildProgress<'_>,
) -> Result<BuiltViews, SqliteError> {
    let earlier = files::numbers(log.path())?;
    let number = files::next_number(log.path(), earlier.first().copied())?;
    let (log_identity, hash_seed, up_to) = (log.identity(), new_hash_seed(), log.end()?);
    let options = BuildOptions { number, log_identity, hash_seed, up_to, memory, unreadable, progress };
    let built = build(log.path(), options);
    // Half of them are of no use to anybody, and may be what fills the disk.
    let useless = if built.is_ok() { earlier } else { vec![number] };
    for number in useless {
        files::remove(&files::path(log.path(), number))?;
    }
    built
}
