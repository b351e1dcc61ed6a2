//! How tests say what an order may do: `given([…]).when(command).then([…])`, and builders with good defaults. The tests
//! of a command stand in its own file.

mod diagram;
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
        assert_eq!(self.result, Err(OrderError::InTheWay(obstacle)));
        assert_eq!(order.allows(action), Err(obstacle));
        assert!(!order.allowed_actions().contains(&action));
    }

    /// The events themselves.
    #[track_caller]
    pub(crate) fn events(self) -> Vec<OrderEvent> {
        self.result.expect("the command is accepted")
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
        pay_within_seconds: None,
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
    AuthorizePayment {
        payment_id: PaymentId::new(payment_id).unwrap(),
        amount: amount.map(cents),
        expires_in_seconds: None,
    }
}

pub(crate) fn paid(payment_id: &str, amount: i64) -> OrderEvent {
    let (payment_id, amount) = (PaymentId::new(payment_id).unwrap(), cents(amount));
    OrderEvent::PaymentAuthorized(PaymentAuthorized { payment_id, amount, expires: None })
}

pub(crate) fn reserve(reservation_id: &str) -> ReserveInventory {
    ReserveInventory { reservation_id: ReservationId::new(reservation_id).unwrap(), expires_in_seconds: None }
}

pub(crate) fn reserved(reservation_id: &str, units: &[(u64, u32)]) -> OrderEvent {
    OrderEvent::InventoryReserved(InventoryReserved {
        reservation_id: ReservationId::new(reservation_id).unwrap(),
        units: line_units(units),
        expires: None,
    })
}

pub(crate) fn line_units(units: &[(u64, u32)]) -> Vec<LineUnits> {
    units.iter().map(|&(line, quantity)| LineUnits { line: number(line), quantity }).collect()
}

pub(crate) fn release(reservation_id: &str) -> ReleaseReservation {
    ReleaseReservation { reservation_id: ReservationId::new(reservation_id).unwrap(), reason: None }
}

pub(crate) fn released(reservation_id: &str, units: &[(u64, u32)]) -> OrderEvent {
    OrderEvent::ReservationReleased(ReservationReleased {
        reservations: vec![held_by(reservation_id, units)],
        cause: None,
        reason: None,
    })
}

pub(crate) fn released_because(cause: Cause, reservation_id: &str, units: &[(u64, u32)]) -> OrderEvent {
    OrderEvent::ReservationReleased(ReservationReleased {
        reservations: vec![held_by(reservation_id, units)],
        cause: Some(cause),
        reason: None,
    })
}

