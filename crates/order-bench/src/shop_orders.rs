//! Orders as a shop has them: of many customers, with many SKUs, at different steps of their lives. Lists are read of them.
//!
//! All about an order follows from its number, so that a query can name what is there.

use std::ops::Range;
use std::time::Instant;

use anyhow::Result;

use crate::load::{Group, Load};
use crate::order_ids::mixed;
use crate::prepared::PREPARED_IDS;
use crate::request;
use crate::server::Server;
use crate::work::Work;

const ORDERS_PER_CUSTOMER: u64 = 200;
const SKUS: u64 = 1_000;
/// Of so many orders, how many go how far is told by [`ShopOrders::has`].
const LIVES: u64 = 1_000;
/// The orders of a wave are all placed before the first of them is paid.
const ORDERS_PER_WAVE: u64 = 25_000;
/// A prime above the length of a wave: multiples of it, modulo any length, come by each order of the wave once, and orders
/// that follow each other lie far apart.
const STRIDE: u64 = 161_807;

/// So many orders, numbered from 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShopOrders {
    count: u64,
}

/// A step in an order's life; each is one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Place,
    Cancel,
    Pay,
    Reserve,
    Ship,
}

impl Step {
    /// In the order in which an order takes them.
    const ALL: [Self; 5] = [Self::Place, Self::Cancel, Self::Pay, Self::Reserve, Self::Ship];
}

impl ShopOrders {
    pub(crate) fn new(count: u64) -> Self {
        Self { count }
    }

    pub(crate) fn count(self) -> u64 {
        self.count
    }

    /// Whether an order takes a step. Of a thousand orders, about one is cancelled, 49 are only placed, 100 are paid,
    /// 50 are reserved, and all others are shipped.
    pub(crate) fn has(self, order: u64, step: Step) -> bool {
        let life = mixed(order) % LIVES;
        match step {
            Step::Place => true,
            Step::Cancel => life == 0,
            Step::Pay => life >= 50,
            Step::Reserve => life >= 150,
            Step::Ship => life >= 200,
        }
    }

    /// How many events they have had.
    pub(crate) fn events(self) -> u64 {
        let steps = |order| Step::ALL.iter().filter(|step| self.has(order, **step)).count() as u64;
        (0..self.count).map(steps).sum()
    }

    /// The next order that took a step, from this one on; behind the last comes the first.
    pub(crate) fn near(self, order: u64, step: Step) -> u64 {
        let next = |distance| (order + distance) % self.count;
        (0..self.count).map(next).find(|order| self.has(*order, step)).unwrap_or(order)
    }

    /// Of whom at least [`ORDERS_PER_CUSTOMER`] orders are.
    pub(crate) fn customer(self, order: u64) -> String {
        let customers = (self.count / ORDERS_PER_CUSTOMER).max(1);
        format!("cust-{}", order % customers)
    }

    pub(crate) fn sku(self, order: u64) -> String {
        format!("sku-{}", order % SKUS)
    }

    pub(crate) fn payment_id(self, order: u64) -> String {
        format!("pay-{order}")
    }

    pub(crate) fn tracking_number(self, order: u64) -> String {
        format!("1Z{order:010}")
    }

    /// Leads them all through their lives, on an empty store: wave by wave, and the orders of a wave step by step.
    pub(crate) fn load(self, service: &Server, connections: usize) -> Result<()> {
        let begin = Instant::now();
        for first in (0..self.count).step_by(ORDERS_PER_WAVE as usize) {
            let wave = first..self.count.min(first + ORDERS_PER_WAVE);
            for step in Step::ALL {
                let mut work = StepOfWave::new(self, wave.clone(), step);
                Load::connect(service.address(), vec![Group { connections, work: &mut work }])?
                    .run_to_end()?;
            }
            let elapsed_s = begin.elapsed().as_secs_f64();
            eprintln!(
                "loading: {} of {} orders with all their steps, {elapsed_s:.0} s",
                wave.end, self.count
            );
        }
        Ok(())
    }

