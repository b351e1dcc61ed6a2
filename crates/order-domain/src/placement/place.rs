use iso_currency::Currency;

use super::Line;
use crate::decide::matches_recorded;
use crate::error::{IdKind, OrderError};
use crate::event::OrderEvent;
use crate::order::Order;
use crate::order::ledger::LineLedger;
use crate::values::money::{Adjustment, Cents};
use crate::values::quantity::Quantity;
use crate::values::text::{CustomerId, Metadata, Sku};

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

pub(crate) fn decide(order: Option<&Order>, command: &PlaceOrder) -> Result<Vec<OrderEvent>, OrderError> {
    match order {
        Some(order) if is_repetition(order, command) => Ok(Vec::new()),
        Some(_) => Err(OrderError::IdReused { kind: IdKind::Order }),
        None => Ok(vec![OrderEvent::OrderPlaced(placed(command)?)]),
    }
}

fn placed(command: &PlaceOrder) -> Result<OrderPlaced, OrderError> {
    let adjustments = command.adjustments.clone().unwrap_or_default();
    Ok(OrderPlaced {
        customer_id: command.customer_id.clone(),
        currency: command.currency.unwrap_or(command.default_currency),
        total: total(&command.lines, &adjustments)?,
        lines: command.lines.iter().map(PlacedLine::from).collect(),
        adjustments,
        metadata: command.metadata.clone().unwrap_or_default(),
    })
}

fn total(lines: &[OrderLine], adjustments: &[Adjustment]) -> Result<Cents, OrderError> {
    let mut total = Cents::ZERO;
    for line in lines {
        total = total.checked_add(line.unit_price.checked_times(u64::from(line.quantity.get()))?)?;
    }
    for adjustment in adjustments {
        total = total.checked_add(adjustment.amount)?;
    }
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
}

impl OrderPlaced {
    /// The order that it begins.
    pub(crate) fn begin(&self) -> Order {
        let line = |line: &PlacedLine| Line {
            sku: line.sku.clone(),
            unit_price: line.unit_price,
            ledger: LineLedger { ordered: line.quantity.get(), ..LineLedger::default() },
        };
        Order {
            customer_id: self.customer_id.clone(),
            currency: self.currency,
            total: self.total,
            lines: self.lines.iter().map(line).collect(),
            adjustments: self.adjustments.clone(),
            metadata: self.metadata.clone(),
            payments: Vec::new(),
            reservations: Vec::new(),
            shipments: Vec::new(),
        }
    }
}
