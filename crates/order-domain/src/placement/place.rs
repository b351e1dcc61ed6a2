use iso_currency::Currency;

use super::Line;
use crate::command::matches_recorded;
use crate::error::OrderError;
use crate::event::OrderEvent;
use crate::order::Order;
use crate::order::bill::Bill;
use crate::order::ledger::LineLedger;
use crate::values::money::{Adjustment, Cents};
use crate::values::quantity::Quantity;
use crate::values::text::{CustomerId, Metadata, Sku};
use crate::values::time::{Expiry, Timestamp};

/// See [`OrderCommand::Place`](crate::OrderCommand::Place).
#[derive(Debug, Clone, PartialEq)]
pub struct PlaceOrder {
    /// Who orders.
    pub customer_id: CustomerId,
    /// 1 to [`MAX_LINES`](crate::MAX_LINES) lines; they are numbered from 1 in this order.
    pub lines: Vec<OrderLine>,
    /// The currency of every amount; left out: `default_currency`.
    pub currency: Option<Currency>,
    /// The shop's currency, for an order that names none.
    pub default_currency: Currency,
    /// What is added to the lines' prices or taken off them.
    pub adjustments: Option<Vec<Adjustment>>,
    /// The client's own notes.
    pub metadata: Option<Metadata>,
    /// How long payments have to cover the order, 1 to [`MAX_EXPIRES_IN_SECONDS`](crate::MAX_EXPIRES_IN_SECONDS); if they do
    /// not, it is cancelled. Left out: it waits.
    pub pay_within_seconds: Option<u32>,
}

/// One line of a placement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderLine {
    /// What is ordered.
    pub sku: Sku,
    /// How many of it.
    pub quantity: Quantity,
    /// The price of one, 0 or more.
    pub unit_price: Cents,
}

/// See [`OrderEvent::OrderPlaced`].
#[derive(Debug, Clone, PartialEq)]
pub struct OrderPlaced {
    /// Who ordered.
    pub customer_id: CustomerId,
    /// The currency of every amount of this order.
    pub currency: Currency,
    /// What was ordered; line numbers are indexes plus one.
    pub lines: Vec<PlacedLine>,
    /// What was added to the lines' prices or taken off them.
    pub adjustments: Vec<Adjustment>,
    /// The client's own notes.
    pub metadata: Metadata,
    /// Lines and adjustments together; 0 or more.
    pub total: Cents,
    /// Until when payments have to cover the order; `None`: it waits.
    pub payment_term: Option<Expiry>,
}

/// One line as it was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedLine {
    /// What was ordered.
    pub sku: Sku,
    /// How many of it.
    pub quantity: Quantity,
    /// The price of one, 0 or more.
    pub unit_price: Cents,
}

impl From<&OrderLine> for PlacedLine {
    fn from(OrderLine { sku, quantity, unit_price }: &OrderLine) -> Self {
        Self { sku: sku.clone(), quantity: *quantity, unit_price: *unit_price }
    }
}

pub(crate) fn decide(
    order: Option<&Order>,
    command: &PlaceOrder,
    now: Timestamp,
) -> Result<Vec<OrderEvent>, OrderError> {
    match order {
        Some(order) if is_repetition(order, command) => Ok(Vec::new()),
        Some(_) => Err(OrderError::IdReused { id: "order_id" }),
        None => Ok(vec![OrderEvent::OrderPlaced(placed(command, now)?)]),
    }
}

fn placed(command: &PlaceOrder, now: Timestamp) -> Result<OrderPlaced, OrderError> {
    let adjustments = command.adjustments.clone().unwrap_or_default();
    Ok(OrderPlaced {
        customer_id: command.customer_id.clone(),
        currency: command.currency.unwrap_or(command.default_currency),
        total: total(&command.lines, &adjustments)?,
        lines: command.lines.iter().map(PlacedLine::from).collect(),
        adjustments,
        metadata: command.metadata.clone().unwrap_or_default(),
        payment_term: Expiry::from_now(command.pay_within_seconds, now),
    })
}

