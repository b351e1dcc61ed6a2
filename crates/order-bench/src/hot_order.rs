//! Many clients that pay for one order at once, a cent each time.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::http;
use crate::load::{Group, Load};
use crate::order_ids::OrderIds;
use crate::server::Server;
use crate::work::{Place, Work};

/// An order has at most 10,000 events, of which one is its placement. Then the next order is hot.
const PAYMENTS_PER_ORDER: u64 = 9_900;
/// Lines of 30.00 each: more than all payments together.
const LINES: usize = 4;
/// What one turn can use up: far more than it does.
const ORDERS: u64 = 100;
const CONNECTIONS_TO_PLACE: usize = 16;
const PAGE_EVENTS: usize = 1_000;

/// Hot orders, one at a time, the same for all groups of clients.
pub(crate) struct HotOrders {
    ids: OrderIds,
    /// How many payments were asked for: the next one's number.
    asked: Rc<Cell<u64>>,
}

/// One group's clients.
pub(crate) struct Payments {
    ids: OrderIds,
    asked: Rc<Cell<u64>>,
    /// By client: the number of the payment whose answer it awaits.
    paying: Vec<u64>,
    /// By client: what was accepted.
    accepted: Vec<Vec<u64>>,
    refused: u64,
    request: Vec<u8>,
}

impl HotOrders {
    /// Places them.
    pub(crate) fn place(server: &Server) -> Result<Self> {
        let ids = OrderIds::new_random();
        let mut place = Place::with_lines(ids, LINES);
        place.set_end(ORDERS);
        let group = Group { connections: CONNECTIONS_TO_PLACE, work: &mut place };
        Load::connect(server.address(), vec![group])?.run_to_end()?;
        Ok(Self { ids, asked: Rc::default() })
    }

    /// The work of a group of clients.
    pub(crate) fn payments(&self, clients: usize) -> Payments {
        Payments {
            ids: self.ids,
            asked: Rc::clone(&self.asked),
            paying: vec![0; clients],
            accepted: vec![Vec::new(); clients],
            refused: 0,
            request: Vec::new(),
        }
    }

    /// Reads the orders' events and fails unless each accepted payment is there exactly once, and none that nobody
    /// asked for. Says how many are there.
    pub(crate) fn check(&self, server: &Server, groups: &[&Payments]) -> Result<u64> {
        let mut recorded: HashMap<String, u64> = HashMap::new();
        for order in 0..=self.asked.get().saturating_sub(1) / PAYMENTS_PER_ORDER {
            for payment in read_payments(server, &self.ids.id(order))? {
                *recorded.entry(payment).or_default() += 1;
            }
        }
        let all = recorded.len() as u64;
        for number in groups.iter().flat_map(|group| group.accepted.iter().flatten()) {
            let payment = payment_id(*number);
            let times = recorded.get(&payment).copied().unwrap_or_default();
            ensure!(times == 1, "{payment} was accepted and is there {times} times");
        }
        ensure!(all <= self.asked.get(), "{all} payments are there, and {} were asked for", self.asked.get());
        Ok(all)
    }
}

impl Payments {
    /// How many were accepted, by client.
    pub(crate) fn accepted(&self) -> impl Iterator<Item = usize> {
        self.accepted.iter().map(Vec::len)
    }

    /// How many were not: others kept changing the order.
    pub(crate) fn refused_count(&self) -> u64 {
        self.refused
    }
}

impl Work for Payments {
    fn next_request(&mut self, connection: usize) -> Option<&[u8]> {
        let number = self.asked.get();
        self.asked.set(number + 1);
        self.paying[connection] = number;
        let order = number / PAYMENTS_PER_ORDER;
        if order >= ORDERS {
            return None;
        }
        let body = format!(r#"{{"payment_id":"{}","amount_cents":1}}"#, payment_id(number));
        let request = format!(
            "POST /orders/{}/payment HTTP/1.1\r\nhost: order-bench\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.ids.id(order),
            body.len()
        );
        self.request = request.into_bytes();
        Some(&self.request)
    }

    fn acknowledged(&mut self, connection: usize) {
        self.accepted[connection].push(self.paying[connection]);
    }

    fn expected_refusals(&self) -> &'static [u16] {
        // Others kept changing the order; too many wait.
        &[409, 503]
    }

    fn refused(&mut self, _connection: usize) {
        self.refused += 1;
    }
}

fn payment_id(number: u64) -> String {
    format!("pay-{number:09}")
}

/// What is read of an event.
#[derive(Deserialize)]
struct Event {
    version: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    /// None in the order's placement.
    payment_id: Option<String>,
}

fn read_payments(server: &Server, order: &str) -> Result<Vec<String>> {
    let mut payments = Vec::new();
    let mut after = "0".to_owned();
    loop {
        let path = format!("/orders/{order}/events?limit={PAGE_EVENTS}&after={after}");
        let (status, body) = http::get(server.address(), &path)?;
        ensure!(status == 200, "GET {path} was answered with {status}: {body}");
        let page: Vec<Event> = serde_json::from_str(&body).with_context(|| format!("GET {path}"))?;
        let Some(last) = page.last() else { return Ok(payments) };
        after.clone_from(&last.version);
        payments.extend(page.into_iter().filter_map(|event| event.data.payment_id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_all_groups_pay_for_one_order_until_it_is_full_and_then_for_the_next() {
        let hot = HotOrders { ids: OrderIds::Sequence { run: 1 }, asked: Rc::default() };
        let (mut one, mut other) = (hot.payments(1), hot.payments(1));
        let first_line = |work: &mut Payments| {
            let request = String::from_utf8(work.next_request(0).unwrap().to_vec()).unwrap();
            request.lines().next().unwrap().to_owned()
        };
        let to = |order| format!("POST /orders/{}/payment HTTP/1.1", hot.ids.id(order));
        assert_eq!(first_line(&mut one), to(0));
        assert_eq!(first_line(&mut other), to(0));
        hot.asked.set(PAYMENTS_PER_ORDER - 1);
        assert_eq!(first_line(&mut one), to(0));
        assert_eq!(first_line(&mut other), to(1));
        other.acknowledged(0);
        assert_eq!(other.accepted().sum::<usize>(), 1);
    }
}
