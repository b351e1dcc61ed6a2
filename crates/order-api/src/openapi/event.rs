use utoipa::ToSchema;

/// A fact, in a CloudEvents 1.0 envelope.
#[derive(ToSchema)]
#[schema(example = json!({
    "specversion": "1.0",
    "id": "019b76da-a800-7000-8000-000000000001",
    "source": "/order-service",
    "type": "order.payment_authorized.v1",
    "subject": "ord-001",
    "time": "2026-01-01T00:00:00.000000Z",
    "datacontenttype": "application/json",
    "position": "2",
    "version": "2",
    "correlationid": "checkout-42",
    "data": {"payment_id": "pay-001", "amount_cents": 3000}
}))]
#[expect(dead_code, reason = "documents what is written by hand in `cloud_event`")]
pub(crate) struct Event {
    /// Always `1.0`.
    specversion: String,
    /// The event's name for ever, a UUIDv7.
    id: String,
    /// Which service it comes from.
    source: String,
    /// What happened, with the version of the data's shape: `order.placed.v1`, `order.payment_authorized.v1`,
    /// `order.inventory_reserved.v1`, `order.shipped.v1`. More will come: skip what you do not know.
    r#type: String,
    /// The order's id.
    subject: String,
    /// When, in UTC with microseconds; never going back within one order.
    time: String,
    /// Always `application/json`.
    datacontenttype: String,
    /// Its place in the log of all orders, from 1, without gaps. Decimal digits in a string: a CloudEvents integer has
    /// 32 bits.
    position: String,
    /// Its place in the order's own history, from 1, without gaps. Decimal digits in a string.
    version: String,
    /// Ties together what one request set off: its `X-Correlation-Id`, or made.
    correlationid: String,
    /// What caused it, where another message did.
    causationid: Option<String>,
    /// Who asked for it, where that is known.
    actor: Option<String>,
    /// What happened, in snake case, by `type`.
    #[schema(value_type = Object)]
    data: (),
}
