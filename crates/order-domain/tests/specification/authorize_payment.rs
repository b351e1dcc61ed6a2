use crate::harness::*;
use order_domain::*;

#[test]
fn an_amount_left_out_is_what_is_not_covered() {
    given([placed()]).when(pay("p-1", None)).then([paid("p-1", 5000)]);
    given([placed(), paid("p-1", 2000)]).when(pay("p-2", None)).then([paid("p-2", 3000)]);
}

#[test]
fn payments_may_add_up_to_what_is_due_but_not_beyond() {
    given([placed(), paid("p-1", 2000)]).when(pay("p-2", Some(3000))).then([paid("p-2", 3000)]);
    given([placed(), paid("p-1", 2000)])
        .when(pay("p-2", Some(3001)))
        .then_refused(OrderError::AmountExceedsDue { requested: cents(3001), available: cents(3000) });
}

#[test]
fn a_covered_order_takes_no_more() {
    given([placed(), paid("p-1", 5000)])
        .when(pay("p-2", None))
        .then_in_the_way(Action::Payment, PaymentObstacle::Covered);
    given([placed(), paid("p-1", 5000)])
        .when(pay("p-2", Some(1)))
        .then_refused(OrderError::AmountExceedsDue { requested: cents(1), available: Cents::ZERO });
}

#[test]
fn nothing_may_only_be_authorised_where_nothing_is_to_be_paid() {
    given([placed()]).when(pay("p", Some(0))).then_refused(OrderError::ZeroAmount);
    let free = placed_by(place_lines([line("gift", 1, 0)]));
    given([free.clone()]).when(pay("p", Some(0))).then([paid("p", 0)]);
    given([free]).when(pay("p", None)).then([paid("p", 0)]);
}

#[test]
fn the_same_payment_again_changes_nothing() {
    for retry in [pay("p-1", Some(5000)), pay("p-1", None)] {
        given([placed(), paid("p-1", 5000)]).when(retry).then_nothing();
    }
}

#[test]
fn the_same_payment_id_with_another_amount_is_refused() {
    given([placed(), paid("p-1", 5000)])
        .when(pay("p-1", Some(4999)))
        .then_refused(OrderError::IdReused { kind: IdKind::Payment });
}

#[test]
fn an_order_that_was_not_placed_cannot_be_paid() {
    given([]).when(pay("p-1", None)).then_refused(OrderError::NotFound);
}
