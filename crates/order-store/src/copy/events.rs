//! The log itself.

use order_application::{PageLimit, Position};

use super::{CopyError, CopyProgress, CopyStep, Source, Target};

/// How often the source may have grown before this gives up to catch it. Each round is far shorter than the one before,
/// unless the source grows as fast as it is copied.
const MAX_ROUNDS: usize = 50;

/// Copies all events after `found` until target and source are level, and answers where that is.
pub(super) async fn copy(
    source: &dyn Source,
    target: &mut dyn Target,
    found: Position,
    chunk: PageLimit,
    progress: CopyProgress<'_>,
) -> Result<Position, CopyError> {
    let mut reached = found;
    for _ in 0..MAX_ROUNDS {
        let log_end = source.log_end().await.map_err(CopyError::Source)?;
        if log_end == reached {
            return Ok(reached);
        }
        copy_round(source, target, (reached, log_end), chunk, progress).await?;
        reached = log_end;
    }
    Err(CopyError::SourceGrows)
}

/// Copies what is between two positions. The next chunk is read while the one before is written.
async fn copy_round(
    source: &dyn Source,
    target: &mut dyn Target,
    (began, log_end): (Position, Position),
    chunk: PageLimit,
    progress: CopyProgress<'_>,
) -> Result<(), CopyError> {
    let mut events = source.events(began, log_end, chunk).await.map_err(CopyError::Source)?;
    while let Some(last) = events.last().map(|event| event.position) {
        let next = source.events(last, log_end, chunk);
        let (next, written) = tokio::join!(next, target.append(events));
        written.map_err(CopyError::Target)?;
        progress(CopyStep::Copying, last.0, log_end.0);
        // Between SQLite files nothing else waits: here the copy can be stopped.
        tokio::task::yield_now().await;
        events = next.map_err(CopyError::Source)?;
    }
    Ok(())
}
