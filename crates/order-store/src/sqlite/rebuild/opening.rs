//! Chooses the views that a store opens with, or builds some.

use std::path::Path;
use std::sync::Arc;

use order_application::Position;

use crate::sqlite::SqliteLimits;
use crate::sqlite::connection::open_reader;
use crate::sqlite::log::Log;
use crate::sqlite::rebuild::build::{BuildError, BuildOptions, BuildProgress, Built, OnUnreadable, build};
use crate::sqlite::rebuild::catch_up::{self, CatchUpOptions, CaughtUp};
use crate::sqlite::rebuild::requests::RebuildRequests;
use crate::sqlite::views::{Views, Writing, files, new_hash_seed};
use crate::sqlite_error::{OpenError, is_damage};

/// Page cache of the connection that reads a log from its beginning to its end.
pub(crate) const SCAN_CACHE_KIB: u32 = 1024;

/// Views that have reached the end of their log, or that will once the overlay is written.
pub(crate) struct OpenedViews {
    pub(crate) end: Position,
    pub(crate) caught_up: CaughtUp,
    pub(crate) rebuilds: Arc<RebuildRequests>,
}

/// Opens the views of a log and brings them up to it. Where there are none that are of use, they are built.
pub(crate) fn open_views(
    log: &Log,
    limits: &SqliteLimits,
    progress: BuildProgress<'_>,
) -> Result<OpenedViews, OpenError> {
    let end = log.end()?;
    if let Some(views) = choose(log)? {
        let path = views.path().to_owned();
        match catch_up(log, end, views, limits, progress) {
            // Views that contradict their log are built anew. If it is the log that is corrupt, that says so too.
            Err(OpenError::Corrupt { what, .. }) => {
                tracing::warn!(path = %path.display(), what, "the views are damaged; they are built anew");
            }
            opened => return opened,
        }
    } else if end > Position::START {
        tracing::info!(events = end.0, "building the views");
    }
    let (views, _) = build_anew(log, OnUnreadable::Quarantine, limits.rebuild_bytes, progress)?;
    catch_up(log, end, views, limits, progress)
}

fn catch_up(
    log: &Log,
    end: Position,
    views: Views,
    limits: &SqliteLimits,
    progress: BuildProgress<'_>,
) -> Result<OpenedViews, OpenError> {
    let rebuilds = Arc::new(RebuildRequests::new(views.number()));
    let unreadable = OnUnreadable::Quarantine;
    let options = CatchUpOptions { up_to: end, known: None, unreadable, limits, progress };
    let caught_up = catch_up::run(log.path(), views, Arc::clone(&rebuilds), options)?;
    if caught_up.views.are_of_another_release() {
        rebuilds.want("they were made by another release", false);
    }
    Ok(OpenedViews { end, caught_up, rebuilds })
}

/// The highest complete file that fits the log. All others go: they were being built, or have been replaced.
fn choose(log: &Log) -> Result<Option<Views>, OpenError> {
    let mut chosen = None;
    for number in files::numbers(log.path())? {
        let path = files::path(log.path(), number);
        if chosen.is_none() {
            match Views::open(log.path(), number, log.identity()) {
                Ok(Ok(views)) => match fits(log, &views)? {
                    Ok(()) => {
                        chosen = Some(views);
                        continue;
                    }
                    Err(why) => tracing::warn!(path = %path.display(), why, "these views are of no use"),
                },
                Ok(Err(why)) => tracing::info!(path = %path.display(), why, "these views are of no use"),
                Err(error) if is_damage(&error) => {
                    tracing::warn!(path = %path.display(), %error, "these views cannot be read");
                }
                // It may pass, and they may know what the log has lost.
                Err(error) => return Err(OpenError::sqlite(&path)(error)),
            }
        }
        files::remove(&path)?;
    }
    Ok(chosen)
}

/// Whether the log has the event that the views end with. The inner error says that it has not.
pub(crate) fn fits(log: &Log, views: &Views) -> Result<Result<(), String>, OpenError> {
    let progress = views.progress();
    if progress.position == Position::START {
        return Ok(Ok(()));
    }
    if log.event_id_at(progress.position)? == Some(progress.event_id) {
        return Ok(Ok(()));
    }
    Ok(Err(format!(
        "the log does not have the event {} at position {} that they end with",
        progress.event_id, progress.position
    )))
}

/// Builds views of all of a log that nobody is writing to, and removes all others.
pub(crate) fn build_anew(
    log: &Log,
    unreadable: OnUnreadable,
    memory: usize,
    progress: BuildProgress<'_>,
) -> Result<(Views, Built), OpenError> {
    let earlier = files::numbers(log.path())?;
    let number = earlier.first().map_or(1, |last| last + 1);
    let mut views = Views::create(log.path(), number, log.identity(), new_hash_seed(), Writing::Building)?;
    let path = views.path().to_owned();
    let built = fill(log, &mut views, unreadable, memory, progress);
    let finished = built.and_then(|built| Ok((views.finish()?, built)));
    match finished {
        Ok(finished) => {
            for number in earlier {
                files::remove(&files::path(log.path(), number))?;
            }
            Ok(finished)
        }
        Err(error) => {
            // Half of them are of no use to anybody, and may be what fills the disk.
            files::remove(&path)?;
            Err(error)
        }
    }
}

fn fill(
    log: &Log,
    views: &mut Views,
    unreadable: OnUnreadable,
    memory: usize,
    progress: BuildProgress<'_>,
) -> Result<Built, OpenError> {
    let end = log.end()?;
    let Some(event_id) = log.event_id_at(end)? else { return Ok(Built::default()) };
    let options = BuildOptions { up_to: (end, event_id), memory, unreadable, progress };
    let reader = open_reader(log.path(), SCAN_CACHE_KIB).map_err(OpenError::sqlite(log.path()))?;
    let path = views.path().to_owned();
    build(&reader, views, options)
        .map(|(built, _)| built)
        .map_err(|error| open_error(log.path(), &path, error))
}

fn open_error(log_path: &Path, views_path: &Path, error: BuildError) -> OpenError {
    match error {
        BuildError::Stopped => OpenError::Stopped,
        BuildError::Log(error) => OpenError::read(log_path)(error),
        BuildError::ReadLog(error) => OpenError::damaged_or_failed(log_path, error),
        BuildError::Sort(error) => OpenError::io(files::directory(views_path))(error),
        BuildError::Views(error) => error.at(views_path),
    }
}
