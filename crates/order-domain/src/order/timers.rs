//! What an order does by itself, and when.

use super::Order;
use crate::cancellation::CancelUnpaidOrder;
use crate::command::OrderCommand;
use crate::inventory::ExpireReservation;
use crate::payment::ExpireAuthorization;
use crate::values::money::Cents;
use crate::values::time::Timestamp;

/// A command that the service sends by itself. It asks once more whether it is due, so that it may come late or twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Timer {
    /// When it is due.
    pub due: Timestamp,
    /// What is due then.
    pub command: OrderCommand,
}

impl Order {
    /// Everything that the order will do by itself, as it is now.
    pub fn timers(&self) -> impl Iterator<Item = Timer> {
        let reservations = self.reservations().iter().filter(|reservation| !reservation.held.is_empty());
        let reservations = reservations.filter_map(|reservation| {
            let reservation_id = reservation.id.clone();
            let command = ExpireReservation { reservation_id }.into();
            Some(Timer { due: reservation.expires?.at, command })
        });
        let open = |payment: &&crate::Payment| payment.ledger.open_authorization() > Cents::ZERO;
        let payments = self.payments().iter().filter(open).filter_map(|payment| {
            let payment_id = payment.id.clone();
            Some(Timer { due: payment.expires?.at, command: ExpireAuthorization { payment_id }.into() })
        });
        let term = self.payment_term().map(|term| Timer { due: term.at, command: CancelUnpaidOrder.into() });
        reservations.chain(payments).chain(term)
    }

    /// When the first of its timers is due.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.timers().map(|timer| timer.due).min()
    }
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    fn in_seconds(seconds: u32) -> Timestamp {
        NOW.plus_seconds(seconds)
    }

    fn events_of(past: &[OrderEvent], command: impl Into<OrderCommand>) -> Vec<OrderEvent> {
        past.iter().cloned().chain(given(past.to_vec()).when(command).events()).collect()
    }

    #[test]
    fn an_order_has_a_timer_for_each_life_and_for_its_term() {
        let past = events_of(&[], PlaceOrder { pay_within_seconds: Some(30), ..place() });
        assert_eq!(given(past.clone()).order().next_due(), Some(in_seconds(30)));
        let past = events_of(&past, AuthorizePayment { expires_in_seconds: Some(90), ..pay("p", None) });
        assert_eq!(given(past.clone()).order().next_due(), Some(in_seconds(90)), "the term is over for good");
        let past = events_of(&past, ReserveInventory { expires_in_seconds: Some(60), ..reserve("r") });
        let order = given(past).order();
        assert_eq!(
            order.timers().map(|timer| timer.due).collect::<Vec<_>>(),
            [in_seconds(60), in_seconds(90)]
        );
        assert_eq!(order.next_due(), Some(in_seconds(60)));
    }

    #[test]
    fn what_has_nothing_left_to_end_has_no_timer() {
        let past =
            events_of(&[placed()], AuthorizePayment { expires_in_seconds: Some(90), ..pay("p", None) });
        let past = events_of(&past, ReserveInventory { expires_in_seconds: Some(60), ..reserve("r") });
        let past = events_of(&past, ship("t"));
        let past = events_of(&past, capture("c", None));
        assert_eq!(given(past).order().next_due(), None);
    }
}
