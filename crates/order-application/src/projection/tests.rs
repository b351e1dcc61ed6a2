//! The golden file of the projection: what rows it makes of which events. A release that makes others has to say so by
//! [`PROJECTION_VERSION`].

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use super::*;
use crate::codec::{EVENT_TYPES, decode};
use crate::search_term::SearchTerm;

/// Every history by its golden events, in JSON as they are stored. The rows of the first ones are as they ever were.
const HISTORIES: &[&[(&str, &str)]] = &[
    &[PLACED],
    &[FREE],
    &[PLACED, HALF],
    &[PLACED, HALF, REST],
    &[PLACED, HALF, REST, RESERVED],
    &[PLACED, HALF, REST, RESERVED, SHIPPED_ONE],
    &[PLACED, HALF, REST, RESERVED, SHIPPED_ONE, SHIPPED_OTHER],
    &[PLACED, DECLINED, HALF, VOIDED],
    &[PLACED, HALF, REST, VOIDED],
    &[PLACED, HALF, REST, RESERVED, RELEASED],
    &[PLACED, HALF, REST, RESERVED, HELD],
    &[PLACED, HALF, REST, RESERVED, HELD, UNHELD],
    &[PLACED, HALF, REST, RESERVED, SHIPPED_ALL, CAPTURED, DELIVERED_ALL],
    &[PLACED, HALF, REST, RESERVED, SHIPPED_ONE, SHIPPED_OTHER, DELIVERED_ONE],
    &[PLACED, HALF, REST, RESERVED, SHIPPED_ALL, LOST_ALL],
    &[PLACED, HALF, REST, RESERVED, SHIPPED_ALL, DELIVERED_ALL, ASKED_BACK, REJECTED],
    &[PLACED, HALF, REST, RESERVED, SHIPPED_ALL, DELIVERED_ALL, ASKED_BACK, RECEIVED],
    &[PLACED, HALF, REST, RESERVED, SHIPPED_ALL, CAPTURED, DELIVERED_ALL, COMPLETED],
    &[PLACED, HALF, REST, CAPTURED, ONE_CANCELLED, REFUNDED],
    &[PLACED, CANCELLED],
    &[TO_BE_PAID],
    &[TO_BE_PAID, HALF],
    &[PLACED, HALF_FOR_A_WHILE],
    &[PLACED, HALF, REST, RESERVED_FOR_A_WHILE],
    &[PLACED, HALF, REST, RESERVED_FOR_A_WHILE, SHIPPED_ALL],
];

