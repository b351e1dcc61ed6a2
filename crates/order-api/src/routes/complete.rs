use order_domain::{CompleteOrder, OrderCommand};

use crate::access::Scope;
use crate::command::{CommandRoute, Target};
use crate::json::{Members, Object};
use crate::problem::kind::ORDER_ON_HOLD;

pub(super) static ROUTE: CommandRoute<CompleteOrder> = CommandRoute {
    path: "/orders/{id}/complete",
    scope: Scope::Fulfil,
    operation_id: "completeOrder",
    summary: "Complete the order",
    description: "\
Closes an order of which everything was delivered, on which no return is open and no money is owed back, and which payments \
cover. Units may still be asked back later. An order that is complete already is answered as the first time. No body counts \
as `{}`.",
    body: Object { name: "CompleteOrder", description: "Nothing more to say.", example: r#"{}"#, members },
    body_may_be_missing: true,
    target: Target::Order(OrderCommand::CompleteOrder),
    refusals: &[&ORDER_ON_HOLD],
};

fn members(_: &mut Members<'_>) -> Option<CompleteOrder> {
    Some(CompleteOrder)
}
