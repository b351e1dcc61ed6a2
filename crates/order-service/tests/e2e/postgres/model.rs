//! An order as simple as the clients' commands leave it: one line whose units cost a cent each. It knows nothing of the
//! service's code.

use std::collections::HashMap;

use super::history::{Action, Command};

/// An order after one of its events.
#[derive(Debug, Clone, Default)]
pub(crate) struct Order {
    pub(crate) version: u64,
    pub(crate) customer_id: String,
    ordered: u64,
    paid: u64,
    reserved: u64,
    shipped: u64,
    /// The commands that it has seen, by their own names.
    done: HashMap<(Action, String), u64>,
}

/// What becomes of a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It adds an event.
    Done,
    /// It was done before.
    DoneAlready,
    /// With this code.
    Refused(&'static str),
}

impl Order {
    pub(crate) fn total(&self) -> u64 {
        self.ordered
    }

    pub(crate) fn judge(&self, command: &Command) -> Verdict {
        let placed = self.version > 0;
        if let Some(&amount) = self.done.get(&(command.action, command.own_id.clone())) {
            let same = command.action == Action::Reserve || amount == command.amount;
            return if same { Verdict::DoneAlready } else { Verdict::Refused("id-reused") };
        }
        let refusal = match command.action {
            Action::Place => placed.then_some("id-reused"),
            _ if !placed => Some("order-not-found"),
            Action::Pay => {
                (command.amount > self.ordered.saturating_sub(self.paid)).then_some("amount-exceeds-due")
            }
            Action::Reserve => {
                let covered = self.paid == self.ordered;
                (!covered || self.unreserved() == 0).then_some("invalid-transition")
            }
            Action::Ship if self.reserved == 0 => Some("invalid-transition"),
            Action::Ship => (command.amount > self.reserved).then_some("quantity-exceeds-available"),
        };
        refusal.map_or(Verdict::Done, Verdict::Refused)
    }

    /// The order after a command that was done.
    pub(crate) fn after(&self, command: &Command) -> Self {
        let mut next = self.clone();
        next.version += 1;
        match command.action {
            Action::Place => {
                next.ordered = command.amount;
                next.customer_id.clone_from(&command.own_id);
            }
            Action::Pay => next.paid += command.amount,
            Action::Reserve => next.reserved += self.unreserved(),
            Action::Ship => {
                next.reserved = next.reserved.saturating_sub(command.amount);
                next.shipped += command.amount;
            }
        }
        next.done.insert((command.action, command.own_id.clone()), command.amount);
        next
    }

    pub(crate) fn status(&self) -> &'static str {
        if self.shipped == self.ordered {
            "shipped"
        } else if self.shipped > 0 {
            "partially_shipped"
        } else if self.reserved == self.ordered {
            "inventory_reserved"
        } else if self.paid == self.ordered {
            "payment_authorized"
        } else {
            "placed"
        }
    }

    fn unreserved(&self) -> u64 {
        self.ordered.saturating_sub(self.reserved + self.shipped)
    }
}
