//! Whether a target may be written to, and from where on.

use order_application::{PageLimit, Position};
use uuid::Uuid;

use super::{CopyError, Source, Target, TargetState};

/// Marks the target as an unfinished copy, and answers how far it is. A target that is a finished copy of all that the
/// source has is left as it is: the last run may have ended before it could say so.
pub(super) async fn begin(source: &dyn Source, target: &mut dyn Target) -> Result<Position, CopyError> {
    let TargetState { identity, copying, copied_from, log_end, last_event_id } =
        target.state().await.map_err(CopyError::Target)?;
    if identity == source.identity() {
        return Err(CopyError::SameStore);
    }
    let of_this_source = copied_from == Some(source.identity());
    if copying && !of_this_source {
        return Err(CopyError::CopyOfAnother);
    }
    if !copying && log_end > Position::START {
        let complete = of_this_source && source.log_end().await.map_err(CopyError::Source)? == log_end;
        if !complete {
            return Err(CopyError::InService { events: log_end });
        }
    }
    if let Some(event_id) = last_event_id {
        check_prefix(source, event_id, log_end).await?;
    }
    let is_to_be_filled = copying || log_end == Position::START;
    if is_to_be_filled {
        target.expect_unserved().await.map_err(CopyError::Target)?;
    }
    if is_to_be_filled && !copying {
        target.begin(source.identity()).await.map_err(CopyError::Target)?;
    }
    Ok(log_end)
}

/// Ids are never given twice, so two logs that have one event at one position have one history up to there.
async fn check_prefix(source: &dyn Source, event_id: Uuid, position: Position) -> Result<(), CopyError> {
    let page = source.events(Position(position.0 - 1), position, PageLimit::events(1)).await;
    match page.map_err(CopyError::Source)?.first() {
        Some(event) if event.id == event_id => Ok(()),
        Some(_) | None => Err(CopyError::OtherContent { event_id, position }),
    }
}
