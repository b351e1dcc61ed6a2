//! Holds a command against the order's ledgers.

use crate::command::OrderCommand;
use crate::error::OrderError;
use crate::event::OrderEvent;
use crate::fulfilment::ship;
use crate::inventory::reserve;
use crate::order::Order;
use crate::payment::authorize;
use crate::placement::place;
use crate::values::time::Timestamp;

/// What a command does to an order: the events to append, none when what it asks for was done already.
///
/// `order` is the fold of all its events so far, `None` before the first. The same input always gives the same answer.
/// Every command first asks whether it is a repetition: the same client-given id with the same content is accepted
/// and changes nothing, whatever happened to the order in between.
///
/// # Errors
/// An [`OrderError`] when the order's state or history forbids it.
pub fn decide(
    order: Option<&Order>,
    command: &OrderCommand,
    now: Timestamp,
) -> Result<Vec<OrderEvent>, OrderError> {
    match command {
        OrderCommand::Place(command) => place::decide(order, command),
        OrderCommand::AuthorizePayment(command) => authorize::decide(existing(order)?, command),
        OrderCommand::ReserveInventory(command) => reserve::decide(existing(order)?, command, now),
        OrderCommand::Ship(command) => ship::decide(existing(order)?, command),
    }
}

fn existing(order: Option<&Order>) -> Result<&Order, OrderError> {
    order.ok_or(OrderError::NotFound)
}

/// Whether a field of a repeated command agrees with what was recorded: left out, it does.
pub(crate) fn matches_recorded<T: PartialEq>(given: Option<&T>, recorded: &T) -> bool {
    given.is_none_or(|given| given == recorded)
}
