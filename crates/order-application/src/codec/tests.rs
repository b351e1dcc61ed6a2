//! The golden files: one for each event type, as it is stored. A release that cannot read one of them has lost data.

use order_domain::*;

use super::*;

fn goldens() -> Vec<(&'static str, &'static str, OrderEvent)> {
    let line = |sku: &str, quantity, price| PlacedLine {
        sku: Sku::new(sku).unwrap(),
        quantity: Quantity::new(quantity).unwrap(),
        unit_price: Cents::new(price).unwrap(),
    };
    let number = |n| LineNumber::new(n).unwrap();
    let reservation_id = ReservationId::new("res-001").unwrap();
    vec![
        (
            ORDER_PLACED_V1,
            include_str!("../../goldens/order.placed.v1.json"),
            OrderEvent::OrderPlaced(OrderPlaced {
                customer_id: CustomerId::new("cust-123").unwrap(),
                currency: Currency::EUR,
                lines: vec![line("sku-1", 2, 1500), line("sku-\"ü\"", 1, 0)],
                adjustments: vec![
                    Adjustment {
                        kind: AdjustmentKind::Shipping,
                        label: Label::new("Express").unwrap(),
                        amount: Cents::new(700).unwrap(),
                    },
                    Adjustment {
                        kind: AdjustmentKind::Discount,
                        label: Label::new("Winter").unwrap(),
                        amount: Cents::new(-500).unwrap(),
                    },
                ],
                metadata: Metadata::new([("channel", "web"), ("note", "")]).unwrap(),
                total: Cents::new(3200).unwrap(),
            }),
        ),
        (
            ORDER_PLACED_V1,
            include_str!("../../goldens/order.placed.v1-plain.json"),
            OrderEvent::OrderPlaced(OrderPlaced {
                customer_id: CustomerId::new("cust-123").unwrap(),
                currency: Currency::USD,
                lines: vec![line("sku-1", 2, 1500)],
                adjustments: vec![],
                metadata: Metadata::default(),
                total: Cents::new(3000).unwrap(),
            }),
        ),
        (
            PAYMENT_AUTHORIZED_V1,
            include_str!("../../goldens/order.payment_authorized.v1.json"),
            OrderEvent::PaymentAuthorized(PaymentAuthorized {
                payment_id: PaymentId::new("pay-001").unwrap(),
                amount: Cents::new(3200).unwrap(),
            }),
        ),
        (
            INVENTORY_RESERVED_V1,
            include_str!("../../goldens/order.inventory_reserved.v1.json"),
            OrderEvent::InventoryReserved(InventoryReserved {
                reservation_id: reservation_id.clone(),
                units: vec![ReservedUnits { line: number(1), quantity: 2 }],
                expires: Some((900, Timestamp::from_micros(1_767_226_500_000_000))),
            }),
        ),
        (
            ORDER_SHIPPED_V1,
            include_str!("../../goldens/order.shipped.v1.json"),
            OrderEvent::OrderShipped(OrderShipped {
                tracking_number: TrackingNumber::new("1Z999").unwrap(),
                carrier: Carrier::new("UPS").unwrap(),
                units: vec![ShippedUnits { line: number(1), reservation_id, quantity: 2 }],
            }),
        ),
    ]
}

#[test]
fn every_golden_file_is_read() {
    for (event_type, golden, event) in goldens() {
        assert_eq!(decode(event_type, golden), Ok(event), "{event_type}");
    }
}

#[test]
fn events_are_written_as_their_golden_files_say() {
    for (event_type, golden, event) in goldens() {
        assert_eq!(encode(&event), (event_type, golden.trim_end().into()), "{event_type}");
    }
}

#[test]
fn every_event_type_has_a_golden_file() {
    let covered: Vec<_> = goldens().into_iter().map(|(event_type, ..)| event_type).collect();
    for event_type in EVENT_TYPES {
        assert!(covered.contains(&event_type), "{event_type}");
    }
}

#[test]
fn a_type_or_a_field_that_this_release_does_not_know_is_a_newer_event() {
    let unknown = decode("order.placed.v9", "{}");
    assert!(
        matches!(&unknown, Err(CodecError::NewerEvent(what)) if what.contains("order.placed.v9")),
        "{unknown:?}"
    );
    for (event_type, golden, _) in goldens() {
        for (place, _) in golden.match_indices('{') {
            // What is in there is the client's to name.
            if golden[..place].ends_with(r#""metadata":"#) {
                continue;
            }
            let (before, after) = golden.split_at(place + 1);
            let more = format!(r#"{before}"planted":1,{after}"#);
            let decoded = decode(event_type, &more);
            assert!(
                matches!(&decoded, Err(CodecError::NewerEvent(what)) if what.contains("planted")),
                "{more}: {decoded:?}"
            );
        }
    }
}

#[test]
fn a_value_that_this_release_does_not_allow_is_a_newer_event() {
    let placed = goldens()[0].1;
    for (value, other) in
        [("discount", "gift"), ("EUR", "XXA"), ("cust-123", ""), ("\"line\":2", "\"line\":3")]
    {
        let decoded = decode(ORDER_PLACED_V1, &placed.replace(value, other));
        assert!(matches!(decoded, Err(CodecError::NewerEvent(_))), "{other}: {decoded:?}");
    }
    let time = goldens()[3].1.replace("2026-01-01T", "");
    let decoded = decode(INVENTORY_RESERVED_V1, &time);
    assert!(matches!(decoded, Err(CodecError::NewerEvent(_))), "{time}: {decoded:?}");
}

#[test]
fn what_is_not_an_event_is_an_error() {
    let syntax = decode(PAYMENT_AUTHORIZED_V1, "{");
    assert!(matches!(syntax, Err(CodecError::Invalid(_))), "{syntax:?}");
}