/// Every sum on the way has to be an amount, too.
fn total(lines: &[OrderLine], adjustments: &[Adjustment]) -> Result<Cents, OrderError> {
    let mut total = Cents::ZERO;
    for line in lines {
        total = total.checked_add(line.unit_price.checked_times(u64::from(line.quantity.get()))?)?;
    }
    let (mut charges, mut discounts) = (total, Cents::ZERO);
    for Adjustment { amount, .. } in adjustments {
        let sum = if *amount < Cents::ZERO { &mut discounts } else { &mut charges };
        *sum = sum.checked_add(*amount)?;
    }
    total = charges.checked_add(discounts)?;
    if total < Cents::ZERO {
        return Err(OrderError::InvalidTotal("discounts must not be more than lines and charges together"));
    }
    Ok(total)
}

fn is_repetition(order: &Order, command: &PlaceOrder) -> bool {
    let same_line = |(given, placed): (&OrderLine, &Line)| {
        given.sku == placed.sku
            && given.unit_price == placed.unit_price
            && given.quantity.get() == placed.ledger.ordered
    };
    command.customer_id == *order.customer_id()
        && command.lines.len() == order.lines().len()
        && command.lines.iter().zip(order.lines()).all(same_line)
        && matches_recorded(command.currency.as_ref(), &order.currency())
        && command.adjustments.as_deref().is_none_or(|given| given == order.adjustments())
        && command.metadata.as_ref().is_none_or(|given| given.same_pairs(order.metadata()))
        && (command.pay_within_seconds.is_none() || command.pay_within_seconds == order.pay_within_seconds)
}

