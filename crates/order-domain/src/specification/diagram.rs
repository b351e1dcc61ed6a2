//! The diagram in `docs/ORDER-LIFECYCLE.md`: which actions lead an order from which status to which. It is found by trying
//! everything on a small order, so that it cannot say what the code does not do.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use super::*;
use crate::command::any;

/// More steps lead nowhere new.
const STEPS: u32 = 11;
const BEGIN: &str = "<!-- The diagram is generated: UPDATE=1 cargo test -p order-domain diagram -->\n";
const END: &str = "<!-- The end of the diagram. -->\n";

/// Everything that may be tried on the order next, by the name of its action.
fn tried(order: &Order, step: u32) -> Vec<(&'static str, OrderCommand)> {
    let id = |kind: &str| format!("{kind}-{step}");
    let one = || vec![of_line(1, 1)];
    let mut tried: Vec<_> = Action::ALL.iter().map(|a| (a.as_str(), any::least(*a, order, step))).collect();
    tried.push(("payment", pay(&id("half"), Some(1000)).into()));
    tried.push((
        "payment",
        AuthorizePayment { expires_in_seconds: Some(1), ..pay(&id("short"), None) }.into(),
    ));
    tried.push(("reserve", ReserveInventory { expires_in_seconds: Some(1), ..reserve(&id("short")) }.into()));
    tried.push(("refund", RefundPayment { repay: Some(true), ..refund(&id("changed"), Some(1)) }.into()));
    tried.push(("ship", ship_units(&id("one"), one()).into()));
    tried.push(("cancel", cancel_units(&id("one"), one()).into()));
    tried.push(("refund", refund(&id("owed"), None).into()));
    let open_return = order.returns().iter().find(|known| known.state == ReturnState::Requested);
    if let Some(known) = open_return {
        tried.push(("receive", receive(known.id.as_str(), Some(one())).into()));
    }
    tried.extend(order.timers().map(|timer| ("a timer", timer.command)));
    tried
}

/// What tells two orders apart as far as their future goes: not by whom and under which names they came there.
fn essence(order: &Order) -> String {
    let parcels: Vec<_> =
        order.shipments().iter().map(|parcel| (parcel.state, parcel.units().count())).collect();
    let returns = order.returns().iter().filter(|known| known.state == ReturnState::Requested).count();
    let (ledger, money) = (order.lines()[0].ledger, order.money());
    format!(
        "{ledger:?} {money:?} {} {:?} {} {:?} {} {returns} {parcels:?}",
        order.due(),
        order.status(),
        order.on_hold(),
        order.timers().count(),
        order.reservations().iter().filter(|r| !r.held.is_empty()).count(),
    )
}

/// Every change of status that is found, with the actions that make it.
fn transitions() -> BTreeMap<(usize, usize), BTreeSet<&'static str>> {
    let placement = PlaceOrder { pay_within_seconds: Some(1), ..place_lines([line("a", 2, 1000)]) };
    let first = given([]).when(placement).order();
    let mut seen = HashSet::from([essence(&first)]);
    let mut orders = vec![first];
    let mut transitions = BTreeMap::<_, BTreeSet<_>>::new();
    for step in 0..STEPS {
        let mut next = Vec::new();
        for order in orders {
            for (name, command) in tried(&order, step) {
                // A second later all lives and terms of a second are over.
                let Ok(events) = decide(Some(&order), &command, NOW.plus_seconds(2 * step + 2)) else {
                    continue;
                };
                let after = events.iter().fold(Some(order.clone()), evolve).expect("an order");
                let (from, to) = (order.status(), after.status());
                if from != to {
                    transitions.entry((rank(from), rank(to))).or_default().insert(name);
                }
                if seen.insert(essence(&after)) {
                    next.push(after);
                }
            }
        }
        orders = next;
    }
    transitions
}

fn rank(status: Status) -> usize {
    Status::ALL.iter().position(|known| *known == status).expect("a status")
}

fn diagram() -> String {
    let mut diagram = String::from("```mermaid\nstateDiagram-v2\n    [*] --> placed: place\n");
    for ((from, to), actions) in transitions() {
        let (from, to) = (Status::ALL[from].as_str(), Status::ALL[to].as_str());
        let actions: Vec<_> = actions.into_iter().collect();
        writeln!(diagram, "    {from} --> {to}: {}", actions.join(", ")).expect("texts take all");
    }
    diagram + "```\n"
}

#[test]
fn the_diagram_in_the_docs_is_what_the_code_does() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/ORDER-LIFECYCLE.md");
    let text = fs::read_to_string(&file).expect("the page");
    let (before, rest) = text.split_once(BEGIN).expect("the diagram's begin");
    let (old, after) = rest.split_once(END).expect("the diagram's end");
    let new = diagram();
    if env::var_os("UPDATE").is_some() {
        fs::write(&file, format!("{before}{BEGIN}{new}{END}{after}")).expect("the page is written");
    } else {
        assert_eq!(old, new, "write it anew with UPDATE=1");
    }
}
