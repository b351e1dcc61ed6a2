//! The golden file of the projection: what rows it makes of which events. A release that makes others has to say so by
//! [`PROJECTION_VERSION`].

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use super::*;
use crate::codec::{EVENT_TYPES, decode};

/// Every history by its golden events, in JSON as they are stored.
const HISTORIES: &[&[(&str, &str)]] = &[
    &[("order.placed.v1", PLACED)],
    &[("order.placed.v1", FREE)],
    &[("order.placed.v1", PLACED), ("order.payment_authorized.v1", HALF)],
    &[
        ("order.placed.v1", PLACED),
        ("order.payment_authorized.v1", HALF),
        ("order.payment_authorized.v1", REST),
    ],
    &[
        ("order.placed.v1", PLACED),
        ("order.payment_authorized.v1", HALF),
        ("order.payment_authorized.v1", REST),
        ("order.inventory_reserved.v1", RESERVED),
    ],
    &[
        ("order.placed.v1", PLACED),
        ("order.payment_authorized.v1", HALF),
        ("order.payment_authorized.v1", REST),
        ("order.inventory_reserved.v1", RESERVED),
        ("order.shipped.v1", SHIPPED_ONE),
    ],
    &[
        ("order.placed.v1", PLACED),
        ("order.payment_authorized.v1", HALF),
        ("order.payment_authorized.v1", REST),
        ("order.inventory_reserved.v1", RESERVED),
        ("order.shipped.v1", SHIPPED_ONE),
        ("order.shipped.v1", SHIPPED_OTHER),
    ],
];

const PLACED: &str = r#"{"customer_id":"cust-1","currency":"EUR","total_cents":3000,"lines":[{"line":1,"sku":"sku-1","quantity":2,"unit_price_cents":1500}]}"#;
const FREE: &str = r#"{"customer_id":"cust-2","currency":"USD","total_cents":0,"lines":[{"line":1,"sku":"sku-1","quantity":1,"unit_price_cents":0}]}"#;
const HALF: &str = r#"{"payment_id":"pay-1","amount_cents":1500}"#;
const REST: &str = r#"{"payment_id":"pay-2","amount_cents":1500}"#;
const RESERVED: &str = r#"{"reservation_id":"res-1","units":[{"line":1,"quantity":2}]}"#;
const SHIPPED_ONE: &str =
    r#"{"tracking_number":"t-1","carrier":"UPS","units":[{"line":1,"reservation_id":"res-1","quantity":1}]}"#;
const SHIPPED_OTHER: &str =
    r#"{"tracking_number":"t-2","carrier":"UPS","units":[{"line":1,"reservation_id":"res-1","quantity":1}]}"#;

fn rows() -> String {
    let mut rows = format!("known: {}\n", EVENT_TYPES.join(" "));
    for history in HISTORIES {
        let mut order = None;
        for ((event_type, data), second) in history.iter().zip(0_i64..) {
            let event = decode(event_type, data).unwrap();
            order = apply(order, &event, Timestamp::from_micros(second * 1_000_000));
        }
        let OrderSummary { order_id: _, customer_id, status, total, version, placed_at, updated_at } =
            order.unwrap().summary(&OrderId::new("ord-1").unwrap());
        let (placed_at, updated_at) = (placed_at.as_micros(), updated_at.as_micros());
        writeln!(
            rows,
            "version {version}: {} {} {} {placed_at} {updated_at}",
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
