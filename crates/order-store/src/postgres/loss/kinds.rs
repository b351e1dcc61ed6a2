//! What there is to be told of a database from which events are missing.

use order_application::{Position, Version};
use order_domain::OrderId;

use crate::counted::counted;

/// What tells that events are missing that were acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostgresLoss {
    /// Views have events that the log does not have.
    #[error(
        "the views end at position {position} (order {order_id}, version {version}), and the log ends at position {end}: {}",
        missing(*end, *position)
    )]
    ViewsAhead {
        /// Where they end.
        position: Position,
        /// The order of the last of these events.
        order_id: OrderId,
        /// The version that the view has.
        version: Version,
        /// Where the log ends.
        end: Position,
    },
    /// Views have an event in whose place the log has another.
    #[error(
        "the views are of another history: they have order {order_id} at version {version}, with its last event at position \
         {position}, and the log has another order's event there"
    )]
    OtherHistory {
        /// The order. There may be others.
        order_id: OrderId,
        /// The version that the view has.
        version: Version,
        /// Where its last event was.
        position: Position,
    },
    /// Somebody has followed the log further than it goes.
    #[error(
        "the checkpoint {name:?} is at position {position}, and the log ends at position {end}: {}",
        missing(*end, *position)
    )]
    CheckpointAhead {
        /// The checkpoint's name.
        name: Box<str>,
        /// How far it has come.
        position: Position,
        /// Where the log ends.
        end: Position,
    },
    /// There are receipts of commands whose events the log does not have.
    #[error(
        "there is the receipt of a command that brought order {order_id} to version {version}, and the log does not have that \
         event ({} like that among the newest)",
        counted(*receipts as u64, "receipt")
    )]
    MissingEvent {
        /// The order of the newest one. There may be others.
        order_id: OrderId,
        /// The version that it says the order had.
        version: Version,
        /// How many of the receipts that were looked at are of such commands.
        receipts: usize,
    },
    /// It is known when events were that the log does not have.
    #[error(
        "order_service.log_times knows when the events at position {first} and after it were, and the log ends at position \
         {end}: {}",
        missing(*end, *first)
    )]
    TimesAhead {
        /// The first position of the last stretch whose times are known.
        first: Position,
        /// Where the log ends.
        end: Position,
    },
}

/// What is missing up to a position at least.
fn missing(end: Position, position: Position) -> String {
    let first = end.plus(1);
    match position.0 - end.0 {
        1 => format!("the event at position {first} is missing"),
        events => format!("{events} events are missing, at positions {first} to {position}"),
    }
}
