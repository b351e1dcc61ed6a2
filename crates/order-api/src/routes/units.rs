//! Units of an order, as several commands name them.

use order_domain::{LineNumber, MAX_LINES, Sku, UnitRequest, UnitSelector};
use utoipa::openapi::schema::OneOfBuilder;
use utoipa::openapi::{Ref, RefOr, Schema};

use super::values::quantity;
use crate::json::{Faults, Members, Named, Object, Shape, Value, integer, text};

/// Units by SKU or by line number, never both.
pub(super) struct Units;

static BY_SKU: Object<UnitRequest> = Object {
    name: "UnitsBySku",
    description: "Units of whichever lines have this SKU, taken in line order.",
    example: r#"{"SKU": "sku-1", "Quantity": 1}"#,
    members: by_sku,
};

static BY_LINE: Object<UnitRequest> = Object {
    name: "UnitsByLine",
    description: "Units of one line.",
    example: r#"{"Line": 1, "Quantity": 1}"#,
    members: by_line,
};

fn by_sku(item: &mut Members<'_>) -> Option<UnitRequest> {
    let sku = item.required("SKU", "What was ordered.", text::<Sku>());
    item.excluded("Line", "must be left out beside SKU");
    let quantity = item.required("Quantity", "How many.", quantity());
    Some(UnitRequest { selector: UnitSelector::Sku(sku?), quantity: quantity? })
}

fn by_line(item: &mut Members<'_>) -> Option<UnitRequest> {
    let number = integer(1..=MAX_LINES as i64, |number| LineNumber::new(number.unsigned_abs()));
    let line = item.required("Line", "The line's number, from 1.", number);
    item.excluded("SKU", "must be left out beside Line");
    let quantity = item.required("Quantity", "How many.", quantity());
    Some(UnitRequest { selector: UnitSelector::Line(line?), quantity: quantity? })
}

impl Shape for Units {
    type Value = UnitRequest;

    fn read(&self, json: Value<'_>, faults: &mut Faults) -> Option<UnitRequest> {
        if json.has("Line") && !json.has("SKU") {
            BY_LINE.read(json, faults)
        } else {
            BY_SKU.read(json, faults)
        }
    }

    fn schema(&self, named: &mut Named) -> RefOr<Schema> {
        let either = OneOfBuilder::new()
            .description(Some("Units of an order, named by SKU or by line number."))
            .item(BY_SKU.schema(named))
            .item(BY_LINE.schema(named));
        named.insert("Units".to_owned(), either.into());
        Ref::from_schema_name("Units").into()
    }
}
