use std::borrow::Cow;

use order_domain::{ReturnId, ReturnReceived};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parts::{UnitsShape, decode_units, encode_units};
use super::{CodecError, refused};

pub(super) const TYPE: &str = "order.return_received.v1";

/// Units came back.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ReturnReceivedData)]
pub(super) struct Shape<'a> {
    /// The client's name for the return.
    return_id: Cow<'a, str>,
    /// What arrived.
    units: Vec<UnitsShape>,
    /// Whether it goes back into stock.
    restock: bool,
}

pub(super) fn encode(event: &ReturnReceived) -> Shape<'_> {
    Shape {
        return_id: Cow::Borrowed(event.return_id.as_str()),
        units: encode_units(&event.units),
        restock: event.restock,
    }
}

pub(super) fn decode(shape: Shape<'_>) -> Result<ReturnReceived, CodecError> {
    Ok(ReturnReceived {
        return_id: ReturnId::new(shape.return_id).map_err(refused("return_id"))?,
        units: decode_units(shape.units)?,
        restock: shape.restock,
    })
}

#[cfg(test)]
mod tests {
    use order_domain::*;

    use super::super::tests::assert_golden;

    #[test]
    fn the_golden_file_says_what_the_event_says() {
        assert_golden(
            "order.return_received.v1.json",
            OrderEvent::ReturnReceived(ReturnReceived {
                return_id: ReturnId::new("ret-001").unwrap(),
                units: vec![LineUnits { line: LineNumber::new(1).unwrap(), quantity: 2 }],
                restock: true,
            }),
        );
    }
}
