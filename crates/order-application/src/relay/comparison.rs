//! Holds what a broker has against the log.

use std::sync::Arc;

use uuid::Uuid;

use crate::follower::FollowerError;
use crate::log_ids::LogIds;
use crate::ports::broker::FoundEvent;
use crate::ports::event_log::EventLog;

/// Checks that the log has all these events where they say that they are.
///
/// # Errors
/// [`FollowerError::Misconfigured`] for the first, by its position, that it does not have there; otherwise the store's.
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
    for event in &found {
        let logged = ids.at(event.position).await?;
        if logged != Some(event.id) {
            return Err(of_another_log(event, logged));
        }
    }
    Ok(())
}

fn of_another_log(found: &FoundEvent, logged: Option<Uuid>) -> FollowerError {
    let FoundEvent { place, position, id } = found;
    let here = logged.map_or_else(|| "no event".to_owned(), |logged| format!("the event {logged}"));
    FollowerError::Misconfigured(format!(
        "{place} has the event {id} at position {position}, where this log has {here}: what was published there is \
         another store's, or is from before this one was restored from a backup. Nothing is published. Either publish to \
         another stream or topic (stream=, topic=), or empty that one"
    ))
}
