use order_application::{OrderSummary, VersionedOrder, rfc3339};
use order_domain::{
    AdjustmentKind, LineUnits, Metadata, Order, PaymentLedger, ReservationShare, ReturnState, ShipmentState,
};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::BasicView;

/// An order with everything that is known of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = FullOrder)]
pub(crate) struct FullView<'a> {
    #[serde(flatten)]
    basic: BasicView<'a>,
    /// The ISO 4217 code of every amount.
    currency: &'a str,
    /// How many events the order has.
    version: u64,
    /// Whether the order is held back.
    on_hold: bool,
    /// The time of the first event, in UTC with microseconds.
    #[schema(format = DateTime)]
    placed_at: String,
    /// The time of the latest event, in UTC with microseconds.
    #[schema(format = DateTime)]
    updated_at: String,
    /// Until when payments have to cover the order, or it is cancelled; absent if that was not asked, and once they have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pay_by: Option<String>,
    /// What was ordered, and what became of its units.
    lines: Vec<LineView<'a>>,
    /// What was added to the lines' prices or taken off them.
    adjustments: Vec<AdjustmentView<'a>>,
    /// Every payment, oldest first.
    payments: Vec<PaymentView<'a>>,
    /// Every reservation, oldest first.
    reservations: Vec<ReservationView<'a>>,
    /// Every parcel, oldest first.
    shipments: Vec<ShipmentView<'a>>,
    /// Every return that was asked for, oldest first.
    returns: Vec<ReturnView<'a>>,
    /// What the customer owes in all, whatever was paid: the total, less what units that were cancelled or received back gave
    /// back, and less goodwill; minor units, as all amounts here.
    due_cents: i64,
    #[serde(flatten)]
    money: MoneyView,
    /// How much more was captured than is due.
    refund_due_cents: i64,
    /// Your own notes.
    #[serde(serialize_with = "pairs")]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    metadata: &'a Metadata,
}

/// A line with the ledger of its units.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = OrderLine)]
struct LineView<'a> {
    /// Its number, from 1.
    line: u16,
    /// What was ordered.
    #[serde(rename = "SKU")]
    sku: &'a str,
    /// The price of one, in minor units.
    unit_price_cents: i64,
    /// Units asked for.
    ordered: u32,
    /// Units given up before they were shipped.
    cancelled: u32,
    /// Units held in stock and not shipped yet.
    reserved: u32,
    /// Units handed to a carrier, and not lost.
    shipped: u32,
    /// Units that arrived.
    delivered: u32,
    /// Units received back.
    returned: u32,
}

/// A charge or a discount.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = OrderAdjustment)]
struct AdjustmentView<'a> {
    kind: AdjustmentKindView,
    /// Its name on the bill.
    label: &'a str,
    /// Minor units; 0 or less for a discount.
    amount_cents: i64,
}

/// What an adjustment is for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OrderAdjustmentKind)]
enum AdjustmentKindView {
    Shipping,
    Tax,
    Discount,
    Fee,
}

/// A payment with its ledger.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = OrderPayment)]
struct PaymentView<'a> {
    /// Your name for it.
    #[serde(rename = "PaymentID")]
    payment_id: &'a str,
    /// When what is open of it is voided; absent: not by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[serde(flatten)]
    money: MoneyView,
}

/// What became of payments, in minor units.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = MoneyLedger)]
struct MoneyView {
    /// Promised by payers.
    authorized_cents: i64,
    /// Promised and given up.
    voided_cents: i64,
    /// Taken.
    captured_cents: i64,
    /// Given back.
    refunded_cents: i64,
}

/// A reservation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = OrderReservation)]
struct ReservationView<'a> {
    /// Your name for it.
    #[serde(rename = "ReservationID")]
    reservation_id: &'a str,
    /// When what it holds is released; absent: not by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// What it holds and has not shipped.
    units: Vec<UnitsView>,
}

/// Units of one line.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct UnitsView {
    /// The line's number.
    line: u16,
    /// How many.
    quantity: u32,
}

/// A parcel.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = OrderShipment)]
struct ShipmentView<'a> {
    /// The carrier's name for it.
    tracking_number: &'a str,
    /// Who carries it.
    carrier: &'a str,
    state: ShipmentStateView,
    /// What is in it.
    units: Vec<ParcelUnits<'a>>,
}

/// What became of a parcel.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OrderShipmentState)]
enum ShipmentStateView {
    UnderWay,
    Delivered,
    Lost,
}

/// A return.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = OrderReturn)]
struct ReturnView<'a> {
    /// Your name for it.
    #[serde(rename = "ReturnID")]
    return_id: &'a str,
    state: ReturnStateView,
    /// What was asked back.
    units: Vec<UnitsView>,
    /// What came; absent unless it was received.
    #[serde(skip_serializing_if = "Option::is_none")]
    received: Option<Vec<UnitsView>>,
    /// Whether that goes back into stock; absent unless it was received.
    #[serde(skip_serializing_if = "Option::is_none")]
    restock: Option<bool>,
}

/// What became of a return.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OrderReturnState)]
enum ReturnStateView {
    Requested,
    Received,
    Rejected,
}

