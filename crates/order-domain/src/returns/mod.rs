//! What comes back.

pub(crate) mod receive;
pub(crate) mod reject;
pub(crate) mod request;

pub use receive::{ReceiveReturn, ReturnReceived};
pub use reject::{RejectReturn, ReturnRejected};
pub use request::{RequestReturn, ReturnRequested};

use crate::error::{Obstacle, OrderError};
use crate::order::Order;
use crate::order::ledger::LineLedger;
use crate::order::units::LineUnits;
use crate::values::text::ReturnId;

/// A return that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Return {
    /// The client's name for it.
    pub id: ReturnId,
    /// What is to come back, by line, ascending.
    pub units: Vec<LineUnits>,
    /// What became of it.
    pub state: ReturnState,
}

/// What became of a return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReturnState {
    /// The units are waited for.
    Requested,
    /// It is closed: these came back.
    Received {
        /// What arrived, by line, ascending.
        units: Vec<LineUnits>,
        /// Whether it goes back into stock.
        restock: bool,
    },
    /// It is closed: nothing is taken back.
    Rejected,
}

/// No return is waited for.
pub(crate) const NO_RETURN_OPEN: Obstacle = Obstacle::state("no return is open");

/// A return is waited for.
pub(crate) fn guard_open(order: &Order) -> Result<(), Obstacle> {
    if order.has_open_return() { Ok(()) } else { Err(NO_RETURN_OPEN) }
}

impl Order {
    /// The return of that id.
    fn return_by_id(&self, id: &ReturnId) -> Result<&Return, OrderError> {
        self.returns().iter().find(|known| known.id == *id).ok_or(OrderError::ReturnNotFound)
    }

    /// Whether a return is waited for.
    pub(crate) fn has_open_return(&self) -> bool {
        self.returns().iter().any(|known| known.state == ReturnState::Requested)
    }

    /// Closes a return: its units may be asked back anew, unless they came.
    fn close_return(&mut self, id: &ReturnId, state: ReturnState) {
        let Some(index) = self.returns.iter().position(|known| known.id == *id) else { return };
        self.returns[index].state = state;
        let asked_back = self.returns[index].units.clone();
        self.count(&asked_back, |ledger, units| ledger.returning = ledger.returning.saturating_sub(units));
    }
}

/// Counts units that came back.
fn count_returned(ledger: &mut LineLedger, units: u32) {
    ledger.returned = ledger.returned.saturating_add(units);
}
