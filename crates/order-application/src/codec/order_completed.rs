use order_domain::OrderCompleted;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::CodecError;

pub(super) const TYPE: &str = "order.completed.v1";

/// Everything has arrived, and nobody owes anything.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OrderCompletedData)]
pub(super) struct Shape {}

pub(super) fn encode(_: &OrderCompleted) -> Shape {
    Shape {}
}

pub(super) fn decode(Shape {}: Shape) -> Result<OrderCompleted, CodecError> {
    Ok(OrderCompleted)
}

#[cfg(test)]
mod tests {
    use order_domain::*;

    use super::super::tests::assert_golden;

    #[test]
    fn the_golden_file_says_what_the_event_says() {
        assert_golden("order.completed.v1.json", OrderEvent::OrderCompleted(OrderCompleted));
    }
}
