//! Commands to an order of 1,000 lines, each with its own SKU.

use anyhow::{Context, Result};
use order_domain::{
    AuthorizePayment, CancelUnits, CancellationId, CaptureId, CapturePayment, Carrier, Cents, Currency,
    CustomerId, DeliverShipment, HoldOrder, LineNumber, OrderCommand, OrderLine, PaymentId, PlaceOrder,
    Quantity, RefundId, RefundPayment, ReleaseHold, ReleaseReservation, ReservationId, ReserveInventory,
    ShipOrder, Sku, TrackingNumber, UnitRequest, UnitSelector,
};

pub(super) const LINES: u64 = 1_000;
const UNITS_OF_A_LINE: u64 = 10;
const UNIT_PRICE_CENTS: i64 = 100;

/// 10,000.00 in all.
pub(super) fn place() -> Result<OrderCommand> {
    let line = |line| {
        let (quantity, unit_price) = (quantity(UNITS_OF_A_LINE)?, Cents::new(UNIT_PRICE_CENTS)?);
        Ok(OrderLine { sku: sku(line)?, quantity, unit_price })
    };
    Ok(OrderCommand::Place(PlaceOrder {
        customer_id: CustomerId::new("cust-1")?,
        lines: (1..=LINES).map(line).collect::<Result<_>>()?,
        currency: None,
        default_currency: Currency::USD,
        adjustments: None,
        metadata: None,
        pay_within_seconds: None,
    }))
}

pub(super) fn pay(id: &str, cents: Option<i64>) -> Result<OrderCommand> {
    let (payment_id, amount) = (PaymentId::new(id)?, cents.map(Cents::new).transpose()?);
    Ok(AuthorizePayment { payment_id, amount, expires_in_seconds: None }.into())
}

pub(super) fn capture(id: &str, cents: Option<i64>) -> Result<OrderCommand> {
    let (capture_id, amount) = (CaptureId::new(id)?, cents.map(Cents::new).transpose()?);
    Ok(CapturePayment { capture_id, amount, payment_id: None }.into())
}

pub(super) fn refund(id: &str, cents: i64) -> Result<OrderCommand> {
    let (refund_id, amount) = (RefundId::new(id)?, Some(Cents::new(cents)?));
    Ok(RefundPayment { refund_id, amount, payment_id: None, repay: None, reason: None }.into())
}

pub(super) fn reserve(id: &str) -> Result<OrderCommand> {
    Ok(ReserveInventory { reservation_id: ReservationId::new(id)?, expires_in_seconds: None }.into())
}

pub(super) fn release(id: &str) -> Result<OrderCommand> {
    Ok(ReleaseReservation { reservation_id: ReservationId::new(id)?, reason: None }.into())
}

pub(super) fn ship_all(parcel: &str) -> Result<OrderCommand> {
    ship(parcel, None)
}

pub(super) fn ship_one_unit(parcel: &str, line: u64) -> Result<OrderCommand> {
    ship(parcel, Some(vec![one_of_line(line)?]))
}

pub(super) fn ship_one_of_each_line(parcel: &str) -> Result<OrderCommand> {
    let units = (1..=LINES)
        .map(|line| Ok(UnitRequest { selector: UnitSelector::Sku(sku(line)?), quantity: quantity(1)? }));
    ship(parcel, Some(units.collect::<Result<_>>()?))
}

fn ship(parcel: &str, units: Option<Vec<UnitRequest>>) -> Result<OrderCommand> {
    let (tracking_number, carrier) = (TrackingNumber::new(parcel)?, Carrier::new("UPS")?);
    Ok(ShipOrder { tracking_number, carrier, units }.into())
}

pub(super) fn deliver(parcel: &str) -> Result<OrderCommand> {
    Ok(DeliverShipment { tracking_number: Some(TrackingNumber::new(parcel)?) }.into())
}

pub(super) fn cancel_one_unit(id: &str) -> Result<OrderCommand> {
    let units = Some(vec![one_of_line(LINES)?]);
    Ok(CancelUnits { cancellation_id: Some(CancellationId::new(id)?), units, reason: None }.into())
}

pub(super) fn cancel_all() -> OrderCommand {
    CancelUnits { cancellation_id: None, units: None, reason: None }.into()
}

pub(super) fn hold() -> OrderCommand {
    HoldOrder { reason: None }.into()
}

pub(super) fn unhold() -> OrderCommand {
    ReleaseHold { reason: None }.into()
}

fn one_of_line(line: u64) -> Result<UnitRequest> {
    let line = LineNumber::new(line).context("a line's number")?;
    Ok(UnitRequest { selector: UnitSelector::Line(line), quantity: quantity(1)? })
}

fn sku(line: u64) -> Result<Sku> {
    Ok(Sku::new(format!("sku-{line}"))?)
}

fn quantity(units: u64) -> Result<Quantity> {
    Quantity::new(units).context("a quantity")
}
