//! How tests say what an order may do: `given([…]).when(command).then([…])`, and builders with good defaults. The tests
//! of a command stand in its own file.

mod properties;

use crate::*;

/// 2026-01-01T00:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

pub(crate) struct Given {
    order: Option<Order>,
}

pub(crate) struct Outcome {
    order: Option<Order>,
    result: Result<Vec<OrderEvent>, OrderError>,
}

/// The order's past.
pub(crate) fn given(events: impl IntoIterator<Item = OrderEvent>) -> Given {
    Given { order: events.into_iter().fold(None, |order, event| evolve(order, &event)) }
}

impl Given {
    pub(crate) fn when(self, command: impl Into<OrderCommand>) -> Outcome {
        let result = decide(self.order.as_ref(), &command.into(), NOW);
        Outcome { order: self.order, result }
    }

    pub(crate) fn order(self) -> Order {
        self.order.expect("the given events begin an order")
    }
}

impl Outcome {
    #[track_caller]
    pub(crate) fn then(self, expected: impl IntoIterator<Item = OrderEvent>) {
        assert_eq!(self.result.expect("the command is accepted"), expected.into_iter().collect::<Vec<_>>());
    }

    /// Accepted as done already.
    #[track_caller]
    pub(crate) fn then_nothing(self) {
        self.then([]);
    }

    #[track_caller]
    pub(crate) fn then_refused(self, expected: OrderError) {
        assert_eq!(self.result, Err(expected));
    }

    /// Refused, and not counted among what may be done next.
    #[track_caller]
    pub(crate) fn then_in_the_way(self, action: Action, obstacle: Obstacle) {
        let order = self.order.expect("an order");
        assert_eq!(self.result, Err(OrderError::InvalidTransition(obstacle)));
        assert_eq!(order.allows(action), Err(obstacle));
        assert!(!order.allowed_actions().contains(&action));
    }

    /// The events, applied.
    #[track_caller]
    pub(crate) fn order(self) -> Order {
        let events = self.result.expect("the command is accepted");
        events.iter().fold(self.order, evolve).expect("an order")
    }
}

pub(crate) fn cents(cents: i64) -> Cents {
    Cents::new(cents).unwrap()
}

pub(crate) fn line(sku: &str, quantity: u64, unit_price: i64) -> OrderLine {
    OrderLine {
        sku: Sku::new(sku).unwrap(),
        quantity: Quantity::new(quantity).unwrap(),
        unit_price: cents(unit_price),
    }
}

pub(crate) fn placed_line(sku: &str, quantity: u64, unit_price: i64) -> PlacedLine {
    PlacedLine::from(&line(sku, quantity, unit_price))
}

pub(crate) fn adjustment(kind: AdjustmentKind, amount: i64) -> Adjustment {
    Adjustment { kind, label: Label::new("label").unwrap(), amount: cents(amount) }
}

/// A command of two `sku-1` at 15.00 and one `sku-2` at 20.00: 50.00 in all.
pub(crate) fn place() -> PlaceOrder {
    place_lines([line("sku-1", 2, 1500), line("sku-2", 1, 2000)])
}

pub(crate) fn place_lines(lines: impl Into<Vec<OrderLine>>) -> PlaceOrder {
    PlaceOrder {
        customer_id: CustomerId::new("cust-1").unwrap(),
        lines: lines.into(),
        currency: None,
        default_currency: Currency::USD,
        adjustments: None,
        metadata: None,
    }
}

/// What [`place`] leads to.
pub(crate) fn placed() -> OrderEvent {
    placed_by(place())
}

pub(crate) fn placed_by(command: PlaceOrder) -> OrderEvent {
    decide(None, &command.into(), NOW).expect("a valid placement").remove(0)
}

pub(crate) fn pay(payment_id: &str, amount: Option<i64>) -> AuthorizePayment {
    AuthorizePayment { payment_id: PaymentId::new(payment_id).unwrap(), amount: amount.map(cents) }
}

pub(crate) fn paid(payment_id: &str, amount: i64) -> OrderEvent {
    let (payment_id, amount) = (PaymentId::new(payment_id).unwrap(), cents(amount));
    OrderEvent::PaymentAuthorized(PaymentAuthorized { payment_id, amount })
}

pub(crate) fn reserve(reservation_id: &str) -> ReserveInventory {
    ReserveInventory { reservation_id: ReservationId::new(reservation_id).unwrap(), expires_in_seconds: None }
}

pub(crate) fn reserved(reservation_id: &str, units: &[(u64, u32)]) -> OrderEvent {
    OrderEvent::InventoryReserved(InventoryReserved {
        reservation_id: ReservationId::new(reservation_id).unwrap(),
        units: units.iter().map(|&(line, quantity)| ReservedUnits { line: number(line), quantity }).collect(),
        expires: None,
    })
}

/// Ships every reserved unit.
pub(crate) fn ship(tracking_number: &str) -> ShipOrder {
    ShipOrder {
        tracking_number: TrackingNumber::new(tracking_number).unwrap(),
        carrier: Carrier::new("UPS").unwrap(),
        units: None,
    }
}

pub(crate) fn ship_units(tracking_number: &str, units: impl Into<Vec<UnitRequest>>) -> ShipOrder {
    ShipOrder { units: Some(units.into()), ..ship(tracking_number) }
}

/// Units as (line, reservation, quantity).
pub(crate) fn shipped(tracking_number: &str, units: &[(u64, &str, u32)]) -> OrderEvent {
    let units = units.iter().map(|&(line, reservation_id, quantity)| ShippedUnits {
        line: number(line),
        reservation_id: ReservationId::new(reservation_id).unwrap(),
        quantity,
    });
    OrderEvent::OrderShipped(OrderShipped {
        tracking_number: TrackingNumber::new(tracking_number).unwrap(),
        carrier: Carrier::new("UPS").unwrap(),
        units: units.collect(),
    })
}

pub(crate) fn of_line(line: u64, quantity: u64) -> UnitRequest {
    UnitRequest { selector: UnitSelector::Line(number(line)), quantity: Quantity::new(quantity).unwrap() }
}

pub(crate) fn of_sku(sku: &str, quantity: u64) -> UnitRequest {
    let selector = UnitSelector::Sku(Sku::new(sku).unwrap());
    UnitRequest { selector, quantity: Quantity::new(quantity).unwrap() }
}

pub(crate) fn number(line: u64) -> LineNumber {
    LineNumber::new(line).unwrap()
}