/// Units of one line and one reservation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct ParcelUnits<'a> {
    /// The line's number.
    line: u16,
    /// The reservation that held them.
    #[serde(rename = "ReservationID")]
    reservation_id: &'a str,
    /// How many.
    quantity: u32,
}

impl<'a> FullView<'a> {
    pub(super) fn of(summary: &'a OrderSummary, versioned: &'a VersionedOrder) -> Self {
        let VersionedOrder { order, version, placed_at, updated_at } = versioned;
        Self {
            basic: BasicView::from(summary),
            currency: order.currency().code(),
            version: version.0,
            on_hold: order.on_hold(),
            placed_at: rfc3339::format(*placed_at),
            updated_at: rfc3339::format(*updated_at),
            pay_by: order.payment_term().map(|term| rfc3339::format(term.at)),
            lines: lines(order),
            adjustments: adjustments(order),
            payments: payments(order),
            reservations: reservations(order),
            shipments: shipments(order),
            returns: returns(order),
            due_cents: order.due().get(),
            money: MoneyView::from(&order.money()),
            refund_due_cents: order.refund_due().get(),
            metadata: order.metadata(),
        }
    }
}

fn lines(order: &Order) -> Vec<LineView<'_>> {
    let numbered = (1..).zip(order.lines());
    let line = numbered.map(|(number, line)| LineView {
        line: number,
        sku: line.sku.as_str(),
        unit_price_cents: line.unit_price.get(),
        ordered: line.ledger.ordered,
        cancelled: line.ledger.cancelled,
        reserved: line.ledger.reserved,
        shipped: line.ledger.shipped,
        delivered: line.ledger.delivered,
        returned: line.ledger.returned,
    });
    line.collect()
}

fn adjustments(order: &Order) -> Vec<AdjustmentView<'_>> {
    let adjustment = order.adjustments().iter().map(|adjustment| AdjustmentView {
        kind: match adjustment.kind {
            AdjustmentKind::Shipping => AdjustmentKindView::Shipping,
            AdjustmentKind::Tax => AdjustmentKindView::Tax,
            AdjustmentKind::Discount => AdjustmentKindView::Discount,
            AdjustmentKind::Fee => AdjustmentKindView::Fee,
        },
        label: adjustment.label.as_str(),
        amount_cents: adjustment.amount.get(),
    });
    adjustment.collect()
}

fn payments(order: &Order) -> Vec<PaymentView<'_>> {
    let payment = order.payments().iter().map(|payment| PaymentView {
        payment_id: payment.id.as_str(),
        expires_at: payment.expires.map(|expires| rfc3339::format(expires.at)),
        money: MoneyView::from(&payment.ledger),
    });
    payment.collect()
}

fn reservations(order: &Order) -> Vec<ReservationView<'_>> {
    let reservation = order.reservations().iter().map(|reservation| ReservationView {
        reservation_id: reservation.id.as_str(),
        expires_at: reservation.expires.map(|expires| rfc3339::format(expires.at)),
        units: units(&reservation.held),
    });
    reservation.collect()
}

fn units(units: &[LineUnits]) -> Vec<UnitsView> {
    units.iter().map(|units| UnitsView { line: units.line.get(), quantity: units.quantity }).collect()
}

fn shipments(order: &Order) -> Vec<ShipmentView<'_>> {
    let shipment = order.shipments().iter().map(|shipment| ShipmentView {
        tracking_number: shipment.tracking_number.as_str(),
        carrier: shipment.carrier.as_str(),
        state: match shipment.state {
            ShipmentState::UnderWay => ShipmentStateView::UnderWay,
            ShipmentState::Delivered => ShipmentStateView::Delivered,
            ShipmentState::Lost => ShipmentStateView::Lost,
        },
        units: shipment.reservations.iter().flat_map(parcel_units).collect(),
    });
    shipment.collect()
}

fn parcel_units(share: &ReservationShare) -> impl Iterator<Item = ParcelUnits<'_>> {
    share.units.iter().map(|units| ParcelUnits {
        line: units.line.get(),
        reservation_id: share.reservation_id.as_str(),
        quantity: units.quantity,
    })
}

fn returns(order: &Order) -> Vec<ReturnView<'_>> {
    let shown = order.returns().iter().map(|known| {
        let (state, received, restock) = match &known.state {
            ReturnState::Requested => (ReturnStateView::Requested, None, None),
            ReturnState::Received { units: came, restock } => {
                (ReturnStateView::Received, Some(units(came)), Some(*restock))
            }
            ReturnState::Rejected => (ReturnStateView::Rejected, None, None),
        };
        ReturnView { return_id: known.id.as_str(), state, units: units(&known.units), received, restock }
    });
    shown.collect()
}

impl From<&PaymentLedger> for MoneyView {
    fn from(ledger: &PaymentLedger) -> Self {
        Self {
            authorized_cents: ledger.authorized.get(),
            voided_cents: ledger.voided.get(),
            captured_cents: ledger.captured.get(),
            refunded_cents: ledger.refunded.get(),
        }
    }
}

/// Pairs in the order in which the client gave them.
fn pairs<S: Serializer>(metadata: &Metadata, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(metadata.iter())
}
