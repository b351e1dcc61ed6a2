use utoipa::ToSchema;

/// How much of an order is shown.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "documents what is read by hand in `view`")]
pub(crate) enum ViewParameter {
    Basic,
    Full,
}

/// An order. The first five fields are the basic view; the others come with `view=full`, all of them.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase", as = Order, example = json!({
    "OrderID": "ord-001",
    "CustomerID": "cust-123",
    "Status": "shipped",
    "TotalCents": 3000,
    "LastUpdated": 1764917328
}))]
#[expect(dead_code, reason = "documents what is written by hand in `view`")]
pub(crate) struct OrderView {
    /// The order's id.
    #[schema(rename = "OrderID")]
    order_id: String,
    /// Who ordered.
    #[schema(rename = "CustomerID")]
    customer_id: String,
    /// One word for the order's ledgers: `placed`, `payment_authorized` (payments cover what is due),
    /// `inventory_reserved` (every open unit is held), `partially_shipped`, `shipped`.
    status: String,
    /// Lines and adjustments together, in minor units.
    total_cents: i64,
    /// The time of the latest event, in whole Unix seconds.
    last_updated: i64,
    /// The ISO 4217 code of every amount.
    currency: Option<String>,
    /// How many events the order has.
    version: Option<i64>,
    /// Whether the order is held back.
    on_hold: Option<bool>,
    /// The time of the first event, RFC 3339 in UTC with microseconds.
    placed_at: Option<String>,
    /// The time of the latest event.
    updated_at: Option<String>,
    /// What was ordered, and what became of its units.
    lines: Option<Vec<LineView>>,
    /// What was added to the lines' prices or taken off them.
    adjustments: Option<Vec<AdjustmentView>>,
    /// Every payment, oldest first.
    payments: Option<Vec<PaymentView>>,
    /// Every reservation, oldest first, with the units it still holds.
    reservations: Option<Vec<ReservationView>>,
    /// Every parcel, oldest first.
    shipments: Option<Vec<ShipmentView>>,
    /// Every return.
    #[schema(value_type = Option<Vec<Object>>)]
    returns: Option<()>,
    /// What the customer owes in all, whatever was paid.
    due_cents: Option<i64>,
    /// Promised by payers.
    authorized_cents: Option<i64>,
    /// Promised and given up.
    voided_cents: Option<i64>,
    /// Taken.
    captured_cents: Option<i64>,
    /// Given back.
    refunded_cents: Option<i64>,
    /// Taken beyond what is due.
    refund_due_cents: Option<i64>,
    /// Your own notes.
    metadata: Option<std::collections::BTreeMap<String, String>>,
}

/// A line with the ledger of its units.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase", as = OrderLine)]
#[expect(dead_code, reason = "documents what is written by hand in `view`")]
struct LineView {
    /// Its number, from 1.
    line: i64,
    /// What was ordered.
    #[schema(rename = "SKU")]
    sku: String,
    /// The price of one, in minor units.
    unit_price_cents: i64,
    /// Units asked for.
    ordered: i64,
    /// Units given up before they were shipped.
    cancelled: i64,
    /// Units held in stock and not shipped yet.
    reserved: i64,
    /// Units handed to a carrier.
    shipped: i64,
    /// Units that arrived.
    delivered: i64,
    /// Units received back.
    returned: i64,
}

/// A charge or a discount.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase", as = OrderAdjustment)]
#[expect(dead_code, reason = "documents what is written by hand in `view`")]
struct AdjustmentView {
    /// `shipping`, `tax`, `discount` or `fee`.
    kind: String,
    /// Its name on the bill.
    label: String,
    /// Minor units; 0 or less for a discount.
    amount_cents: i64,
}

/// A payment with its ledger, in minor units.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase", as = OrderPayment)]
#[expect(dead_code, reason = "documents what is written by hand in `view`")]
struct PaymentView {
    /// Your name for it.
    #[schema(rename = "PaymentID")]
    payment_id: String,
    /// Promised by the payer.
    authorized_cents: i64,
    /// Promised and given up.
    voided_cents: i64,
    /// Taken.
    captured_cents: i64,
    /// Given back.
    refunded_cents: i64,
}

/// A reservation.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase", as = OrderReservation)]
#[expect(dead_code, reason = "documents what is written by hand in `view`")]
struct ReservationView {
    /// Your name for it.
    #[schema(rename = "ReservationID")]
    reservation_id: String,
    /// Until when it holds; absent: for good.
    expires_at: Option<String>,
    /// What it holds and has not shipped.
    units: Vec<HeldUnits>,
}

/// Units of one line.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase")]
#[expect(dead_code, reason = "documents what is written by hand in `view`")]
struct HeldUnits {
    /// The line's number.
    line: i64,
    /// How many.
    quantity: i64,
}

/// A parcel.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase", as = OrderShipment)]
#[expect(dead_code, reason = "documents what is written by hand in `view`")]
struct ShipmentView {
    /// The carrier's name for it.
    tracking_number: String,
    /// Who carries it.
    carrier: String,
    /// What is in it.
    units: Vec<ParcelUnits>,
}

/// Units of one line and one reservation.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase")]
#[expect(dead_code, reason = "documents what is written by hand in `view`")]
struct ParcelUnits {
    /// The line's number.
    line: i64,
    /// The reservation that held them.
    #[schema(rename = "ReservationID")]
    reservation_id: String,
    /// How many.
    quantity: i64,
}
