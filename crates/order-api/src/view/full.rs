use std::fmt::Write;

use order_application::{VersionedOrder, rfc3339};
use order_domain::{AdjustmentKind, Order, OrderId, PaymentLedger};

use super::write_basic_members;
use crate::json::push_string;

/// Writes the basic view's fields and everything else there is.
pub(crate) fn write_full(out: &mut String, order_id: &OrderId, versioned: &VersionedOrder) {
    let VersionedOrder { order, version, placed_at, updated_at } = versioned;
    out.push('{');
    write_basic_members(out, &versioned.summary(order_id));
    // Writing to a String cannot fail, here and below.
    let _ = write!(
        out,
        r#","Currency":"{}","Version":{version},"OnHold":false,"PlacedAt":"{}","UpdatedAt":"{}""#,
        order.currency().code(),
        rfc3339::format(*placed_at),
        rfc3339::format(*updated_at),
    );
    write_lines(out, order);
    write_adjustments(out, order);
    write_payments(out, order);
    write_reservations(out, order);
    write_shipments(out, order);
    let _ = write!(out, r#","Returns":[],"DueCents":{}"#, order.due());
    write_money(out, &order.money());
    let _ = write!(out, r#","RefundDueCents":{}"#, order.refund_due());
    write_metadata(out, order);
    out.push('}');
}

fn write_lines(out: &mut String, order: &Order) {
    write_list(out, "Lines", (1..).zip(order.lines()), |out, (number, line)| {
        let _ = write!(out, r#""Line":{number},"SKU":"#);
        push_string(out, line.sku.as_str());
        let ledger = &line.ledger;
        let _ = write!(
            out,
            r#","UnitPriceCents":{},"Ordered":{},"Cancelled":{},"Reserved":{},"Shipped":{},"Delivered":{},"Returned":{}"#,
            line.unit_price,
            ledger.ordered,
            ledger.cancelled,
            ledger.reserved,
            ledger.shipped,
            ledger.delivered,
            ledger.returned
        );
    });
}

fn write_adjustments(out: &mut String, order: &Order) {
    write_list(out, "Adjustments", order.adjustments().iter(), |out, adjustment| {
        let kind = match adjustment.kind {
            AdjustmentKind::Shipping => "shipping",
            AdjustmentKind::Tax => "tax",
            AdjustmentKind::Discount => "discount",
            AdjustmentKind::Fee => "fee",
        };
        let _ = write!(out, r#""Kind":"{kind}","Label":"#);
        push_string(out, adjustment.label.as_str());
        let _ = write!(out, r#","AmountCents":{}"#, adjustment.amount);
    });
}

fn write_payments(out: &mut String, order: &Order) {
    write_list(out, "Payments", order.payments().iter(), |out, payment| {
        out.push_str("\"PaymentID\":");
        push_string(out, payment.id.as_str());
        write_money(out, &payment.ledger);
    });
}

fn write_reservations(out: &mut String, order: &Order) {
    write_list(out, "Reservations", order.reservations().iter(), |out, reservation| {
        out.push_str("\"ReservationID\":");
        push_string(out, reservation.id.as_str());
        if let Some((_, expires_at)) = reservation.expires {
            let _ = write!(out, r#","ExpiresAt":"{}""#, rfc3339::format(expires_at));
        }
        write_list(out, "Units", reservation.held.iter(), |out, (line, quantity)| {
            let _ = write!(out, r#""Line":{line},"Quantity":{quantity}"#);
        });
    });
}

fn write_shipments(out: &mut String, order: &Order) {
    write_list(out, "Shipments", order.shipments().iter(), |out, shipment| {
        out.push_str("\"TrackingNumber\":");
        push_string(out, shipment.tracking_number.as_str());
        out.push_str(",\"Carrier\":");
        push_string(out, shipment.carrier.as_str());
        write_list(out, "Units", shipment.units.iter(), |out, units| {
            let _ = write!(out, r#""Line":{},"ReservationID":"#, units.line);
            push_string(out, units.reservation_id.as_str());
            let _ = write!(out, r#","Quantity":{}"#, units.quantity);
        });
    });
}

fn write_money(out: &mut String, ledger: &PaymentLedger) {
    let _ = write!(
        out,
        r#","AuthorizedCents":{},"VoidedCents":{},"CapturedCents":{},"RefundedCents":{}"#,
        ledger.authorized, ledger.voided, ledger.captured, ledger.refunded
    );
}

fn write_metadata(out: &mut String, order: &Order) {
    out.push_str(",\"Metadata\":{");
    for (index, (key, value)) in order.metadata().iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        push_string(out, key);
        out.push(':');
        push_string(out, value);
    }
    out.push('}');
}

/// Writes `,"Name":[{…},{…}]`, each object's members by `write_members`.
fn write_list<T>(
    out: &mut String,
    name: &str,
    entries: impl Iterator<Item = T>,
    mut write_members: impl FnMut(&mut String, T),
) {
    let _ = write!(out, r#","{name}":["#);
    for (index, entry) in entries.enumerate() {
        out.push_str(if index == 0 { "{" } else { ",{" });
        write_members(out, entry);
        out.push('}');
    }
    out.push(']');
}
