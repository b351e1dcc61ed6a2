//! Holds what a broker has against the log.

use std::sync::Arc;

use uuid::Uuid;

use crate::event::Position;
use crate::follower::FollowerError;
use crate::log_ids::LogIds;
use crate::ports::broker::FoundEvent;
use crate::ports::event_log::EventLog;

/// Checks that the log has all these events where they say that they are.
///
/// # Errors
/// [`FollowerError::Misconfigured`] if there are some that it does not have there, with the first by its position; otherwise the
/// store's.
pub(super) async fn compare(
    log: &Arc<dyn EventLog>,
    mut found: Vec<FoundEvent>,
) -> Result<(), FollowerError> {
    #[cfg(feature = "planted-faults")]
    if crate::planted_faults::brokers_are_not_compared() {
        return Ok(());
    }
    found.sort_unstable_by_key(|event| event.position);
    let mut ids = LogIds::new(Arc::clone(log));
    let mut agreed_up_to = Position::START;
    let mut first_other = None;
    let mut last_other = Position::START;
    for event in found {
        let logged = ids.at(event.position).await?;
        if logged != Some(event.id) {
            last_other = event.position;
            first_other.get_or_insert((event, logged));
        } else if first_other.is_none() {
            agreed_up_to = event.position;
        }
    }
    let Some((event, logged)) = first_other else { return Ok(()) };
    Err(of_another_log(&event, logged, agreed_up_to, last_other))
}

/// What is only there comes before what to do: emptying it may remove the only copy of orders that were acknowledged.
fn of_another_log(
    found: &FoundEvent,
    logged: Option<Uuid>,
    agreed_up_to: Position,
    last_other: Position,
) -> FollowerError {
    let FoundEvent { place, position, id } = found;
    let here = logged.map_or_else(|| "no event".to_owned(), |logged| format!("the event {logged}"));
    FollowerError::Misconfigured(format!(
        "{place} has the event {id} at position {position}, where this log has {here}: what was published there is \
         another store's, or is from before this one was restored from a backup. Nothing is published. {}. Then either \
         publish to another stream or topic (stream=, topic=), which leaves that one as it is, or empty that one",
        only_there(agreed_up_to, last_other)
    ))
}

/// Which published events this log may lack, where it is known to have those up to a position.
pub(super) fn only_there(agreed_up_to: Position, last: Position) -> String {
    let events = last.0.saturating_sub(agreed_up_to.0);
    format!(
        "The published events of positions {} to {last}, up to {events}, may be only there, and orders that were acknowledged with \
         them: read them before you remove anything",
        agreed_up_to.plus(1)
    )
}