const PLACED: (&str, &str) = (
    "order.placed.v1",
    r#"{"customer_id":"cust-1","currency":"EUR","total_cents":3000,"lines":[{"line":1,"sku":"sku-1","quantity":2,"unit_price_cents":1500}]}"#,
);
const FREE: (&str, &str) = (
    "order.placed.v1",
    r#"{"customer_id":"cust-2","currency":"USD","total_cents":0,"lines":[{"line":1,"sku":"sku-1","quantity":1,"unit_price_cents":0}]}"#,
);
const HALF: (&str, &str) = ("order.payment_authorized.v1", r#"{"payment_id":"pay-1","amount_cents":1500}"#);
const REST: (&str, &str) = ("order.payment_authorized.v1", r#"{"payment_id":"pay-2","amount_cents":1500}"#);
const TO_BE_PAID: (&str, &str) = (
    "order.placed.v1",
    r#"{"customer_id":"cust-1","currency":"EUR","total_cents":3000,"lines":[{"line":1,"sku":"sku-1","quantity":2,"unit_price_cents":1500}],"pay_within_seconds":60,"pay_by":"1970-01-01T00:01:00.000000Z"}"#,
);
const HALF_FOR_A_WHILE: (&str, &str) = (
    "order.payment_authorized.v1",
    r#"{"payment_id":"pay-1","amount_cents":1500,"expires_in_seconds":60,"expires_at":"1970-01-01T00:01:01.000000Z"}"#,
);
const RESERVED_FOR_A_WHILE: (&str, &str) = (
    "order.inventory_reserved.v1",
    r#"{"reservation_id":"res-1","units":[{"line":1,"quantity":2}],"expires_in_seconds":60,"expires_at":"1970-01-01T00:01:02.000000Z"}"#,
);
const DECLINED: (&str, &str) = ("order.payment_declined.v1", r#"{"payment_id":"pay-1","reason":"no funds"}"#);
const VOIDED: (&str, &str) = (
    "order.payment_voided.v1",
    r#"{"void_id":"void-1","shares":[{"payment_id":"pay-1","amount_cents":1500}]}"#,
);
const CAPTURED: (&str, &str) = (
    "order.payment_captured.v1",
    r#"{"capture_id":"cap-1","amount_cents":3000,"shares":[{"payment_id":"pay-1","amount_cents":1500},{"payment_id":"pay-2","amount_cents":1500}]}"#,
);
const REFUNDED: (&str, &str) = (
    "order.payment_refunded.v1",
    r#"{"refund_id":"ref-1","amount_cents":1500,"shares":[{"payment_id":"pay-2","amount_cents":1500}],"repay":false}"#,
);
const RESERVED: (&str, &str) =
    ("order.inventory_reserved.v1", r#"{"reservation_id":"res-1","units":[{"line":1,"quantity":2}]}"#);
const RELEASED: (&str, &str) = (
    "order.reservation_released.v1",
    r#"{"reservations":[{"reservation_id":"res-1","units":[{"line":1,"quantity":2}]}]}"#,
);
const SHIPPED_ONE: (&str, &str) = (
    "order.shipped.v1",
    r#"{"tracking_number":"t-1","carrier":"UPS","units":[{"line":1,"reservation_id":"res-1","quantity":1}]}"#,
);
const SHIPPED_OTHER: (&str, &str) = (
    "order.shipped.v1",
    r#"{"tracking_number":"t-2","carrier":"UPS","units":[{"line":1,"reservation_id":"res-1","quantity":1}]}"#,
);
const SHIPPED_ALL: (&str, &str) = (
    "order.shipped.v1",
    r#"{"tracking_number":"t-3","carrier":"UPS","reservations":[{"reservation_id":"res-1","units":[{"line":1,"quantity":2}]}]}"#,
);
const DELIVERED_ONE: (&str, &str) = ("order.shipment_delivered.v1", r#"{"tracking_number":"t-1"}"#);
const DELIVERED_ALL: (&str, &str) = ("order.shipment_delivered.v1", r#"{"tracking_number":"t-3"}"#);
const LOST_ALL: (&str, &str) = ("order.shipment_lost.v1", r#"{"tracking_number":"t-3"}"#);
const ONE_CANCELLED: (&str, &str) = (
    "order.lines_cancelled.v1",
    r#"{"cancellation_id":"can-1","units":[{"line":1,"quantity":1}],"all_open":false}"#,
);
const CANCELLED: (&str, &str) = ("order.cancelled.v1", r#"{"units":[{"line":1,"quantity":2}]}"#);
const ASKED_BACK: (&str, &str) =
    ("order.return_requested.v1", r#"{"return_id":"ret-1","units":[{"line":1,"quantity":2}]}"#);
const RECEIVED: (&str, &str) =
    ("order.return_received.v1", r#"{"return_id":"ret-1","units":[{"line":1,"quantity":2}],"restock":true}"#);
const REJECTED: (&str, &str) = ("order.return_rejected.v1", r#"{"return_id":"ret-1"}"#);
const HELD: (&str, &str) = ("order.held.v1", "{}");
const UNHELD: (&str, &str) = ("order.hold_released.v1", "{}");
const COMPLETED: (&str, &str) = ("order.completed.v1", "{}");

fn rows() -> String {
    let mut rows = format!("known: {}\n", EVENT_TYPES.join(" "));
    for history in HISTORIES {
        let mut order = None;
        for ((event_type, data), second) in history.iter().zip(0_i64..) {
            let event = decode(event_type, data).unwrap();
            order = apply(order, &event, Timestamp::from_micros(second * 1_000_000));
        }
        let OrderSummary {
            order_id: _,
            customer_id,
            status,
            total,
            version,
            placed_at,
            updated_at,
            due_at,
            on_hold,
        } = order.unwrap().summary(&OrderId::new("ord-1").unwrap());
        let (placed_at, updated_at) = (placed_at.as_micros(), updated_at.as_micros());
        let due_at = due_at.map(Timestamp::as_micros);
        writeln!(
            rows,
            "version {version}: {} {} {} {placed_at} {updated_at} {due_at:?} {on_hold}",
            customer_id.as_str(),
            status.as_str(),
            total.get()
        )
        .unwrap();
    }
    rows
}

#[test]
fn the_projection_changes_only_with_its_version() {
    let name = format!("goldens/projection.v{PROJECTION_VERSION}.txt");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
    if env::var_os("UPDATE").is_some() && !file.exists() {
        fs::write(&file, rows()).unwrap();
    }
    let golden = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        rows(),
        golden,
        "what views hold has changed: raise RULES, and write a new {name} with UPDATE=1"
    );
}

#[test]
fn an_order_is_found_by_what_its_events_have_named() {
    for history in HISTORIES {
        let mut order = None;
        let mut named = BTreeSet::new();
        for (event_type, data) in *history {
            let event = decode(event_type, data).unwrap();
            order = apply(order, &event, Timestamp::from_micros(1));
            named.extend(SearchTerm::of_event(&event));
        }
        let terms = SearchTerm::of_order(&order.unwrap().order);
        assert_eq!(terms, named.into_iter().collect::<Vec<_>>(), "{history:?}");
    }
}