pub(crate) fn held_by(reservation_id: &str, units: &[(u64, u32)]) -> ReservationShare {
    let reservation_id = ReservationId::new(reservation_id).unwrap();
    ReservationShare { reservation_id, units: line_units(units) }
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

/// Units as (line, reservation, quantity), those of a reservation together.
pub(crate) fn shipped(tracking_number: &str, units: &[(u64, &str, u32)]) -> OrderEvent {
    let mut reservations = Vec::<ReservationShare>::new();
    for &(line, reservation, quantity) in units {
        let units = LineUnits { line: number(line), quantity };
        match reservations.last_mut().filter(|share| share.reservation_id.as_str() == reservation) {
            Some(share) => share.units.push(units),
            None => reservations.push(held_by(reservation, &[(line, quantity)])),
        }
    }
    OrderEvent::OrderShipped(OrderShipped {
        tracking_number: TrackingNumber::new(tracking_number).unwrap(),
        carrier: Carrier::new("UPS").unwrap(),
        reservations,
    })
}

pub(crate) fn deliver(tracking_number: Option<&str>) -> DeliverShipment {
    DeliverShipment { tracking_number: tracking_number.map(|given| TrackingNumber::new(given).unwrap()) }
}

pub(crate) fn delivered(tracking_number: &str) -> OrderEvent {
    let tracking_number = TrackingNumber::new(tracking_number).unwrap();
    OrderEvent::ShipmentDelivered(ShipmentDelivered { tracking_number })
}

pub(crate) fn lose(tracking_number: &str) -> LoseShipment {
    LoseShipment { tracking_number: TrackingNumber::new(tracking_number).unwrap(), reason: None }
}

pub(crate) fn lost(tracking_number: &str) -> OrderEvent {
    let tracking_number = TrackingNumber::new(tracking_number).unwrap();
    OrderEvent::ShipmentLost(ShipmentLost { tracking_number, reason: None })
}

/// What [`place`] leads to, paid by one payment, shipped in one parcel, delivered. Nothing is captured.
pub(crate) fn delivered_order() -> Vec<OrderEvent> {
    let units = [(1, 2), (2, 1)];
    let parcel = shipped("t", &[(1, "r", 2), (2, "r", 1)]);
    vec![placed(), paid("p", 5000), reserved("r", &units), parcel, delivered("t")]
}

pub(crate) fn decline(payment_id: &str) -> DeclinePayment {
    DeclinePayment {
        payment_id: PaymentId::new(payment_id).unwrap(),
        reason: Reason::new("no funds").unwrap(),
    }
}

pub(crate) fn declined(payment_id: &str) -> OrderEvent {
    let DeclinePayment { payment_id, reason } = decline(payment_id);
    OrderEvent::PaymentDeclined(PaymentDeclined { payment_id, reason })
}

pub(crate) fn void(void_id: &str, payment_id: &str, amount: Option<i64>) -> VoidPayment {
    VoidPayment {
        void_id: VoidId::new(void_id).unwrap(),
        payment_id: PaymentId::new(payment_id).unwrap(),
        amount: amount.map(cents),
        reason: None,
    }
}

pub(crate) fn voided(void_id: &str, payment_id: &str, amount: i64) -> OrderEvent {
    OrderEvent::PaymentVoided(PaymentVoided {
        void_id: Some(VoidId::new(void_id).unwrap()),
        cause: None,
        shares: vec![share(payment_id, amount)],
        reason: None,
    })
}

pub(crate) fn voided_because(cause: Cause, shares: Vec<PaymentShare>) -> OrderEvent {
    OrderEvent::PaymentVoided(PaymentVoided { void_id: None, cause: Some(cause), shares, reason: None })
}

pub(crate) fn share(payment_id: &str, amount: i64) -> PaymentShare {
    PaymentShare { payment_id: PaymentId::new(payment_id).unwrap(), amount: cents(amount) }
}

fn shares(shares: &[(&str, i64)]) -> (Cents, Vec<PaymentShare>) {
    let sum = shares.iter().map(|(_, amount)| amount).sum();
    (cents(sum), shares.iter().map(|(payment_id, amount)| share(payment_id, *amount)).collect())
}

pub(crate) fn capture(capture_id: &str, amount: Option<i64>) -> CapturePayment {
    let capture_id = CaptureId::new(capture_id).unwrap();
    CapturePayment { capture_id, amount: amount.map(cents), payment_id: None }
}

pub(crate) fn capture_of(capture_id: &str, amount: Option<i64>, payment_id: &str) -> CapturePayment {
    CapturePayment { payment_id: Some(PaymentId::new(payment_id).unwrap()), ..capture(capture_id, amount) }
}

pub(crate) fn captured(capture_id: &str, of: &[(&str, i64)]) -> OrderEvent {
    let (amount, shares) = shares(of);
    let capture_id = CaptureId::new(capture_id).unwrap();
    OrderEvent::PaymentCaptured(PaymentCaptured { capture_id, amount, shares })
}

pub(crate) fn refund(refund_id: &str, amount: Option<i64>) -> RefundPayment {
    RefundPayment {
        refund_id: RefundId::new(refund_id).unwrap(),
        amount: amount.map(cents),
        payment_id: None,
        repay: None,
        reason: None,
    }
}

pub(crate) fn refund_of(refund_id: &str, amount: Option<i64>, payment_id: &str) -> RefundPayment {
    RefundPayment { payment_id: Some(PaymentId::new(payment_id).unwrap()), ..refund(refund_id, amount) }
}

pub(crate) fn refunded(refund_id: &str, of: &[(&str, i64)]) -> OrderEvent {
    let (amount, shares) = shares(of);
    let refund_id = RefundId::new(refund_id).unwrap();
    OrderEvent::PaymentRefunded(PaymentRefunded { refund_id, amount, shares, repay: false, reason: None })
}

/// Cancels every open unit.
pub(crate) fn cancel() -> CancelUnits {
    CancelUnits { cancellation_id: None, units: None, reason: None }
}

pub(crate) fn cancel_units(cancellation_id: &str, units: impl Into<Vec<UnitRequest>>) -> CancelUnits {
    let cancellation_id = Some(CancellationId::new(cancellation_id).unwrap());
    CancelUnits { cancellation_id, units: Some(units.into()), reason: None }
}

/// The order is cancelled with these, the last units.
pub(crate) fn cancelled(units: &[(u64, u32)]) -> OrderEvent {
    let units = line_units(units);
    OrderEvent::OrderCancelled(OrderCancelled { cancellation_id: None, units, cause: None, reason: None })
}

pub(crate) fn cancelled_because_unpaid() -> OrderEvent {
    OrderEvent::OrderCancelled(OrderCancelled {
        cancellation_id: None,
        units: line_units(&[(1, 2), (2, 1)]),
        cause: Some(Cause::Unpaid),
        reason: None,
    })
}

pub(crate) fn ask_back(return_id: &str, units: impl Into<Vec<UnitRequest>>) -> RequestReturn {
    RequestReturn { return_id: ReturnId::new(return_id).unwrap(), units: units.into(), reason: None }
}

pub(crate) fn return_requested(return_id: &str, units: &[(u64, u32)]) -> OrderEvent {
    let return_id = ReturnId::new(return_id).unwrap();
    OrderEvent::ReturnRequested(ReturnRequested { return_id, units: line_units(units), reason: None })
}

pub(crate) fn receive(return_id: &str, units: Option<Vec<UnitRequest>>) -> ReceiveReturn {
    ReceiveReturn { return_id: ReturnId::new(return_id).unwrap(), units, restock: None }
}

pub(crate) fn received(return_id: &str, units: &[(u64, u32)]) -> OrderEvent {
    let return_id = ReturnId::new(return_id).unwrap();
    OrderEvent::ReturnReceived(ReturnReceived { return_id, units: line_units(units), restock: true })
}

pub(crate) fn reject(return_id: &str) -> RejectReturn {
    RejectReturn { return_id: ReturnId::new(return_id).unwrap(), reason: None }
}

pub(crate) fn rejected(return_id: &str) -> OrderEvent {
    let return_id = ReturnId::new(return_id).unwrap();
    OrderEvent::ReturnRejected(ReturnRejected { return_id, reason: None })
}

pub(crate) fn hold() -> HoldOrder {
    HoldOrder { reason: None }
}

pub(crate) fn held() -> OrderEvent {
    OrderEvent::OrderHeld(OrderHeld { reason: None })
}

pub(crate) fn unhold() -> ReleaseHold {
    ReleaseHold { reason: None }
}

pub(crate) fn unheld() -> OrderEvent {
    OrderEvent::HoldReleased(HoldReleased { reason: None })
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