impl OrderPlaced {
    /// The order that it begins.
    pub(crate) fn begin(&self) -> Order {
        let line = |line: &PlacedLine| Line {
            sku: line.sku.clone(),
            unit_price: line.unit_price,
            ledger: LineLedger { ordered: line.quantity.get(), ..LineLedger::default() },
        };
        let price = |line: &PlacedLine| line.unit_price.saturating_times(line.quantity.get());
        let goods = self.lines.iter().fold(Cents::ZERO, |sum, line| sum.saturating_add(price(line)));
        let is_free = self.total == Cents::ZERO;
        Order {
            customer_id: self.customer_id.clone(),
            currency: self.currency,
            bill: Bill::new(goods, &self.adjustments, self.total),
            lines: self.lines.iter().map(line).collect(),
            adjustments: self.adjustments.clone(),
            metadata: self.metadata.clone(),
            payment_term: self.payment_term.filter(|_| !is_free),
            pay_within_seconds: self.payment_term.map(|term| term.seconds),
            payments: Vec::new(),
            declined: Vec::new(),
            voids: Vec::new(),
            captures: Vec::new(),
            refunds: Vec::new(),
            reservations: Vec::new(),
            shipments: Vec::new(),
            cancellations: Vec::new(),
            rest_cancelled: false,
            returns: Vec::new(),
            on_hold: false,
            completed: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::specification::*;
    use crate::*;

    #[test]
    fn a_new_order_records_everything_with_defaults_filled_in() {
        given([]).when(place()).then([OrderEvent::OrderPlaced(OrderPlaced {
            customer_id: CustomerId::new("cust-1").unwrap(),
            currency: Currency::USD,
            lines: vec![placed_line("sku-1", 2, 1500), placed_line("sku-2", 1, 2000)],
            adjustments: vec![],
            metadata: Metadata::default(),
            total: cents(5000),
            payment_term: None,
        })]);
    }

    #[test]
    fn a_term_in_seconds_becomes_a_point_in_time() {
        let order = given([]).when(PlaceOrder { pay_within_seconds: Some(60), ..place() }).order();
        let at = Timestamp::from_micros(NOW.as_micros() + 60_000_000);
        assert_eq!(order.payment_term(), Some(Expiry { seconds: 60, at }));
    }

    #[test]
    fn adjustments_count_towards_the_total() {
        let adjustments =
            vec![adjustment(AdjustmentKind::Shipping, 700), adjustment(AdjustmentKind::Discount, -500)];
        let order = given([]).when(PlaceOrder { adjustments: Some(adjustments), ..place() }).order();
        assert_eq!(order.total(), cents(5200));
    }

    #[test]
    fn discounts_may_bring_the_total_to_nothing_but_not_below() {
        let discounted = |amount| PlaceOrder {
            adjustments: Some(vec![adjustment(AdjustmentKind::Discount, amount)]),
            ..place()
        };
        assert_eq!(given([]).when(discounted(-5000)).order().total(), Cents::ZERO);
        given([]).when(discounted(-5001)).then_refused(OrderError::InvalidTotal(
            "discounts must not be more than lines and charges together",
        ));
    }

    #[test]
    fn a_total_beyond_the_largest_amount_is_refused_not_wrapped() {
        let too_much = place_lines([line("a", 1_000_000, MAX_CENTS)]);
        given([]).when(too_much).then_refused(MoneyError.into());
        let just_too_much = place_lines([line("a", 1, MAX_CENTS), line("b", 1, 1)]);
        given([]).when(just_too_much).then_refused(MoneyError.into());
        assert_eq!(given([]).when(place_lines([line("a", 1, MAX_CENTS)])).order().total(), cents(MAX_CENTS));
    }

    #[test]
    fn the_same_placement_again_changes_nothing() {
        given([placed()]).when(place()).then_nothing();
        given([placed(), paid("p", 5000), reserved("r", &[(1, 2), (2, 1)])]).when(place()).then_nothing();
    }

    #[test]
    fn a_repetition_may_leave_out_what_it_gave_and_give_what_was_the_default() {
        let full = PlaceOrder {
            currency: Some(Currency::EUR),
            metadata: Some(Metadata::new([("k", "v"), ("l", "w")]).unwrap()),
            adjustments: Some(vec![adjustment(AdjustmentKind::Fee, 1)]),
            ..place()
        };
        given([placed_by(full.clone())]).when(place()).then_nothing();
        given([placed()]).when(PlaceOrder { currency: Some(Currency::USD), ..place() }).then_nothing();
        let other_order = Metadata::new([("l", "w"), ("k", "v")]).unwrap();
        given([placed_by(full.clone())])
            .when(PlaceOrder { metadata: Some(other_order), ..full })
            .then_nothing();
    }

    #[test]
    fn a_repetition_without_a_currency_matches_even_when_the_shops_default_has_changed() {
        let moved = PlaceOrder { default_currency: Currency::EUR, ..place() };
        given([placed()]).when(moved.clone()).then_nothing();
        assert_eq!(given([]).when(moved).order().currency(), Currency::EUR);
    }

    #[test]
    fn an_id_that_is_taken_by_another_placement_is_refused() {
        let others = [
            PlaceOrder { customer_id: CustomerId::new("cust-2").unwrap(), ..place() },
            PlaceOrder { currency: Some(Currency::EUR), ..place() },
            PlaceOrder { pay_within_seconds: Some(60), ..place() },
            PlaceOrder { adjustments: Some(vec![adjustment(AdjustmentKind::Tax, 0)]), ..place() },
            PlaceOrder { metadata: Some(Metadata::new([("k", "v")]).unwrap()), ..place() },
            place_lines([line("sku-1", 2, 1500)]),
            place_lines([line("sku-1", 3, 1500), line("sku-2", 1, 2000)]),
            place_lines([line("sku-1", 2, 1501), line("sku-2", 1, 2000)]),
            place_lines([line("sku-2", 1, 2000), line("sku-1", 2, 1500)]),
        ];
        for other in others {
            given([placed()]).when(other).then_refused(OrderError::IdReused { id: "order_id" });
        }
    }
}
