use std::borrow::Cow;

use order_domain::{
    Adjustment, AdjustmentKind, Cents, Currency, CustomerId, Label, Metadata, OrderPlaced, PlacedLine,
    Quantity, Sku,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parts::{decode_expiry, encode_expiry};
use super::{CodecError, out_of_range, refused};

pub(super) const TYPE: &str = "order.placed.v1";

/// An order has begun.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderPlacedData)]
pub(super) struct Shape<'a> {
    /// Who ordered.
    customer_id: Cow<'a, str>,
    /// The ISO 4217 code of every amount of this order.
    currency: Cow<'a, str>,
    /// Lines and adjustments together, in minor units.
    total_cents: i64,
    /// What was ordered.
    lines: Vec<Line<'a>>,
    /// What was added to the lines' prices or taken off them; absent: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    adjustments: Vec<AdjustmentShape<'a>>,
    /// The client's own notes; absent: none.
    #[serde(default, skip_serializing_if = "Pairs::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, String>, required = false)]
    metadata: Pairs<'a>,
    /// How long payments have to cover the order, or it is cancelled; absent: it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pay_within_seconds: Option<u32>,
    /// When that is over; absent: it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pay_by: Option<String>,
}

/// A line of an order.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlacedLine)]
struct Line<'a> {
    /// Its number, from 1.
    line: u16,
    /// What was ordered.
    sku: Cow<'a, str>,
    /// How many.
    quantity: u32,
    /// The price of one, in minor units.
    unit_price_cents: i64,
}

/// A charge or a discount.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlacedAdjustment)]
struct AdjustmentShape<'a> {
    #[schema(inline)]
    kind: Kind,
    /// Its name on the bill.
    label: Cow<'a, str>,
    /// Minor units; 0 or less for a discount, 0 or more for all others.
    amount_cents: i64,
}

/// A JSON object whose keys keep the order that the client gave them in.
#[derive(Default)]
struct Pairs<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

/// What an adjustment is for.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Shipping,
    Tax,
    Discount,
    Fee,
}

pub(super) fn encode(event: &OrderPlaced) -> Shape<'_> {
    let (pay_within_seconds, pay_by) = encode_expiry(event.payment_term);
    Shape {
        customer_id: Cow::Borrowed(event.customer_id.as_str()),
        currency: Cow::Borrowed(event.currency.code()),
        total_cents: event.total.get(),
        lines: (1..).zip(&event.lines).map(|(number, line)| encode_line(number, line)).collect(),
        adjustments: event.adjustments.iter().map(encode_adjustment).collect(),
        metadata: Pairs(event.metadata.iter().map(|(k, v)| (Cow::Borrowed(k), Cow::Borrowed(v))).collect()),
        pay_within_seconds,
        pay_by,
    }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<OrderPlaced, CodecError> {
    Ok(OrderPlaced {
        customer_id: CustomerId::new(shape.customer_id).map_err(refused("customer_id"))?,
        currency: Currency::from_code(&shape.currency).ok_or_else(|| out_of_range("currency"))?,
        total: Cents::new(shape.total_cents).map_err(refused("total_cents"))?,
        lines: (1..).zip(shape.lines).map(decode_line).collect::<Result<_, _>>()?,
        adjustments: shape.adjustments.into_iter().map(decode_adjustment).collect::<Result<_, _>>()?,
        metadata: Metadata::new(shape.metadata.0).map_err(|(_, e)| refused("metadata")(e))?,
        payment_term: decode_expiry("pay_by", shape.pay_within_seconds, shape.pay_by)?,
    })
}

fn encode_line(number: u16, line: &PlacedLine) -> Line<'_> {
    Line {
        line: number,
        sku: Cow::Borrowed(line.sku.as_str()),
        quantity: line.quantity.get(),
        unit_price_cents: line.unit_price.get(),
    }
}

fn decode_line((number, line): (u16, Line<'_>)) -> Result<PlacedLine, CodecError> {
    if line.line != number {
        return Err(out_of_range("line"));
    }
    Ok(PlacedLine {
        sku: Sku::new(line.sku).map_err(refused("sku"))?,
        quantity: Quantity::new(line.quantity.into()).ok_or_else(|| out_of_range("quantity"))?,
        unit_price: Cents::new(line.unit_price_cents).map_err(refused("unit_price_cents"))?,
    })
}

fn encode_adjustment(adjustment: &Adjustment) -> AdjustmentShape<'_> {
    AdjustmentShape {
        kind: match adjustment.kind {
            AdjustmentKind::Shipping => Kind::Shipping,
            AdjustmentKind::Tax => Kind::Tax,
            AdjustmentKind::Discount => Kind::Discount,
            AdjustmentKind::Fee => Kind::Fee,
        },
        label: Cow::Borrowed(adjustment.label.as_str()),
        amount_cents: adjustment.amount.get(),
    }
}

fn decode_adjustment(adjustment: AdjustmentShape<'_>) -> Result<Adjustment, CodecError> {
    Ok(Adjustment {
        kind: match adjustment.kind {
            Kind::Shipping => AdjustmentKind::Shipping,
            Kind::Tax => AdjustmentKind::Tax,
            Kind::Discount => AdjustmentKind::Discount,
            Kind::Fee => AdjustmentKind::Fee,
        },
        label: Label::new(adjustment.label).map_err(refused("label"))?,
        amount: Cents::new(adjustment.amount_cents).map_err(refused("amount_cents"))?,
    })
}

impl Pairs<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Pairs<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de> Deserialize<'de> for Pairs<'_> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;

        impl<'de> serde::de::Visitor<'de> for PairsVisitor {
            type Value = Pairs<'static>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    pairs.push((Cow::Owned(key), Cow::Owned(value)));
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(PairsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use order_domain::*;

    use super::super::tests::assert_golden;

    #[test]
    fn the_golden_files_say_what_the_event_says() {
        let line = |sku: &str, quantity, price| PlacedLine {
            sku: Sku::new(sku).unwrap(),
            quantity: Quantity::new(quantity).unwrap(),
            unit_price: Cents::new(price).unwrap(),
        };
        assert_golden(
            "order.placed.v1.json",
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
                payment_term: None,
            }),
        );
        assert_golden(
            "order.placed.v1-plain.json",
            OrderEvent::OrderPlaced(OrderPlaced {
                customer_id: CustomerId::new("cust-123").unwrap(),
                currency: Currency::USD,
                lines: vec![line("sku-1", 2, 1500)],
                adjustments: vec![],
                metadata: Metadata::default(),
                total: Cents::new(3000).unwrap(),
                payment_term: None,
            }),
        );
        assert_golden(
            "order.placed.v1-term.json",
            OrderEvent::OrderPlaced(OrderPlaced {
                customer_id: CustomerId::new("cust-123").unwrap(),
                currency: Currency::USD,
                lines: vec![line("sku-1", 2, 1500)],
                adjustments: vec![],
                metadata: Metadata::default(),
                total: Cents::new(3000).unwrap(),
                payment_term: Some(Expiry {
                    seconds: 900,
                    at: Timestamp::from_micros(1_767_226_500_000_000),
                }),
            }),
        );
    }
}
