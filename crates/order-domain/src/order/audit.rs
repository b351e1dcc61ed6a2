//! Whether an order's ledgers add up: what they count is what its reservations, parcels, returns, captures and refunds hold,
//! and nothing is lost on the way.

use std::collections::HashMap;

use super::Order;
use crate::fulfilment::ShipmentState;
use crate::order::ledger::LineLedger;
use crate::order::units::LineUnits;
use crate::payment::{Payment, PaymentShare};
use crate::placement::Line;
use crate::returns::ReturnState;
use crate::values::text::PaymentId;

impl Order {
    /// What does not add up, if anything does not: no sequence of commands leads there.
    pub fn imbalance(&self) -> Option<String> {
        self.imbalance_of_units().or_else(|| self.imbalance_of_money())
    }

    fn imbalance_of_units(&self) -> Option<String> {
        let mut sums = vec![Sums::default(); self.lines.len()];
        for reservation in &self.reservations {
            add(&mut sums, reservation.held.iter().copied(), |sums| &mut sums.held);
        }
        for shipment in &self.shipments {
            match shipment.state {
                ShipmentState::Lost => continue,
                ShipmentState::UnderWay => {}
                ShipmentState::Delivered => add(&mut sums, shipment.units(), |sums| &mut sums.arrived),
            }
            add(&mut sums, shipment.units(), |sums| &mut sums.sent);
        }
        for known in &self.returns {
            match &known.state {
                ReturnState::Requested => {
                    add(&mut sums, known.units.iter().copied(), |sums| &mut sums.asked_back);
                }
                ReturnState::Received { units, .. } => {
                    add(&mut sums, units.iter().copied(), |sums| &mut sums.back);
                }
                ReturnState::Rejected => {}
            }
        }
        let lines = (1..).zip(self.lines.iter().zip(sums));
        lines.map(|(number, (line, sums))| sums.fault_of(number, line)).find_map(|fault| fault)
    }

    fn imbalance_of_money(&self) -> Option<String> {
        let captured = by_payment(self.captures.iter().flat_map(|capture| &capture.shares));
        let refunded = by_payment(self.refunds.iter().flat_map(|refund| &refund.shares));
        let of =
            |sums: &HashMap<&PaymentId, i64>, payment: &Payment| sums.get(&payment.id).copied().unwrap_or(0);
        self.payments.iter().find_map(|payment| {
            let money = payment.ledger;
            let fault = if money.captured.get() + money.voided.get() > money.authorized.get() {
                "more is captured and voided than was authorised"
            } else if money.refunded > money.captured {
                "more is refunded than was captured"
            } else if of(&captured, payment) != money.captured.get() {
                "captures do not add up to what is captured"
            } else if of(&refunded, payment) != money.refunded.get() {
                "refunds do not add up to what is refunded"
            } else {
                return None;
            };
            Some(format!("payment {}: {fault}: {money:?}", payment.id))
        })
    }
}

/// What the order's lists hold of one line.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    held: u64,
    sent: u64,
    arrived: u64,
    asked_back: u64,
    back: u64,
}

impl Sums {
    fn fault_of(self, number: u16, Line { ledger, .. }: &Line) -> Option<String> {
        let LineLedger { ordered, cancelled, reserved, shipped, delivered, returning, returned } = *ledger;
        let [ordered, cancelled, reserved, shipped, delivered, returning, returned] =
            [ordered, cancelled, reserved, shipped, delivered, returning, returned].map(u64::from);
        let fault = if cancelled + shipped > ordered {
            "more is cancelled and shipped than was ordered"
        } else if cancelled + shipped + reserved > ordered {
            "more is reserved than is open"
        } else if delivered > shipped {
            "more is delivered than was shipped"
        } else if returning + returned > delivered {
            "more is asked back and returned than was delivered"
        } else if self.held != reserved {
            "reservations do not hold what is reserved"
        } else if (self.sent, self.arrived) != (shipped, delivered) {
            "parcels do not hold what was shipped"
        } else if (self.asked_back, self.back) != (returning, returned) {
            "returns do not hold what was asked back"
        } else {
            return None;
        };
        Some(format!("line {number}: {fault}: {ledger:?}"))
    }
}

