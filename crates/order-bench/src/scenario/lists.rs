//! Reading lists, filtered and sorted.

use anyhow::{Context, Result, ensure};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::bench::Bench;
use crate::order_ids::Random;
use crate::report::{Bound, Figures, Outcome, Side, Verdict};
use crate::server::Server;
use crate::shop_orders::{ShopOrders, Step};
use crate::work::Work;
use crate::{http, request};

/// For the median of each kind of list.
const TARGET_MS: f64 = 5.0;
const LIMIT: usize = 100;
/// With fewer, there is not a full page of each kind.
const FEWEST_ORDERS: u64 = 200_000;
/// Updates are asked for from a time so many events before the end of the log.
const LATE_EVENTS: u64 = 1_000;

/// Each kind of list by itself, one request after the other on one connection, on a store of millions of orders.
pub(crate) fn filtered_and_sorted(bench: &Bench) -> Result<Outcome> {
    let orders = ShopOrders::new(bench.options.orders);
    ensure!(orders.count() >= FEWEST_ORDERS, "at least {FEWEST_ORDERS} orders fill all pages");
    let dir = bench.service.shop_dir(orders)?;
    let service = bench.service.start(dir.path())?;
    let (mut sides, mut verdicts) = (Vec::new(), Vec::new());
    for kind in kinds(orders, late_time(&service, orders)?) {
        let rounds = measure(bench, &service, orders, &kind).context(kind.what)?;
        let medians_ms = rounds.iter().map(|round| round.p50_ms).collect();
        let what = format!("{}: median", kind.what);
        verdicts.push(Verdict::of_rounds(&what, medians_ms, "ms", Bound::AtMost, TARGET_MS));
        sides.push(Side::new(kind.what, rounds));
    }
    service.stop()?;
    Ok(Outcome {
        scenario: "lists",
        about: format!(
            "GET /orders?limit={LIMIT} and more, on one connection, on a store of {} orders",
            orders.count()
        ),
        sides,
        verdicts,
        notes: Vec::new(),
    })
}

/// A kind of list.
struct Kind {
    what: &'static str,
    /// What is asked for besides the limit: something that the order of this number has.
    parameters: Box<dyn Fn(u64) -> String>,
    /// How many orders must be in the answer.
    found: usize,
}

fn kinds(orders: ShopOrders, late: String) -> Vec<Kind> {
    let page = |what, parameters| Kind { what, parameters, found: LIMIT };
    let single = |what, parameters| Kind { what, parameters, found: 1 };
    vec![
        page("as placed", Box::new(|_| String::new())),
        page("status that most have", Box::new(|_| "&status=shipped".into())),
        page("status that few have", Box::new(|_| "&status=cancelled".into())),
        page("customer_id", Box::new(move |order| format!("&customer_id={}", orders.customer(order)))),
        page("sku", Box::new(move |order| format!("&sku={}", orders.sku(order)))),
        page("sort=-updated", Box::new(|_| "&sort=-updated".into())),
        page("updated_after, late", Box::new(move |_| format!("&sort=updated&updated_after={late}"))),
        page("view=full", Box::new(|_| "&view=full".into())),
        single(
            "payment_id",
            Box::new(move |order| {
                format!("&payment_id={}", orders.payment_id(orders.near(order, Step::Pay)))
            }),
        ),
        single(
            "tracking_number",
            Box::new(move |order| {
                format!("&tracking_number={}", orders.tracking_number(orders.near(order, Step::Ship)))
            }),
        ),
    ]
}

/// The time of an event near the end of the log, as the log has it.
fn late_time(service: &Server, orders: ShopOrders) -> Result<String> {
    let target = format!("/events?after={}&limit=1", orders.events() - LATE_EVENTS);
    let (status, body) = http::get(service.address(), &target)?;
    ensure!(status == 200, "GET {target} was answered with {status}: {body}");
    let events: Value = serde_json::from_str(&body)?;
    let time = events[0]["time"].as_str();
    Ok(time.with_context(|| format!("no event behind {target}: {body}"))?.to_owned())
}

fn measure(bench: &Bench, service: &Server, orders: ShopOrders, kind: &Kind) -> Result<Vec<Figures>> {
    let mut work = ReadLists { orders, kind, random: Random::new(), request: String::new() };
    (0..bench.options.rounds).map(|_| bench.measure_on(1, service, &mut work)).collect()
}

/// Reads lists of one kind, each for an order that is as likely as any other, and sees that they are as long as they must.
struct ReadLists<'k> {
    orders: ShopOrders,
    kind: &'k Kind,
    random: Random,
    request: String,
}

impl Work for ReadLists<'_> {
    fn next_request(&mut self, _connection: usize) -> Option<&[u8]> {
        let parameters = (self.kind.parameters)(self.random.below(self.orders.count()));
        self.request = request::get(&format!("/orders?limit={LIMIT}{parameters}"));
        Some(self.request.as_bytes())
    }

    fn answered(&mut self, _connection: usize, body: &[u8]) -> Result<()> {
        let found = serde_json::from_slice::<Vec<IgnoredAny>>(body)?.len();
        let request_line = self.request.lines().next().unwrap_or_default();
        ensure!(found == self.kind.found, "{request_line}: {found} orders instead of {}", self.kind.found);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_not_full_is_an_error() {
        let orders = ShopOrders::new(FEWEST_ORDERS);
        let kinds = kinds(orders, "2026-01-01T00:00:00Z".into());
        let mut work = ReadLists { orders, kind: &kinds[0], random: Random::new(), request: String::new() };
        assert_eq!(work.next_request(0), Some(request::LIST_100));
        let page = |length| format!("[{}]", vec!["{}"; length].join(","));
        work.answered(0, page(100).as_bytes()).unwrap();
        let short = work.answered(0, page(99).as_bytes()).unwrap_err();
        assert_eq!(short.to_string(), "GET /orders?limit=100 HTTP/1.1: 99 orders instead of 100");
    }
}
