use order_domain::{OrderCommand, ReceiveReturn, UnitRequest};

use super::values::units;
use crate::access::Scope;
use crate::command::{CommandRoute, Target};
use crate::json::{BOOLEAN, Members, Object};
use crate::problem::kind::{QUANTITY_EXCEEDS_AVAILABLE, UNKNOWN_REFERENCE};

pub(super) static ROUTE: CommandRoute<Received> = CommandRoute {
    path: "/orders/{id}/returns/{return_id}/receive",
    scope: Scope::Fulfil,
    operation_id: "receiveReturn",
    summary: "Receive a return",
    description: "\
Records what of a return has arrived, and closes it. What is due falls by the price of what came, with its share of \
discounts and taxes; what was captured beyond that is owed back, and authorisations beyond it are voided.

**Retrying is safe:** a return that was received with the same content is answered as the first time; other content is \
`id-reused`.",
    body: Object {
        name: "ReceiveReturn",
        description: "What of a return has arrived.",
        example: r#"{"items": [{"SKU": "sku-1", "Quantity": 1}], "restock": true}"#,
        members,
    },
    body_may_be_missing: false,
    target: Target::Return(|received, return_id| {
        let Received { units, restock } = received;
        OrderCommand::ReceiveReturn(ReceiveReturn { return_id, units, restock })
    }),
    refusals: &[&QUANTITY_EXCEEDS_AVAILABLE, &UNKNOWN_REFERENCE],
};

/// What arrived, as it is sent.
pub(super) struct Received {
    units: Option<Vec<UnitRequest>>,
    restock: Option<bool>,
}

fn members(body: &mut Members<'_>) -> Option<Received> {
    let units = body.optional("items", "What has arrived. Left out: all that was asked back.", units());
    let restock = body.optional(
        "restock",
        "Whether it goes back into stock; it is recorded for whoever keeps the stock. Left out: it does.",
        BOOLEAN,
    );
    Some(Received { units, restock })
}
