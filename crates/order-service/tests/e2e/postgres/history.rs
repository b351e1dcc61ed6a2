//! What clients did and were told, with the times of a clock that never goes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::Answer;

/// What a command is to do, and to which order. Sent once or more often, it is the same command.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Command {
    pub(crate) order_id: String,
    pub(crate) action: Action,
    /// The client's own name for it, which no other command has.
    pub(crate) own_id: String,
    /// Units that are ordered or shipped, or cents that are paid: a unit costs one cent.
    pub(crate) amount: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Place,
    Pay,
    Reserve,
    Ship,
}

impl Action {
    pub(crate) const ALL: [Self; 4] = [Self::Place, Self::Pay, Self::Reserve, Self::Ship];

    pub(crate) fn event_type(self) -> &'static str {
        match self {
            Self::Place => "order.placed.v1",
            Self::Pay => "order.payment_authorized.v1",
            Self::Reserve => "order.inventory_reserved.v1",
            Self::Ship => "order.shipped.v1",
        }
    }

    /// Where the client's own name stands in the event's data.
    pub(crate) fn id_field(self) -> &'static str {
        match self {
            Self::Place => "customer_id",
            Self::Pay => "payment_id",
            Self::Reserve => "reservation_id",
            Self::Ship => "tracking_number",
        }
    }
}

impl Command {
    /// Path and body of its request.
    pub(crate) fn request(&self) -> (String, String) {
        let Self { order_id, own_id, amount, action } = self;
        match action {
            Action::Place => (
                "/orders".to_owned(),
                format!(
                    r#"{{"order_id":"{order_id}","customer_id":"{own_id}","items":[{{"SKU":"sku","Quantity":{amount},"UnitPriceCents":1}}]}}"#
                ),
            ),
            Action::Pay => (
                format!("/orders/{order_id}/payment"),
                format!(r#"{{"payment_id":"{own_id}","amount_cents":{amount}}}"#),
            ),
            Action::Reserve => {
                (format!("/orders/{order_id}/reserve"), format!(r#"{{"reservation_id":"{own_id}"}}"#))
            }
            Action::Ship => (
                format!("/orders/{order_id}/ship"),
                format!(
                    r#"{{"tracking_number":"{own_id}","carrier":"UPS","items":[{{"SKU":"sku","Quantity":{amount}}}]}}"#
                ),
            ),
        }
    }
}

/// From before the first byte of a request was sent until after the last of its answer was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
}

impl Span {
    pub(crate) fn duration(&self) -> Duration {
        self.ended - self.begun
    }
}

/// A command that was sent once.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) command: Arc<Command>,
    /// The instance that it was sent to.
    pub(crate) instance: usize,
    pub(crate) span: Span,
    pub(crate) outcome: Outcome,
}

/// What a client knows after a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done now, or had been before; with the order's version then.
    Accepted { version: u64 },
    /// The order does not allow it.
    Refused { code: String, facts: Option<Facts> },
    /// The service could not, and promises that this request changed nothing.
    NotHappened,
    /// Nobody knows.
    Unknown,
    /// What no client should be told.
    Unheard(String),
}

/// What a refusal tells of the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) version: u64,
    pub(crate) status: String,
}

impl Outcome {
    pub(crate) fn of(answer: &Answer) -> Self {
        let unheard = || Self::Unheard(format!("{answer:?}"));
        match (answer.status, answer.version()) {
            (201 | 202, Some(version)) => Self::Accepted { version },
            (404 | 409 | 412 | 422, _) => Self::Refused { code: answer.code(), facts: facts(&answer.json()) },
            (503, _) => match &*answer.code() {
                "store-unavailable" | "overloaded" => Self::NotHappened,
                "outcome-unknown" => Self::Unknown,
                _ => unheard(),
            },
            _ => unheard(),
        }
    }

    /// Whether the client is done with the command.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::Accepted { .. } | Self::Refused { .. } | Self::Unheard(_))
    }
}

fn facts(problem: &Value) -> Option<Facts> {
    let version = problem["version"].as_u64()?;
    Some(Facts { version, status: problem["order_status"].as_str()?.to_owned() })
}

/// A look at an order.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) order_id: String,
    pub(crate) span: Span,
    /// `None` if there was no such order.
    pub(crate) found: Option<Facts>,
}

/// An event that a live feed sent.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) position: u64,
    pub(crate) event_id: String,
    pub(crate) order_id: String,
    pub(crate) version: u64,
    pub(crate) at: Instant,
}

/// Everything that was seen from outside.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) requests: Vec<Request>,
    pub(crate) reads: Vec<Read>,
    /// One feed for each instance.
    pub(crate) feeds: Vec<Vec<Seen>>,
}

impl History {
    pub(crate) fn count(&self, wanted: impl Fn(&Outcome) -> bool) -> usize {
        self.requests.iter().filter(|request| wanted(&request.outcome)).count()
    }

    /// The longest that any client waited for an answer.
    pub(crate) fn slowest(&self) -> Duration {
        self.requests.iter().map(|request| request.span.duration()).max().unwrap_or_default()
    }

    pub(crate) fn summary(&self) -> String {
        format!(
            "{} accepted, {} refused, {} not happened, {} unknown, {} reads, slowest answer {:?}",
            self.count(|outcome| matches!(outcome, Outcome::Accepted { .. })),
            self.count(|outcome| matches!(outcome, Outcome::Refused { .. })),
            self.count(|outcome| *outcome == Outcome::NotHappened),
            self.count(|outcome| *outcome == Outcome::Unknown),
            self.reads.len(),
            self.slowest(),
        )
    }
}
