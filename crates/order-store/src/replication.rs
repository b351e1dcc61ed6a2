//! What a replica's store checks of what it is brought: the same in each store.

use order_application::{Append, AppendError, Checkpoint, Position, StoreError, Version};
use order_domain::OrderId;

/// The events of an append, and a view that has just these. Who appends by a command has made both in one place; what
/// comes from another log has not.
pub(crate) fn check_append(append: &Append) -> Result<(), StoreError> {
    let Append {
        order_id,
        expected_version,
        history: _,
        events,
        view,
        terms: _,
        receipt: _,
        deadline: _,
        trace: _,
    } = append;
    let reached = expected_version.plus(events.len() as u64);
    let fits = view.version() == reached || view.is_damaged();
    if events.is_empty() || view.order_id() != order_id || !fits {
        let what = format!("an append to order {order_id} has other events than its view counts");
        return Err(StoreError::Corrupt(what));
    }
    Ok(())
}

pub(crate) fn does_not_continue(order_id: &OrderId, current: Version, next: Version) -> StoreError {
    StoreError::Corrupt(format!(
        "order {order_id} is at version {current}, and what comes next is version {next}"
    ))
}

pub(crate) fn check_reached(reached: Position, checkpoint: &Checkpoint) -> Result<(), StoreError> {
    let said = checkpoint.position;
    if said == reached {
        return Ok(());
    }
    Err(StoreError::Corrupt(format!("the events reach position {reached}, and the checkpoint says {said}")))
}

/// What a replica says to a command.
pub(crate) fn takes_no_commands() -> AppendError {
    StoreError::Unavailable("the store is a replica's, which takes no commands".to_owned()).into()
}

/// What any other store says to events of another log.
pub(crate) fn is_no_replica() -> StoreError {
    StoreError::Unavailable("the store is not a replica's: it has a log of its own".to_owned())
}