fn add(sums: &mut [Sums], units: impl IntoIterator<Item = LineUnits>, sum: impl Fn(&mut Sums) -> &mut u64) {
    for units in units {
        if let Some(sums) = sums.get_mut(units.line.index()) {
            *sum(sums) += u64::from(units.quantity);
        }
    }
}

fn by_payment<'a>(shares: impl Iterator<Item = &'a PaymentShare>) -> HashMap<&'a PaymentId, i64> {
    let mut sums = HashMap::new();
    for share in shares {
        *sums.entry(&share.payment_id).or_default() += share.amount.get();
    }
    sums
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    #[track_caller]
    fn check(events: impl IntoIterator<Item = OrderEvent>, fault: &str) {
        let found = given(events).order().imbalance().unwrap_or_default();
        assert!(found.contains(fault), "{found}");
    }

    #[test]
    fn an_order_that_its_commands_made_adds_up() {
        let back = [return_requested("x", &[(1, 2)]), received("x", &[(1, 1)])];
        assert_eq!(given(delivered_order().into_iter().chain(back)).order().imbalance(), None);
    }

    #[test]
    fn what_no_command_does_is_found() {
        let parcel = shipped("t", &[(1, "r", 2)]);
        check(
            [placed(), parcel.clone(), cancelled(&[(1, 2), (2, 1)])],
            "line 1: more is cancelled and shipped",
        );
        check([placed(), reserved("r", &[(2, 2)])], "line 2: more is reserved");
        check([placed(), parcel, return_requested("x", &[(1, 1)])], "line 1: more is asked back");
        check([placed(), paid("p", 10), captured("c", &[("p", 11)])], "payment p: more is captured");
        check([placed(), paid("p", 10), refunded("f", &[("p", 1)])], "payment p: more is refunded");
        let twice = [paid("p", 10), paid("p", 10), captured("c", &[("p", 5)])];
        check([placed()].into_iter().chain(twice), "payment p: captures do not add up");
    }

    /// Makes one count wrong.
    type Plant = fn(&mut Order);

    /// One unit arrived, one is open, one is reserved; 10.00 were captured, of which 1.00 was refunded.
    #[test]
    fn a_count_that_no_list_explains_is_found() {
        let sound = given([
            placed(),
            paid("p", 5000),
            reserved("r", &[(1, 1), (2, 1)]),
            shipped("t", &[(1, "r", 1)]),
            delivered("t"),
            captured("c", &[("p", 1000)]),
            refunded("f", &[("p", 100)]),
        ])
        .order();
        assert_eq!(sound.imbalance(), None);
        let planted: [(Plant, &str); 9] = [
            (|order| order.lines[0].ledger.delivered = 2, "line 1: more is delivered than was shipped"),
            (|order| order.lines[0].ledger.reserved = 1, "line 1: reservations do not hold"),
            (|order| order.lines[0].ledger.shipped = 2, "line 1: parcels do not hold"),
            (|order| order.lines[0].ledger.delivered = 0, "line 1: parcels do not hold"),
            (|order| order.lines[0].ledger.returning = 1, "line 1: returns do not hold"),
            (|order| order.lines[0].ledger.returned = 1, "line 1: returns do not hold"),
            (|order| order.payments[0].ledger.voided = cents(4001), "payment p: more is captured and voided"),
            (|order| order.payments[0].ledger.captured = cents(999), "payment p: captures do not add up"),
            (|order| order.payments[0].ledger.refunded = cents(101), "payment p: refunds do not add up"),
        ];
        for (plant, fault) in planted {
            let mut order = sound.clone();
            plant(&mut order);
            let found = order.imbalance().unwrap_or_default();
            assert!(found.contains(fault), "{fault}: {found}");
        }
    }
}
