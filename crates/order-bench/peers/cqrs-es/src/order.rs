//! The aggregate: as much of the service's order as placing it takes.

use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};

/// An order, as far as placing it needs to know it.
#[derive(Default, Serialize, Deserialize)]
pub struct Order {
    placed: bool,
}

/// Places an order.
pub struct Place {
    /// Who orders.
    pub customer_id: String,
    /// What is ordered.
    pub lines: Vec<Line>,
}

/// One line of an order.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Line {
    /// Its number within the order, from 1.
    pub line: u16,
    /// The article.
    pub sku: String,
    /// How many.
    pub quantity: u32,
    /// The price of one.
    pub unit_price_cents: i64,
}

/// What has happened.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub enum OrderEvent {
    /// The order was placed.
    Placed {
        /// Who orders.
        customer_id: String,
        /// In which currency the prices are.
        currency: String,
        /// The sum of the lines.
        total_cents: i64,
        /// What is ordered.
        lines: Vec<Line>,
    },
}

/// Why a command is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is such an order.
    #[error("the order is placed already")]
    AlreadyPlaced,
    /// No lines, or lines of nothing, or at a negative price.
    #[error("an order has lines of at least one unit each, at prices that are not negative")]
    Invalid,
}

impl DomainEvent for OrderEvent {
    fn event_type(&self) -> String {
        "order.placed".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for Order {
    const TYPE: &'static str = "order";
    type Command = Place;
    type Event = OrderEvent;
    type Error = Refusal;
    type Services = ();

    async fn handle(&mut self, command: Place, (): &(), sink: &EventSink<Self>) -> Result<(), Refusal> {
        if self.placed {
            return Err(Refusal::AlreadyPlaced);
        }
        let Place { customer_id, lines } = command;
        if lines.is_empty() || lines.iter().any(|line| line.quantity == 0 || line.unit_price_cents < 0) {
            return Err(Refusal::Invalid);
        }
        let total_cents = lines.iter().map(|line| i64::from(line.quantity) * line.unit_price_cents).sum();
        let placed = OrderEvent::Placed { customer_id, currency: "USD".to_owned(), total_cents, lines };
        sink.write(placed, self).await;
        Ok(())
    }

    fn apply(&mut self, _: OrderEvent) {
        self.placed = true;
    }
}