    fn request(self, order: u64, step: Step) -> String {
        let id = PREPARED_IDS.id(order);
        let (path, body) = match step {
            Step::Place => {
                let (customer, sku) = (self.customer(order), self.sku(order));
                let items = format!(r#"[{{"SKU":"{sku}","Quantity":2,"UnitPriceCents":1500}}]"#);
                let body = format!(r#"{{"order_id":"{id}","customer_id":"{customer}","items":{items}}}"#);
                ("/orders".to_owned(), body)
            }
            Step::Cancel => (format!("/orders/{id}/cancel"), "{}".to_owned()),
            Step::Pay => {
                (format!("/orders/{id}/payment"), format!(r#"{{"payment_id":"{}"}}"#, self.payment_id(order)))
            }
            Step::Reserve => (format!("/orders/{id}/reserve"), r#"{"reservation_id":"res-001"}"#.to_owned()),
            Step::Ship => {
                let parcel = self.tracking_number(order);
                let body = format!(r#"{{"tracking_number":"{parcel}","carrier":"UPS"}}"#);
                (format!("/orders/{id}/ship"), body)
            }
        };
        request::post(&path, &body, body.len())
    }
}

/// Leads those orders of a wave through a step that take it; later steps in another order than they were placed.
struct StepOfWave {
    orders: ShopOrders,
    wave: Range<u64>,
    step: Step,
    /// Of the wave, how many were looked at.
    seen: u64,
    request: String,
}

impl StepOfWave {
    fn new(orders: ShopOrders, wave: Range<u64>, step: Step) -> Self {
        Self { orders, wave, step, seen: 0, request: String::new() }
    }

    fn next_order(&mut self) -> Option<u64> {
        let Range { start, end } = self.wave;
        while self.seen < end - start {
            let order = match self.step {
                Step::Place => start + self.seen,
                Step::Cancel | Step::Pay | Step::Reserve | Step::Ship => {
                    start + self.seen * STRIDE % (end - start)
                }
            };
            self.seen += 1;
            if self.orders.has(order, self.step) {
                return Some(order);
            }
        }
        None
    }
}

impl Work for StepOfWave {
    fn next_request(&mut self, _connection: usize) -> Option<&[u8]> {
        self.request = self.orders.request(self.next_order()?, self.step);
        Some(self.request.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_comes_by_each_order_that_takes_it_once() {
        let orders = ShopOrders::new(5_000);
        for step in Step::ALL {
            let mut work = StepOfWave::new(orders, 1_000..3_500, step);
            let mut seen: Vec<u64> = std::iter::from_fn(|| work.next_order()).collect();
            seen.sort_unstable();
            let expected: Vec<u64> = (1_000..3_500).filter(|order| orders.has(*order, step)).collect();
            assert_eq!(seen, expected, "{step:?}");
        }
    }

    #[test]
    fn a_life_has_no_gaps_and_nothing_follows_a_cancellation() {
        let orders = ShopOrders::new(10_000);
        for order in 0..orders.count() {
            let [cancel, pay, reserve, ship] =
                [Step::Cancel, Step::Pay, Step::Reserve, Step::Ship].map(|step| orders.has(order, step));
            assert!(pay || !reserve, "{order}");
            assert!(reserve || !ship, "{order}");
            assert!(!(cancel && pay), "{order}");
        }
    }

    #[test]
    fn there_are_orders_at_every_step_and_enough_of_each_customer() {
        let orders = ShopOrders::new(10_000);
        let having = |step| (0..orders.count()).filter(|order| orders.has(*order, step)).count();
        let counts = Step::ALL.map(having);
        assert!(counts[1] > 0, "some are cancelled");
        assert!(counts[0] > counts[2] && counts[2] > counts[3] && counts[3] > counts[4], "{counts:?}");
        assert_eq!(orders.events(), counts.iter().sum::<usize>() as u64);
        let of_first = (0..orders.count()).filter(|order| orders.customer(*order) == "cust-0").count();
        assert_eq!(of_first as u64, ORDERS_PER_CUSTOMER);
    }
}
